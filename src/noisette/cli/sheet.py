"""noisette sheet: pictures on one sheet, with the file by which a game engine cuts it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .terminal import print_json, print_paths

if TYPE_CHECKING:
    from ..shapes import UInt8Images

KINDS_HELP = (
    "aseprite: JSON of Aseprite. phaser: JSON of TexturePacker, for Phaser and PixiJS. tiled: a .tsx tile set. godot: "
    "SpriteFrames and TileSet of Godot 4. css: a class for each picture."
)

SheetKind = Annotated[
    str | None,
    typer.Option(
        "--sheet",
        help="Also write sheet.png at native size, and the file by which a game engine cuts it: aseprite, phaser, "
        "tiled, godot or css (see `noisette sheet`).",
    ),
]
DEFAULT_FRAME_MS = 100

Written = tuple[Path, "UInt8Images", Mapping[str, object]]  # of a picture: its file, pixels (1, C, H, W), metadata


def check_sheet(kind: str | None) -> None:
    """Raise InputError unless `kind` is None or one that --sheet knows."""
    if kind is not None:
        from ..interop.sheet_formats import check_kind

        check_kind(kind)


def pack_written(
    written: "Iterable[Written]", out: Path, kind: str | None, frame_ms: int = DEFAULT_FRAME_MS
) -> list[Path]:
    """Write what --sheet asks for of pictures that were written; returns the paths, none for None."""
    if kind is None:
        return []
    from ..interop import sheet_formats, sheet_layout

    pictures = [sheet_layout.picture_of_record(path.stem, pixels, metadata) for path, pixels, metadata in written]
    return sheet_formats.write_sheet(sheet_layout.pack_sheet(pictures), out, kind, frame_ms=frame_ms)


def sheet(
    source: Annotated[Path, typer.Argument(help="A folder of pictures of one size.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder to write into.", show_default=False)],
    kind: Annotated[str, typer.Option("--to", help=KINDS_HELP, show_default=False)],
    name: Annotated[str, typer.Option(help="Name of the files, without their endings.")] = "sheet",
    columns: Annotated[
        int | None, typer.Option(help="Pictures side by side. Default: the sheet is about square.")
    ] = None,
    extrude: Annotated[
        int, typer.Option(help="How many times the edge pixels of each picture are repeated around it, 0 to 16.")
    ] = 0,
    power_of_two: Annotated[
        bool, typer.Option("--power-of-two", help="Width and height of the sheet are powers of two.")
    ] = False,
    frame_ms: Annotated[
        int, typer.Option(help="Milliseconds that a frame of an animation is shown.")
    ] = DEFAULT_FRAME_MS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON per file.")] = False,
) -> None:
    """Pack pictures into one PNG at native size, and write what tells a game engine where each is.

    Pictures are sorted by label: that of `noisette sample`, or else the name of their subfolder. Each label is an
    animation or a type of tile. grid.png of `noisette sample` is left out.
    """
    from ..edit.recolor import check_outside
    from ..interop.sheet_formats import write_sheet
    from ..interop.sheet_layout import pack_sheet, read_sheet_pictures

    check_outside(source, out)
    packed = pack_sheet(read_sheet_pictures(source), columns, extrude, power_of_two)
    paths = write_sheet(packed, out, kind, name, frame_ms)
    if as_json:
        for path in paths:
            print_json({"path": str(path.resolve())})
    else:
        print_paths(paths)
