"""noisette editors: the scripts with which Aseprite and Krita use the studio."""

from pathlib import Path
from typing import Annotated

import typer

from .terminal import print_json, print_paths


def editors(
    out: Annotated[Path, typer.Option(help="Folder to write into.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON per file.")] = False,
) -> None:
    """Write the scripts with which Aseprite and Krita draw, vary and fill in a selection by a running studio.

    noisette.lua: for the scripts folder of Aseprite (File > Scripts > Open Scripts Folder). noisette-krita.zip: for
    Krita (Tools > Scripts > Import Python Plugin from File).
    """
    from ..studio.editor_scripts import write_editor_scripts

    paths = write_editor_scripts(out)
    if as_json:
        for path in paths:
            print_json({"path": str(path.resolve())})
    else:
        print_paths(paths)
