"""No connections from this process to anywhere, whatever a request or a model asks for: studio and `noisette mcp`.

Python reports each connection and each look-up of a name before it is made ("audit events"); here they are refused.
"""

import os
import socket
import sys

from ..errors import InputError

LOOKUPS = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo")
CONNECTIONS = ("socket.connect", "socket.sendto", "socket.sendmsg")
OFFLINE_ENVIRONMENT = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",  # text encoders come from the local cache
}


def forbid_connections() -> None:
    """Refuse all outbound connections and look-ups of this process from now on. It cannot be undone."""
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event in LOOKUPS or (event in CONNECTIONS and not _is_local(arguments)):
        raise InputError("this process makes no connections: download the file before you start it")


def _is_local(arguments: tuple[object, ...]) -> bool:
    """Whether a connection is a Unix socket's; on Windows, also whether it is to loopback, of which socket pairs are
    made there."""
    sock, address = arguments
    if not isinstance(sock, socket.socket):
        return False
    if sock.family == getattr(socket, "AF_UNIX", None):
        return True
    return os.name == "nt" and isinstance(address, tuple) and address[0] in ("127.0.0.1", "::1")
