"""noisette edit upscale: a small picture made large."""

from pathlib import Path

from .job import begin, note, positive, ready, report, sheet_of, told_of
from .options import Asked, Model, Number, Out, Picture, Rounds, asks


@asks
def upscale(
    model: Model,
    picture: Picture,
    out: Out,
    rounds: Rounds = 3,
    n: Number = 8,
    *,
    asked: Asked,
) -> None:
    """Draw a small picture at the model's size: shrunk again, what comes out is the small picture.

    A whole number must make it as large as the model's pictures. PICTURE-SEED.png, and grid.png with the picture,
    its pixels repeated, first.
    """
    from ...edit.picture import read_small
    from ...edit.retouch import enlarged

    positive("--rounds", rounds)
    job = begin(model, out, "upscale", {}, n, asked)
    given, factor = read_small(picture, job.model.pictures)
    job = job.telling(told_of(given) | {"factor": factor, "rounds": rounds})
    note(given)
    ready(job)
    made = job.draw(
        lambda turn: enlarged(job.model.pictures, turn, given.pixels, factor, rounds), Path(picture).stem, rounds
    )
    nearest = given.pixels.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    report(made, [sheet_of(out / "grid.png", [nearest, *(m.pixels for m in made)])], asked.as_json)
