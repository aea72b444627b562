"""noisette edit invert: the noise of a picture, and what else it may become."""

from typing import TYPE_CHECKING, Annotated

import typer

from ..terminal import is_first
from .job import Written, begin, in_model_space, note, ready, report, sheet_of, told_of
from .options import Asked, Guidance, Json, Model, Out, Picture

if TYPE_CHECKING:
    from ...shapes import Images


def invert(
    model: Model,
    picture: Picture,
    out: Out,
    own: Annotated[
        str | None, typer.Option("--of", help="The label that the picture has, or a mixture. None unless said.")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="Draw it again as this one; may be given several times.")
    ] = None,
    steps: Annotated[int, typer.Option(help="More are slower, and the picture comes back better.")] = 50,
    sampler: Annotated[str, typer.Option(help="heun, ddim, or another one that draws no noise.")] = "heun",
    guidance: Guidance = None,
    as_json: Json = False,
) -> None:
    """Walk from a picture back to its noise, and draw it again from there: as it was, and under other labels.

    PICTURE-back.png, PICTURE-LABEL.png, and grid.png with the picture first. Says how well the picture comes back.
    """
    import torch

    from ...edit.generate import steered
    from ...edit.invert import invert as inverted
    from ...edit.invert import psnr, redraw
    from ...edit.picture import read_picture

    asked = Asked(label=None if own is None else [own], steps=steps, sampler=sampler, guidance=guidance)
    job = begin(model, out, "invert", {"of": own}, 1, asked)
    given, model_, wish = read_picture(picture, job.model.pictures), job.model, job.wish
    wishes = {name: model_.condition(name, 1) for name in label or []}
    device, walked = next(model_.parameters()).device, model_.sampler(wish.sampler)
    grid, cond = model_.grid(wish.steps, wish.grid), model_.condition(own, 1)
    mine = model_.given(None if cond is None else cond.to(device))
    x0 = in_model_space(job, given.pixels)
    with torch.no_grad():
        x = inverted(mine, grid, x0, walked)
        back = redraw(mine, grid, x, walked)
    decibels = round(float(psnr(back, x0)), 2)
    job = job.telling(told_of(given))
    note(given)
    ready(job)

    def write(name: str, drawn: "Images", as_: str | None) -> Written:
        from ...viz.png import write_png
        from ..sample import words

        decoded = model_.pictures.decode if name == "back" else model_.pictures.finished
        pixels = decoded(drawn).cpu()
        said = {"edit": "invert", "model": model_.hash, "label": as_, "sampler": wish.sampler, "grid": wish.grid}
        said |= {"steps": wish.steps, "guidance": wish.guidance, "psnr": decibels} | dict(job.told)
        path = out / f"{picture.stem}-{words(name)}.png"
        write_png(path, pixels, said)
        return Written(path, pixels, said)

    made = [write("back", back, own)]
    for name, cond in wishes.items():
        other = steered(model_, None if cond is None else cond.to(device), wish.guidance)
        made.append(write(name, redraw(other, grid, x, walked), name))
    sheet = sheet_of(out / "grid.png", [given.pixels, *(m.pixels for m in made)])
    report(made, [sheet], as_json)
    if is_first() and not as_json:
        typer.echo(f"the picture came back at {decibels:.1f} dB")
