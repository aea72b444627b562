"""`noisette serve`: the server of one machine, from its start to its end."""

import os
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from ..errors import InputError
from ..studio.address import MAX_CONNECTIONS, is_loopback, open_socket
from ..studio.ending import close_on_signals, exit_on_signals
from ..studio.guard import AccessGuard
from ..studio.offline import OFFLINE_ENVIRONMENT, forbid_connections
from .admission import Admission
from .front import HEALTH, MAX_BODY_BYTES, REFUSALS, Front
from .lit import DrawAPI, DrawServer, Prepare
from .metrics import Metrics

TOKEN_VARIABLE = "NOISETTE_TOKEN"  # of the environment; without it, the token is new at each start
MIN_TOKEN = 16  # characters


def serve(
    models: Mapping[str, str], *, host: str = "127.0.0.1", port: int = 8000, host_name: str = "localhost",
    replicas: int = 1, batch: int | None = None, queue: int = 256, seconds: float = 60.0, has_token: bool = True,
    prepare: Prepare = lambda: None, on_ready: Callable[[str, str | None], object] = lambda address, token: None,
) -> None:  # fmt: skip
    """Serve models, by their names, until SIGTERM or Ctrl-C; requests that wait then are still answered.

    replicas: processes that draw. batch: pictures drawn at once by each; None: 64 on a CPU, 256 on an accelerator.
    queue: requests that may wait; further ones get 429. seconds: that an answer may take. host_name: a further name
    that clients may use. prepare: called in each process that draws, before it opens a model; must be picklable.
    on_ready: called with the address and the token once requests are answered. Port 0 picks a free one.

    Raises InputError for models that cannot be loaded, and for an address that cannot be used. Must be called in the
    main thread.
    """
    import uvicorn

    from .served_models import ServedModels

    if not has_token and not is_loopback(host):
        raise InputError(
            f"--no-token is only for addresses that other machines cannot reach, got {host}: leave out --no-token"
        )
    token = read_token() if has_token else None
    ServedModels(models)  # errors appear here, in one sentence
    sock = open_socket(host, port)
    os.environ |= OFFLINE_ENVIRONMENT
    forbid_connections()
    admission = Admission(queue)
    threads = None if replicas == 1 else max(1, (os.cpu_count() or 1) // replicas)
    server = DrawServer(DrawAPI(models, batch, admission.slots, prepare, threads), replicas)
    front = Front(
        models, server.submit, admission, Metrics(lambda: admission.waiting, queue), seconds, lambda: server.is_ready
    )
    for path, endpoint, method in front.routes():
        server.app.router.add_route(path, endpoint, [method])
    guard = AccessGuard(server.app, token, host_name, MAX_BODY_BYTES, REFUSALS, (HEALTH,))
    name = f"[{host}]" if ":" in host else host
    address = f"http://{name}:{sock.getsockname()[1]}"

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            server.on_failure = lambda: setattr(self, "should_exit", True)
            on_ready(address, token)

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            with close_on_signals(self, server.stop, seconds + 5):
                yield

    with exit_on_signals(), sock:
        try:
            server.start()
            config = uvicorn.Config(
                guard, log_level="warning", access_log=False, proxy_headers=False, server_header=False,
                timeout_graceful_shutdown=int(seconds) + 1, ws="none", limit_concurrency=queue + MAX_CONNECTIONS,
            )  # fmt: skip
            Server(config).run(sockets=[sock])
        finally:
            server.stop()


def read_token() -> str:
    """The token of the environment, or a new one. InputError for one that can be guessed."""
    token = os.environ.get(TOKEN_VARIABLE) or secrets.token_urlsafe(24)
    if len(token) < MIN_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise InputError(f"{TOKEN_VARIABLE} must be at least {MIN_TOKEN} printable ASCII characters without spaces")
    return token
