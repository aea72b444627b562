"""noisette edit inpaint: fill in what is missing."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import InputError, known
from ..spread import spread
from .job import begin, note, positive, ready, report, sheet_of, told_of
from .options import Led, Model, Number, Out, Picture, Rounds

if TYPE_CHECKING:
    from torch import Tensor

    from ...edit.picture import Given
    from ...pictures import Pictures


WIDEST = 256  # pixels of a margin


@spread
def inpaint(
    model: Model,
    picture: Picture,
    out: Out,
    mask: Annotated[
        Path | None,
        typer.Option(
            help="A picture of the same size: white where new pixels are wanted; or, in one with transparent pixels, "
            "where it is transparent. Unless said, what is transparent in PICTURE is wanted."
        ),
    ] = None,
    margin: Annotated[int, typer.Option(help="Draw so many pixels more on every side: outpainting.")] = 0,
    way: Annotated[str, typer.Option(help="repaint, or ddnm.")] = "repaint",
    rounds: Rounds = 5,
    n: Number = 8,
    *,
    asked: Led,
) -> None:
    """Fill in a part of a picture. The other pixels stay as they are, byte for byte.

    PICTURE-SEED.png, and grid.png with the picture first.
    """
    import torch

    from ...edit.inpaint import canvas, kept
    from ...edit.picture import read_picture
    from ...edit.retouch import WAYS, filled

    positive("--rounds", rounds)
    if not 0 <= margin <= WIDEST:
        raise InputError(f"--margin is {margin}: give 0 to {WIDEST}")
    known(way, WAYS, "way of inpainting")
    told = {"way": way, "rounds": rounds}
    job = begin(model, out, "inpaint", told, n, asked)
    given = read_picture(picture, job.model.pictures)
    pixels, there = given.pixels, _known(given, mask, margin, job.model.pictures)
    if margin:
        pixels, there = canvas(pixels, there, margin)
    job = job.telling(told_of(given) | {"mask": None if mask is None else mask.name, "margin": margin})
    note(given)
    ready(job)
    made = job.draw(
        lambda turn: filled(job.model.pictures, turn, pixels, there, rounds, way), Path(picture).stem, rounds
    )
    hole = kept(pixels, there, torch.zeros_like(pixels))
    grid = sheet_of(out / "grid.png", [hole, *(m.pixels for m in made)])
    report(made, [grid], asked.as_json)


def _known(given: "Given", mask: Path | None, margin: int, pictures: "Pictures") -> "Tensor":
    """1 where a pixel of the picture is kept: all of them where a margin is all that is wanted."""
    import torch

    from ...edit.picture import read_mask

    if mask is not None:
        there: torch.Tensor = read_mask(mask, given, pictures)
    else:
        there = torch.ones_like(given.opaque) if margin else given.opaque
    if not margin and bool(there.all()):
        what = f"{given.path} has no transparent pixel: give a --mask" if mask is None else f"{mask} marks none"
        raise InputError(f"nothing is to be filled in: {what}, white where new pixels are wanted")
    return there
