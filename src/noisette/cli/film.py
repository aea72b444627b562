"""noisette film: what a model draws, as it comes to be."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError, known
from .sample import condition, on_device, wished, writable
from .terminal import console, wrote

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..edit.film import Reel
    from ..model import PictureModel
    from .sample import Wish

KINDS = ("denoising", "growth", "walk")
PICTURES = {"denoising": 16, "growth": 16, "walk": 4}
LASTING = {"denoising": 100, "growth": 400, "walk": 80}  # milliseconds
MOMENTS = {"denoising": "noise {}", "growth": "{} images seen", "walk": "{}"}
FRAMES = 48
LAST = 1500  # how long the last frame is held, where a film has an end


def film(
    model: Annotated[Path, typer.Argument(help="A run folder, or a model folder.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The film: .gif, .png (animated, every colour), .mp4.", show_default=False)],
    of: Annotated[
        str,
        typer.Option(
            help="denoising: pictures coming out of their noise. growth: one noise over the run. "
            "walk: from seed to seed and back, a loop."
        ),
    ] = "denoising",
    n: Annotated[
        int | None, typer.Option("-n", "--number", help="How many pictures; of a walk, how many to pass: 16, 4.")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="What to draw; may be given several times. All in turn unless said.")
    ] = None,
    attribute: Annotated[list[str] | None, typer.Option(help="hue=0.3 or shape=round.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the first picture; the next has the next.")] = None,
    steps: Annotated[int | None, typer.Option(help="More make a longer film. The model's own unless said.")] = None,
    sampler: Annotated[str | None, typer.Option(help="ddpm, ddim, heun, … The model's own unless said.")] = None,
    guidance: Annotated[
        float | None, typer.Option(help="How much further to go towards the label. The model's own unless said.")
    ] = None,
    noisy: Annotated[
        bool, typer.Option("--noisy", help="Of a denoising, show x_t itself, not what the model sees in it.")
    ] = False,
    frames: Annotated[int | None, typer.Option(help="Of a walk: 48 unless said.")] = None,
    each: Annotated[
        int | None, typer.Option("--ms", help="How long a frame is shown, in milliseconds: 100, 400, 80.")
    ] = None,
    hold: Annotated[int, typer.Option(help="How long the last frame is held, but for a walk's.")] = LAST,
    scale: Annotated[
        int | None, typer.Option(help="Times that a pixel is enlarged, even for .mp4. About 480 pixels unless said.")
    ] = None,
    columns: Annotated[int | None, typer.Option(help="Of pictures, side by side. About a square unless said.")] = None,
    paper: Annotated[
        str | None, typer.Option(help="A colour to put under transparent pictures: white, #1c1917.")
    ] = None,
    caption: Annotated[
        bool, typer.Option("--caption", help="Write below what moment it is: images seen, or noise level.")
    ] = False,
    strip: Annotated[
        Path | None, typer.Option(help="Write a still picture, too: its moments side by side, as .png.")
    ] = None,
) -> None:
    """Make a film: of pictures coming out of their noise, of a model growing, or of a walk from picture to picture.

    It ends with the pictures held, or loops without a seam. Every pixel stays a sharp square.
    """
    from ..model import load
    from ..viz.film import coloured, kind_of
    from ..viz.png import write_png

    kind, container = known(of, {name: name for name in KINDS}, "film"), kind_of(out)
    _checked(container, columns, scale, hold, each, strip)
    _only("walk", kind, {"--frames": frames})
    _only("denoising", kind, {"--noisy": noisy or None})
    if paper is not None:
        coloured(paper)
    loaded = on_device(load(model))
    number = PICTURES[kind] if n is None else n
    wish = wished(loaded, number, label, seed, steps, sampler, None, guidance, attributes=attribute)
    if kind == "growth":
        _of_the_run({"--label": label, "--attribute": attribute, "--seed": seed, "--steps": steps,
                     "--sampler": sampler, "--guidance": guidance})  # fmt: skip
    reel = _reel(kind, model, loaded, wish, FRAMES if frames is None else frames, noisy)
    writable(out.parent)
    _write(kind, out, reel, container == "MP4", each or LASTING[kind], hold, columns, scale, paper, caption)
    if strip is not None:
        write_png(strip, _strip(kind, reel, loaded, wish))
    wrote([out] if strip is None else [out, strip])


def _checked(
    container: str, columns: int | None, scale: int | None, hold: int, each: int | None, strip: Path | None
) -> None:
    for name, value in (("--columns", columns), ("--scale", scale), ("--hold", hold), ("--ms", each)):
        if value is not None and value < 1:
            raise InputError(f"{name} is {value}: give 1 or more")
    if container == "MP4" and scale is not None and scale % 2:
        raise InputError(f"--scale is {scale}: an MP4 keeps colours for two pixels by two, so give an even number")
    if strip is not None and strip.suffix.lower() != ".png":
        raise InputError(f"--strip is {strip}: it is a picture, so call it .png")


def _only(of: str, kind: str, said: dict[str, object]) -> None:
    """What is said of one kind of film says nothing of another."""
    if kind != of and (also := [name for name, value in said.items() if value is not None]):
        raise InputError(f"{also[0]} is for --of {of}: leave it out for {kind}")


def _of_the_run(others: dict[str, object]) -> None:
    """What a run drew as it grew is drawn already."""
    if also := [name for name, value in others.items() if value not in (None, [])]:
        raise InputError(f"{', '.join(also)} cannot be chosen for --of growth: it shows what the run itself drew")


def _reel(kind: str, folder: Path, model: "PictureModel", wish: "Wish", frames: int, noisy: bool) -> "Reel":
    from ..edit.film import Reel, denoising, growth
    from ..edit.walk import places, walked

    if kind == "growth":
        return growth(folder, model, len(wish.seeds))
    screen, grid, cond = console(to_stderr=True), model.grid(wish.steps, wish.grid), condition(model, wish)
    seeds, sampler = wish.seeds, model.sampler(wish.sampler)
    with screen.status(kind):
        if kind == "denoising":
            return denoising(model, seeds, cond, sampler, grid, wish.guidance, wish.batch, noisy=noisy)
        found = places(len(seeds), frames)
        parts = walked(model, seeds, cond, found, sampler, grid, wish.guidance, wish.batch)
        pictures = [picture for part in parts for picture in part.split(1)]
        return Reel(pictures, [f"{p.weight:.0%}" for p in found], loops=True)


def _write(
    kind: str, out: Path, reel: "Reel", mp4: bool, each: int, hold: int, columns: int | None, scale: int | None,
    paper: str | None, caption: bool,
) -> None:  # fmt: skip
    from ..viz.film import framed, write_film

    said = [MOMENTS[kind].format(words) for words in reel.said] if caption else ()
    images = framed(reel.frames, columns, scale, paper, said, even=mp4)
    write_film(out, images, each, each if reel.loops else hold)


def _strip(kind: str, reel: "Reel", model: "PictureModel", wish: "Wish") -> "Image":
    """Moments side by side; of a walk, all of it in reading order."""
    import torch

    from ..viz.grid import sheet
    from ..viz.strip import contact

    if kind == "walk":
        return sheet(torch.cat(list(reel.frames)))
    names = [label or "" for label in wish.labels]
    if kind == "growth":
        labels = model.pictures.labels or ("",)
        names = [labels[i % len(labels)] for i in range(len(reel.frames[0]))]
    return contact(reel.frames, reel.said, names[: len(reel.frames[0])])
