"""noisette mcp: tools for other programs, by the Model Context Protocol."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError
from .terminal import print_error


def mcp(
    workspace: Annotated[
        Path, typer.Option(help="Folder of pictures and runs. No file outside of it is read or written.")
    ] = Path("runs"),
) -> None:
    """Serve tools for assistants and scripts, by the Model Context Protocol (MCP) over stdin and stdout.

    A client starts this command: it lists models, scans folders, draws, varies, fills in and enlarges pictures, and
    packs sheets, inside the workspace alone. No connection is made. The end of stdin, or Ctrl-C, ends it.
    """
    if find_spec("mcp") is None:
        raise InputError("this command needs the package mcp, which is not installed: pip install 'noisette[mcp]'")
    if not workspace.is_dir():
        raise InputError(f"--workspace is {workspace}, which is no folder: give an existing one")
    if sys.stdin.isatty():
        print_error("waiting for the messages of an MCP client on stdin; Ctrl-C ends this (see docs/mcp.md)")
    from ..mcp_server.server import serve

    serve(workspace)
