"""noisette edit vary: pictures like this one."""

from pathlib import Path
from typing import Annotated

import typer

from ..spread import spread
from .job import begin, note, ready, report, sheet_of, told_of
from .options import Led, Model, Number, Out, Picture


@spread
def vary(
    model: Model,
    picture: Picture,
    out: Out,
    strength: Annotated[float, typer.Option(help="From near 0, a little, to 1, nothing stays.")] = 0.5,
    n: Number = 8,
    *,
    asked: Led,
) -> None:
    """Draw pictures like this one: noise is put on it, and the model takes it off again (SDEdit).

    PICTURE-SEED.png, and grid.png with the picture first.
    """
    from ...edit.picture import read_picture
    from ...edit.retouch import varied
    from ...edit.vary import last

    job = begin(model, out, "vary", {"strength": strength}, n, asked)
    last(job.model.grid(job.wish.steps, job.wish.grid), strength)
    given = read_picture(picture, job.model.pictures)
    job = job.telling(told_of(given))
    note(given)
    ready(job)
    made = job.draw(lambda turn: varied(job.model.pictures, turn, given.pixels, strength), Path(picture).stem)
    grid = sheet_of(out / "grid.png", [given.pixels, *(m.pixels for m in made)])
    report(made, [grid], asked.as_json)
