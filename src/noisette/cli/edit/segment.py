"""noisette edit segment: where in a picture the thing is that a model learned to find."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..spread import spread
from .job import begun, note, opened, ready, report, sheet_of, told_of
from .options import Asked, Model, Number, Out, Picture

if TYPE_CHECKING:
    from ...edit.retouch import Turn
    from ...shapes import Bytes


@spread
def segment(
    model: Model,
    picture: Picture,
    out: Out,
    n: Number = 8,
    *,
    asked: Asked,
) -> None:
    """Find the mask of a picture, by a model of `noisette train --task segment`, and say how sure it is.

    PICTURE-SEED.png are samples; PICTURE-mask.png is white where most of them are, PICTURE-uncertainty.png where they
    differ. grid.png shows the picture, the mask, the uncertainty, and the samples.
    """
    import torch

    from ...edit.picture import read_picture
    from ...edit.retouch import found
    from ...edit.segment import chance, inside, uncertainty
    from ...errors import InputError
    from ...task import Segment, like
    from ...viz.png import write_png

    loaded = opened(model)
    task, pictures = loaded.config.task, loaded.pictures
    if not isinstance(task, Segment):
        raise InputError(
            f"{model} finds no masks: a model of noisette train FOLDER --task segment does, of pictures with masks"
        )
    given = read_picture(picture, replace(task.given, height=pictures.height, width=pictures.width))
    x = task.given.encode(given.pixels).to(next(loaded.parameters()).device)
    job = begun(loaded, out, "segment", told_of(given), n, asked, x)
    note(given)
    ready(job)
    samples: list[torch.Tensor] = []

    def one(turn: "Turn") -> "Bytes":
        samples.append(found(pictures, turn).cpu())
        return pictures.decode(samples[-1])

    name = Path(picture).stem
    made = job.draw(one, name, temperature=job.temperature)
    share = chance(torch.cat(samples))
    maps = {"mask": inside(share), "uncertainty": uncertainty(share)}
    pixels = {what: (255 * of.float()).round().to(torch.uint8) for what, of in maps.items()}
    paths = {what: out / f"{name}-{what}.png" for what in maps}
    for what, path in paths.items():
        write_png(path, pixels[what], {"edit": "segment", "is": what, "of": n, "model": loaded.hash} | told_of(given))
    shown = [given.pixels, *(like(p, task.given) for p in (*pixels.values(), *(m.pixels for m in made)))]
    report(made, [*paths.values(), sheet_of(out / "grid.png", shown)], asked.as_json)
