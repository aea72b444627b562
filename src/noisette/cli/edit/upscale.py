"""noisette edit upscale: a small picture made large."""

from pathlib import Path
from typing import Annotated

import typer

from ..spread import spread
from .job import begun, encoded, note, opened, positive, ready, report, sheet_of, told_of
from .options import Led, Model, Number, Out, Picture


@spread
def upscale(
    model: Model,
    picture: Picture,
    out: Out,
    rounds: Annotated[
        int | None, typer.Option(help="How often each step is taken: 3, or 1 by a model that was trained to upscale.")
    ] = None,
    n: Number = 8,
    *,
    asked: Led,
) -> None:
    """Draw a small picture at the model's size: shrunk again, what comes out is the small picture.

    Any model of larger pictures will do, and one of `noisette train --task upscale` does it best. A whole number must
    make the picture as large as the model's. PICTURE-SEED.png, and grid.png with the picture, its pixels repeated,
    first.
    """
    from ...edit.picture import read_small
    from ...edit.retouch import enlarged

    loaded = opened(model)
    trained = loaded.config.task.wanted(loaded.pictures) is not None
    rounds = rounds if rounds is not None else 1 if trained else 3
    positive("--rounds", rounds)
    given, factor = read_small(picture, loaded.pictures)
    small = encoded(loaded, given.pixels)
    told = told_of(given) | {"factor": factor, "rounds": rounds}
    job = begun(loaded, out, "upscale", told, n, asked, small if trained else None)
    note(given)
    ready(job)
    made = job.draw(
        lambda turn: enlarged(job.model.pictures, turn, given.pixels, factor, rounds),
        Path(picture).stem,
        rounds,
        temperature=job.temperature,
    )
    nearest = given.pixels.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    report(made, [sheet_of(out / "grid.png", [nearest, *(m.pixels for m in made)])], asked.as_json)
