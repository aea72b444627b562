"""noisette studio: a page to draw with a model, to choose, and to train."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError


def studio(
    model: Annotated[
        Path | None,
        typer.Argument(help="A run or model folder to begin with, wherever it lies.", show_default=False),
    ] = None,
    workspace: Annotated[Path, typer.Option(help="The folder of runs; the page sees no other.")] = Path("runs"),
    host: Annotated[
        str, typer.Option(help="The address to listen on. Any but loopback asks visitors for a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0: a free one.", min=0, max=65535)] = 7860,
    browser: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Open the studio, a page on this machine: draw and watch, keep the best, train. Ctrl-C closes it.

    Nothing is sent anywhere, and nobody else can reach it unless --host says so.
    """
    if find_spec("gradio") is None:
        raise InputError("the studio needs gradio, which is not installed: pip install 'noisette[studio]'")
    if workspace.exists() and not workspace.is_dir():
        raise InputError(f"{workspace} is a file: give a folder as --workspace, where runs are or shall be")
    from ..studio.serve import serve

    serve(workspace, model, host, port, lambda address: _opened(address, browser))


def _opened(address: str, browser: bool) -> None:
    typer.echo(f"the studio is open: {address}")
    if browser:
        typer.launch(address)
