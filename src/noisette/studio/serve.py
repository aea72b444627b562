"""The web server of the studio."""

import os
import secrets
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path

from ..errors import InputError
from ..models import shipped
from .address import MAX_CONNECTIONS, is_loopback, open_socket
from .ending import close_on_signals, end_if_threads_are_stuck, exit_on_signals
from .offline import OFFLINE_ENVIRONMENT, forbid_connections
from .temporary import temporary_folder
from .trainer import Trainer
from .uploads import remove_unused
from .workspace import Workspace


def serve(
    workspace: Path, model: Path | None, host: str, port: int, on_ready: Callable[[str, Path], None],
    has_token: bool = True,
) -> None:  # fmt: skip
    """Serve the studio until Ctrl-C. `on_ready` is called once the page can be opened, with its address, including the
    token, and with a file that leads there.

    The token is new at each start. `has_token=False`: whoever can reach the address can use the studio, so it must be
    loopback. Port 0 picks a free port. InputError if the model cannot be loaded or the address cannot be used.

    Must be called in the main thread of a process of its own: it makes new files private, and forbids connections.
    """
    if not has_token and not is_loopback(host):
        raise InputError(
            f"--no-token is only for addresses that other machines cannot reach, got {host}: leave out --no-token"
        )
    given_model = None if model is None else _resolve_model(model)
    environment = dict(os.environ)  # of training, which may use the network
    os.environ |= OFFLINE_ENVIRONMENT  # before gradio is imported
    sock = open_socket(host, port)
    token = secrets.token_urlsafe(24) if has_token else None
    name = f"[{host}]" if ":" in host else host
    address = f"http://{name}:{sock.getsockname()[1]}/{'' if token is None else f'?token={token}'}"
    mask = os.umask(0o077)
    try:
        with exit_on_signals(), sock, temporary_folder() as folder:
            os.environ["GRADIO_TEMP_DIR"] = str(folder)
            place = Workspace(workspace, given_model, shipped.list_folders())
            place.protect()
            with closing_trainer(Trainer(place, environment, mask)) as trainer:
                _run(place, trainer, folder, sock, token, host, lambda: on_ready(address, write_link(folder, address)))
    except (SystemExit, KeyboardInterrupt) as request:
        end_if_threads_are_stuck(request)
        raise
    finally:
        os.umask(mask)


def write_link(folder: Path, address: str) -> Path:
    """A page for this user alone that leads to an address. Other users could read it in a browser's command line."""
    path = folder / "open.html"
    path.write_text(f'<meta charset="utf-8"><meta http-equiv="refresh" content="0; url={escape(address)}">', "utf-8")
    return path


@contextmanager
def closing_trainer(trainer: Trainer) -> Iterator[Trainer]:
    """A context that removes unused uploads, and stops the runs at its end."""
    remove_unused(trainer.workspace, trainer.list_used_sources(), min_age=0)
    try:
        yield trainer
    finally:
        trainer.close()
        remove_unused(trainer.workspace, trainer.list_used_sources(), min_age=0)


def _run(
    workspace: Workspace, trainer: Trainer, folder: Path, sock: socket.socket, token: str | None, host: str,
    on_ready: Callable[[], None],
) -> None:  # fmt: skip
    import uvicorn

    from .application import build_app

    def clean_up() -> None:
        trainer.close()
        shutil.rmtree(folder, ignore_errors=True)

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            on_ready()

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            with close_on_signals(self, clean_up):
                yield

    config = uvicorn.Config(
        build_app(workspace, trainer, folder, token, host), log_level="warning", access_log=False, proxy_headers=False,
        server_header=False, timeout_graceful_shutdown=2, ws="none", limit_concurrency=MAX_CONNECTIONS,
    )  # fmt: skip
    forbid_connections()
    Server(config).run(sockets=[sock])


def _resolve_model(model: Path) -> Path:
    """Load the model of the command line once, so that its errors appear there; return its folder."""
    from ..models.picture_model import load

    load(model)
    return model if model.exists() else shipped.find_folder(str(model)) or model
