"""noisette plan: what would more pictures bring?"""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError
from .terminal import Bar, console, machine
from .units import compact, count, duration, size

if TYPE_CHECKING:
    from ..train.learning_curve import Outlook


def plan(
    source: Annotated[
        str, typer.Argument(help="A folder, zip, array or sprite sheet, or a built-in set.", show_default=False)
    ],
    time_box: Annotated[str | None, typer.Option("--for", help="How long: 6m, 20m. 6m unless said.")] = None,
    images: Annotated[str | None, typer.Option(help="How many images each model sees, instead of how long.")] = None,
    more: Annotated[int, typer.Option(help="How many more pictures you could get.")] = 50,
    preset: Annotated[str, typer.Option(help="As for noisette train.")] = "auto",
    picture: Annotated[str | None, typer.Option("--size", help="16, or 32x24 (wide x high).")] = None,
    pixel_art: Annotated[bool, typer.Option("--pixel-art", help="As for noisette train.")] = False,
    seed: Annotated[int, typer.Option(help="Of all that is random.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what more pictures would bring, by training on a quarter, a half and all of those that there are.

    Six small models see equally many images: two of each size. Nothing is kept of them.
    """
    if time_box is not None and images is not None:
        raise InputError("--for and --images both say how long it takes: give one of them")
    if more < 1:
        raise InputError(f"--more is {more}: give 1 or more")
    seconds = duration(time_box or "6m") if images is None else None
    number = None if images is None else count(images)
    side = None if picture is None else size(picture)
    from ..data import prepare
    from ..train import TrainOptions
    from ..train.learning_curve import outlook, told

    options = TrainOptions(preset=preset, seconds=seconds, images=number, size=side, pixel_art=pixel_art, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        data = prepare(source, Path(folder), size=side, pixel_art=pixel_art, seed=seed)
        with Bar("training") as bar:
            found = outlook(data, options, more, lambda images, total: bar("training six models", images, total))
    if as_json:
        machine(told(found))
    else:
        show(found)


def show(found: "Outlook") -> None:
    """The table, and the sentence."""
    from rich.table import Table

    table = Table(title=f"Six models that saw {compact(found.images)} images each", title_justify="left", box=None)
    for head in ("pictures", "held-out loss", "lowest after"):
        table.add_column(head, justify="right")
    for point in found.points:
        table.add_row(f"{point.pictures:,}", f"{point.loss:.4f}", f"{compact(point.at)} images")
    console().print(table)
    typer.echo(found.says)
