"""noisette studio: a local web page to sample from models, edit pictures and train."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError


def studio(
    model: Annotated[
        Path | None,
        typer.Argument(
            help="Run folder, model folder, or shipped model's name, to open first. It need not be in the workspace.",
            show_default=False,
        ),
    ] = None,
    workspace: Annotated[Path, typer.Option(help="Folder of runs. The page can open no other folder.")] = Path("runs"),
    host: Annotated[
        str, typer.Option(help="Address to listen on. With any but 127.0.0.1, other machines can open the page.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 picks a free one.", min=0, max=65535)] = 7860,
    token: Annotated[
        bool,
        typer.Option(
            "--token/--no-token", help="Require the token in the printed address, which is new at each start."
        ),
    ] = True,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Serve the studio, a web page on this machine: sample, edit, compare and train. Ctrl-C closes it.

    Nothing is sent to other machines, and they cannot open the page unless --host allows it. Open the printed address
    in a browser; other users of this machine do not know its token, so they cannot open it.
    """
    if find_spec("gradio") is None:
        raise InputError("the studio needs gradio, which is not installed: pip install 'noisette[studio]'")
    if workspace.exists() and not workspace.is_dir():
        raise InputError(f"--workspace is {workspace}, which is a file: give a folder, existing or new")
    from ..studio.serve import serve

    serve(workspace, model, host, port, lambda address, link: _announce(address, link if open_browser else None), token)


def _announce(address: str, link: Path | None) -> None:
    """Print the address; open `link`, a file that leads there, in the browser."""
    typer.echo(f"the studio is open: {address}")
    sys.stdout.flush()
    if link is not None:
        typer.launch(link.as_uri())
