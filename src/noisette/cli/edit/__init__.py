"""noisette edit: the commands that change pictures with a model, one per file. Each parses, calls and shows."""

import typer

from ..aliases import AliasedCommand
from .hspace import hspace
from .inpaint import inpaint
from .invert import invert
from .segment import segment
from .tile import tile
from .upscale import upscale
from .vary import vary
from .walk import walk

edit = typer.Typer(no_args_is_help=True, help="Change pictures with a model: vary, inpaint, upscale, tile, segment, …")
for command in (vary, inpaint, upscale, tile, walk, invert, hspace, segment):
    edit.command(cls=AliasedCommand)(command)

__all__ = ["edit"]
