"""noisette demo: the main job, on the built-in emoji, small enough for a laptop."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .sample import draw, on_device, wished, writable
from .terminal import is_first, wrote
from .train import run
from .units import duration

if TYPE_CHECKING:
    from ..model import PictureModel
    from ..viz.strip import Moment

EACH = 8  # new sprites of every label
SIZE = (16, 16)


def demo(
    out: Annotated[Path, typer.Option(help="The folder to write into.")] = Path("demo"),
    time_box: Annotated[str, typer.Option("--for", help="How long to train.")] = "5m",
) -> None:
    """Train on the built-in emoji for about five minutes, then draw new ones of every label.

    Shows, too, how one sprite comes out of its noise, and how the model grew. Interrupted, the same command goes on.
    """
    began = time.monotonic()
    seconds = duration(time_box)
    writable(out)
    from ..model import load
    from ..train import TrainOptions

    options = TrainOptions(seconds=seconds, size=SIZE)
    model = on_device(load(run("emoji", out / "run", options, began)))
    if is_first():
        wrote([sprites(model, out), *denoised(model, out), grown(model, out), out / "sprites", out / "run"])
        typer.echo(f"more of them: noisette sample {out / 'run'} --out pictures")


def sprites(model: "PictureModel", out: Path) -> Path:
    """New sprites, one row a label."""
    import torch

    from ..viz.grid import Row, labelled
    from ..viz.png import write_png

    names = model.pictures.labels or ("new",)
    made = [d for d in draw(model, wished(model, EACH * len(names)), _folder(out / "sprites")) if d is not None]
    rows = [Row(name, torch.cat([d.pixels for d in made[i :: len(names)]])) for i, name in enumerate(names)]
    path = out / "sprites.png"
    write_png(
        path, labelled(rows, f"New sprites of every label, {model.pictures.width} x {model.pictures.height} pixels")
    )
    return path


def denoised(model: "PictureModel", out: Path) -> list[Path]:
    """One sprite on its way out of the noise: a strip, and a film."""
    from PIL import Image

    from ..edit.generate import generate, start
    from ..viz.film import write_film
    from ..viz.grid import enlarged, fitting
    from ..viz.png import to_image, write_png
    from ..viz.strip import denoising, moments

    grid, label = model.grid(), next(iter(model.pictures.labels), None)
    cond = None if label is None else model.condition(label, 1)
    walk = generate(model, [0], cond, model.sampler(), grid)
    found = moments(start(model, [0], grid)[0], walk, model.schedule, model.pictures)
    strip = out / "denoising.png"
    title = (
        "One sprite out of noise: what the model is given, and what it sees in it; above, the noise level sigma/alpha"
    )
    write_png(strip, denoising(found, title))

    def frame(moment: "Moment") -> Image.Image:
        both = [to_image(moment.noisy), to_image(moment.clean)]
        width, height = both[0].size
        canvas = Image.new(both[0].mode, (2 * width + 1, height))
        for i, one in enumerate(both):
            canvas.paste(one, (i * (width + 1), 0))
        return enlarged(canvas, fitting(2, width, 320))

    film = out / "denoising.gif"
    write_film(film, [frame(m) for m in found])
    return [strip, film]


def grown(model: "PictureModel", out: Path) -> Path:
    """The same noises at every stage of the run."""
    from ..edit.film import growth
    from ..viz.png import write_png
    from ..viz.strip import contact

    reel = growth(out / "run", model)
    names = model.pictures.labels or ("",)
    shown = min(6, len(reel.frames[0]))
    path = out / "growth.png"
    title = "The same noises as the model grew; above, the images that it had seen"
    write_png(path, contact(reel.frames, reel.said, [names[i % len(names)] for i in range(shown)], title))
    return path


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path
