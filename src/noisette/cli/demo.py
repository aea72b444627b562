"""noisette demo: train on the built-in emoji for a few minutes, generate new ones, and show what a base is worth."""

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError
from ..sampling.files import ensure_writable
from .sample import draw_and_write
from .terminal import is_main_process, print_paths
from .train import run_training
from .units import parse_length

if TYPE_CHECKING:
    from ..data.entry import Source
    from ..models.picture_model import PictureModel
    from ..report.viz.strip import TrajectoryFrame
    from ..training import TrainOptions

SAMPLES_PER_LABEL = 8
SIZE = (16, 16)
FEW, FEW_SAMPLES = 60, 16  # pictures of the comparison of starts, and samples of each
COMPARISON_SHARE = 0.2  # of the time, for each of the two runs of the comparison


def demo(
    out: Annotated[Path, typer.Option(help="Folder to write into.")] = Path("demo"),
    time_box: Annotated[
        str | None,
        typer.Option("--for", help="Time for all training, like 90s, 5m or 1h. Default: 5m.", show_default=False),
    ] = None,
    images: Annotated[
        str | None, typer.Option(help="Training images of all training, instead of --for: 20k.", show_default=False)
    ] = None,
) -> None:
    """Train on the built-in emoji for about five minutes, then generate new ones of every label.

    Also writes an animation of sampling, samples during training and a comparison: trained on 60 icons, from scratch
    and from a base model of the package. After an interruption, the same command continues.
    """
    start = time.monotonic()
    length = parse_length(time_box, images, "5m", "demo")
    ensure_writable(out)
    from ..models.picture_model import load
    from ..models.shipped import find_base
    from ..sampling.draw import to_accelerator
    from ..training import TrainOptions

    base = find_base(*SIZE)
    share = 0.0 if base is None else COMPARISON_SHARE
    options = TrainOptions(size=SIZE, **share_of(length, 1 - 2 * share))
    model = to_accelerator(load(run_training("emoji", out / "run", options, start)))
    compared = []
    if base is not None:
        compared = [compare_starts(base, open_few(), replace(options, evaluations=0, **share_of(length, share)), out)]
    if is_main_process():
        print_paths(
            [
                draw_sprites(model, out),
                *draw_denoising(model, out),
                draw_growth(model, out),
                *compared,
                out / "sprites",
                out / "run",
            ]
        )
        typer.echo(f"generate more: noisette sample {out / 'run'} --out pictures")


def share_of(length: tuple[float | None, int | None], share: float) -> dict[str, Any]:
    """The length of one of several trainings, as TrainOptions has it. length: seconds or images, as `parse_length`."""
    seconds, images = length
    return {"seconds": seconds and seconds * share, "images": images and max(1, round(images * share))}


def open_few() -> "Source":
    """A few icons without labels; of the emoji, if the package of the icons is not installed."""
    import numpy as np

    from ..data.builtin import open_emoji, open_icons

    try:
        source = open_icons()
    except InputError:
        source = open_emoji()
    rows = sorted(np.random.default_rng(0).choice(len(source.entries), FEW, replace=False))
    return replace(source, entries=tuple(replace(source.entries[row], label=None) for row in rows))


def compare_starts(base: str, few: "Source", options: "TrainOptions", out: Path) -> Path:
    """Train on the same few pictures from scratch and from a base; samples of both, and the pictures, on one sheet."""
    from ..data import Dataset
    from ..data.contact_sheet import LabeledRow, labeled_sheet
    from ..data.png import write_png
    from ..evaluation.held_out import all_pixels
    from ..sampling.draw import draw

    rows, run = [], out
    for name, start_from in (("from scratch", "none"), (f"from {Path(base).name}", base)):
        run = out / name.replace(" ", "-")
        changed = replace(options, start_from=start_from, preset="tiny" if start_from == "none" else "auto")
        rows.append(LabeledRow(name, draw(run_training(few, run, changed, time.monotonic()), FEW_SAMPLES).pixels))
    pictures = all_pixels(Dataset.open(run).train)[:FEW_SAMPLES]
    path = out / "starts.png"
    title = f"Trained on {len(few.entries)} pictures for equally long: some of them, and samples"
    write_png(path, labeled_sheet([LabeledRow(few.location, pictures), *rows], title), origin="edited")
    return path


def draw_sprites(model: "PictureModel", out: Path) -> Path:
    """New sprites, a row for each label."""
    import torch

    from ..data.contact_sheet import LabeledRow, labeled_sheet
    from ..data.png import write_png
    from ..sampling.request import make_request

    names = model.pictures.labels or ("new",)
    request = make_request(model, SAMPLES_PER_LABEL * len(names))
    steps = -(-len(request) // request.batch) * request.steps
    written = [sample.pixels for sample in draw_and_write(model, [request], steps, _make_folder(out / "sprites"))]
    rows = [LabeledRow(name, torch.cat(written[i :: len(names)])) for i, name in enumerate(names)]
    path = out / "sprites.png"
    write_png(
        path,
        labeled_sheet(rows, f"New sprites of every label, {model.pictures.width} x {model.pictures.height} pixels"),
    )
    return path


def draw_denoising(model: "PictureModel", out: Path) -> list[Path]:
    """One sprite during sampling: a strip, and an animation."""
    from PIL import Image

    from ..data.contact_sheet import enlarge, fit_scale
    from ..data.png import to_image, write_png
    from ..report.viz.animation import write_film
    from ..report.viz.strip import collect_frames, denoising_strip
    from ..sampling.generate import initial_state
    from ..sampling.request import make_request
    from ..sampling.run import run_request

    request = make_request(model, 1, guidance=1)
    start, _ = initial_state(model, request.lineages, request.make_grid(model), request.temperature)
    frames = collect_frames(start, run_request(model, request), model.schedule, model.pictures)
    strip = out / "denoising.png"
    title = "One sprite during sampling: x_t, and the model's estimate of x0; above, the noise level sigma/alpha"
    write_png(strip, denoising_strip(frames, title))

    def join(frame: "TrajectoryFrame") -> Image.Image:
        both = [to_image(frame.x_t), to_image(frame.x0)]
        width, height = both[0].size
        canvas = Image.new(both[0].mode, (2 * width + 1, height))
        for i, image in enumerate(both):
            canvas.paste(image, (i * (width + 1), 0))
        return enlarge(canvas, fit_scale(2, width, 320))

    film = out / "denoising.gif"
    write_film(film, [join(frame) for frame in frames])
    return [strip, film]


def draw_growth(model: "PictureModel", out: Path) -> Path:
    """Samples of the same noises during training."""
    from ..data.png import write_png
    from ..report.film import growth_film
    from ..report.viz.strip import frame_strip

    animation = growth_film(out / "run", model)
    names = model.pictures.labels or ("",)
    shown = min(6, len(animation.frames[0]))
    path = out / "growth.png"
    title = "Samples of the same noises during training; above, the images seen"
    write_png(
        path, frame_strip(animation.frames, animation.captions, [names[i % len(names)] for i in range(shown)], title)
    )
    return path


def _make_folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path
