"""noisette palette: palettes of pictures, and pictures in the colors of a palette. No model takes part."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from .aliases import AliasedCommand
from .guidance_options import Dither
from .terminal import print_json, print_paths

Source = Annotated[str, typer.Argument(help="A picture, or a folder of pictures.", show_default=False)]
OutFolder = Annotated[Path, typer.Option(help="Folder to write into, outside of SOURCE.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one line of JSON per file.")]
PALETTE_HELP = 'a .gpl, .hex, .pal, .ase or .txt file, a picture, or colors like "#202020,#ff8000"'


def learn(
    source: Annotated[
        str,
        typer.Argument(
            help="A picture, a folder of pictures, or a built-in set: emoji, icons, digits.", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Option(help="File to write: .gpl, .hex, .pal or .png.", show_default=False)],
    colors: Annotated[int, typer.Option(help="Number of colors, 1 to 256.")] = 16,
    as_json: Annotated[bool, typer.Option("--json", help="Print the colors as a line of JSON.")] = False,
) -> None:
    """Find the palette of pictures: all colors if there are at most --colors, else the ones that fit best."""
    from ..data.builtin import BUILT_IN
    from ..data.decode import decode
    from ..data.palette import learn_palette
    from ..edit.recolor import find_pictures, read_pixels

    if source in BUILT_IN:
        data = (entry.read() for entry in BUILT_IN[source]().entries)
        pictures = (decode(item).pixels if isinstance(item, bytes) else item for item in data)
    else:
        pictures = (read_pixels(path) for path in find_pictures(source))
    palette = learn_palette(pictures, colors)
    palette.write(out)
    if as_json:
        print_json({"path": str(out.resolve()), "colors": palette.colors})
    else:
        print_paths([out])


def apply(
    source: Source,
    out: OutFolder,
    palette: Annotated[str, typer.Option(help=f"The colors: {PALETTE_HELP}.", show_default=False)],
    dither: Dither = None,
    binary_alpha: Annotated[
        bool, typer.Option("--binary-alpha", help="Every pixel is either opaque or transparent.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Give every visible pixel the nearest color of a palette, and write PNGs with this palette, in its order.

    Names and subfolders are kept. Pictures of `noisette sample` keep their records.
    """
    from ..data.palette import read_palette
    from ..data.palette_lock import PaletteLock
    from ..edit.recolor import lock_colors, recolor

    lock = PaletteLock(read_palette(palette).colors, dither or 0.0, binary_alpha)
    _print(recolor(source, out, lock_colors(lock)), out, as_json)


def swap(
    source: Source,
    out: OutFolder,
    old: Annotated[str, typer.Option("--from", help=f"The colors to replace: {PALETTE_HELP}.", show_default=False)],
    new: Annotated[
        str, typer.Option("--to", help="The new colors, as many, each at the place of the old one.", show_default=False)
    ],
    as_json: Json = False,
) -> None:
    """Replace each color of a palette by the color of another at the same place. Other colors stay."""
    from ..data.palette import read_palette
    from ..edit.recolor import recolor, swap_colors

    _print(recolor(source, out, swap_colors(read_palette(old), read_palette(new))), out, as_json)


def _print(written: Iterable[Path], out: Path, as_json: bool) -> None:
    for path in written:
        if as_json:
            print_json({"path": str(path.resolve())})
    if not as_json:
        print_paths([out])


palette = typer.Typer(no_args_is_help=True, help="Palettes: learn one from pictures, apply one, swap two.")
for command in (learn, apply, swap):
    palette.command(cls=AliasedCommand)(command)
