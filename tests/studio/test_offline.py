"""`forbid_connections` refuses all connections. In a separate process, because it cannot be undone."""

import subprocess
import sys

CODE = """
import asyncio, socket, urllib.request
from noisette.errors import InputError
from noisette.studio.offline import forbid_connections
server = socket.create_server(("127.0.0.1", 0))
port = server.getsockname()[1]
socket.create_connection(("127.0.0.1", port)).close()
forbid_connections()
def datagram():
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", port))
async def stream():
    await asyncio.open_connection("127.0.0.1", port)
for attempt in (
    lambda: socket.create_connection(("127.0.0.1", port)),
    lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}"),
    lambda: socket.getaddrinfo("example.com", 80),
    lambda: socket.gethostbyname("example.com"),
    lambda: socket.socket(socket.AF_INET6).connect(("::1", port)),
    lambda: asyncio.run(stream()),
    datagram,
):
    try:
        attempt()
    except InputError as error:
        assert "makes no connections" in str(error)
    else:
        raise AssertionError(attempt)
one, other = socket.socketpair()  # of the event loop
one.send(b"x")
assert other.recv(1) == b"x"
print("refused")
"""


def test_connections_and_name_lookups_are_refused() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.stdout == "refused\n", done.stderr
