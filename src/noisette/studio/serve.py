"""The studio as a server on this machine."""

import ipaddress
import os
import secrets
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

from .. import shipped
from ..errors import InputError
from .workspace import Workspace

LOOPBACK = "127.0.0.1"


def serve(
    workspace: Path, given: Path | None, host: str, port: int, opened: Callable[[str], None] = lambda address: None
) -> None:
    """Serve until Ctrl-C. `opened` is told the address, token included, when people may come.

    Beyond loopback a token is asked for, made anew each time. The port is a free one where it is 0.
    """
    given_model = None if given is None else _model(given)
    sock = listening(host, port)
    token = None if loopback(host) else secrets.token_urlsafe(24)
    name = f"[{host}]" if ":" in host else host
    address = f"http://{name}:{sock.getsockname()[1]}/{'' if token is None else f'?token={token}'}"
    cache = Path(tempfile.mkdtemp(prefix="noisette-studio-"))
    # before it is imported: no news of us, and no file anywhere but there
    os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1", "GRADIO_TEMP_DIR": str(cache)}
    try:
        _run(Workspace(workspace, given_model, shipped.places()), sock, token, host, lambda: opened(address))
    finally:
        sock.close()
        shutil.rmtree(cache, ignore_errors=True)


def _run(workspace: Workspace, sock: socket.socket, token: str | None, host: str, ready: Callable[[], None]) -> None:
    import uvicorn

    from .app import application
    from .trainer import Trainer
    from .uploads import cleared

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready()

    trainer = Trainer(workspace)
    cleared(workspace, trainer.needed(), older=0)
    config = uvicorn.Config(
        application(workspace, trainer, token, host), log_level="warning", access_log=False, proxy_headers=False,
        server_header=False, timeout_graceful_shutdown=2, ws="none",
    )  # fmt: skip
    for name in ("SIGTERM", "SIGHUP"):  # the server closes at the first, and sends it again: then this is what it does
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _closing)
    try:
        Server(config).run(sockets=[sock])
    finally:
        trainer.close()
        cleared(workspace, trainer.needed(), older=0)


def _closing(number: int, frame: object) -> None:
    """Leave in good order: a run that is being trained saves first."""
    raise SystemExit(128 + number)


def listening(host: str, port: int) -> socket.socket:
    """A socket on that address and no other."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"nothing can listen on {host}, port {port}: {reason.lower()}; give another --port, or 0 for a free one"
        ) from error
    return sock


def loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _model(given: Path) -> Path:
    """A model that was named on the command line is opened before the page is: what is wrong with it is said there."""
    from ..model import load

    load(given)
    return given if given.exists() else shipped.place(str(given)) or given
