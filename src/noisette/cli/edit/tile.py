"""noisette edit tile: pictures that go on at their other side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors import InputError
from ..spread import spread
from .job import Job, begin, note, positive, ready, report, sheet_of, told_of
from .options import Led, Model, Number, Out, Rounds

if TYPE_CHECKING:
    from ...edit.retouch import Turn
    from ...shapes import Bytes


@spread
def tile(
    model: Model,
    out: Out,
    axes: Annotated[str, typer.Option(help="x: left and right fit; y: top and bottom; xy: both.")] = "xy",
    picture: Annotated[
        Path | None, typer.Option(help="Make this one seamless; a new one unless said.", show_default=False)
    ] = None,
    band: Annotated[
        int | None, typer.Option(help="Pixels at each edge of --picture to draw anew: a quarter unless said.")
    ] = None,
    rounds: Rounds = 5,
    n: Number = 8,
    *,
    asked: Led,
) -> None:
    """Draw pictures without a seam, or take the seam out of one.

    tile-SEED.png, each with its seam scores (the step at the edge against steps inside: 1 is none), and grid.png with
    each of them three times three.
    """
    if axes not in ("x", "y", "xy"):
        raise InputError(f"--axes is {axes!r}: give x, y or xy")
    if band is not None and picture is None:
        raise InputError("--band is a part of --picture, which is not given")
    positive("--rounds", rounds)
    job = begin(model, out, "tile", {"axes": axes}, n, asked)
    made = _new(job, axes) if picture is None else _repaired(job, axes, picture, band, rounds)
    preview = sheet_of(out / "grid.png", [m.pixels.repeat(1, 1, 3, 3) for m in made])
    report(made, [preview], asked.as_json)


def _new(job: Job, axes: str) -> list[Any]:
    from ...edit.retouch import seamless

    ready(job)
    pictures = job.model.pictures

    def one(turn: "Turn") -> "Bytes":
        return seamless(pictures, turn, axes)

    return job.draw(one, "tile", about=lambda pixels: _seams(job, pixels), temperature=job.temperature)


def _repaired(job: Job, axes: str, picture: Path, band: int | None, rounds: int) -> list[Any]:
    from ...edit.picture import read_picture
    from ...edit.retouch import mended
    from ...edit.tile import border

    given = read_picture(picture, job.model.pictures)
    height, width = job.model.pictures.height, job.model.pictures.width
    wide = min(height, width) // 4 if band is None else band
    border(height, width, wide, "x" in axes, "y" in axes)
    job = job.telling(told_of(given) | {"band": wide, "rounds": rounds})
    note(given)
    ready(job)

    def one(turn: "Turn") -> "Bytes":
        return mended(job.model.pictures, turn, given.pixels, axes, wide, rounds)

    return job.draw(one, picture.stem, rounds, about=lambda pixels: _seams(job, pixels))


def _seams(job: Job, pixels: "Bytes") -> dict[str, float]:
    from ...edit.tile import seam

    x0 = job.model.pictures.encode(pixels)
    return {f"seam_{name}": round(float(seam(x0, axis)), 3) for name, axis in (("x", -1), ("y", -2))}
