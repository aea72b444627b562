"""noisette film: animations of sampling, of training, and of interpolation."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError, lookup
from ..sampling.files import ensure_writable
from .bounds import check_minimum
from .sample_options import Attributes, GuidanceScale, Model, SamplerName, Steps
from .terminal import get_console, print_paths

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..models.picture_model import PictureModel
    from ..report.film import Film
    from ..sampling.request import SampleRequest

KINDS = ("denoising", "growth", "walk")
DEFAULT_COUNTS = {"denoising": 16, "growth": 16, "walk": 4}
DEFAULT_FRAME_MS = {"denoising": 100, "growth": 400, "walk": 80}  # milliseconds
CAPTION_FORMATS = {"denoising": "noise {}", "growth": "{} images seen", "walk": "{}"}
DEFAULT_FRAMES = 48
DEFAULT_HOLD_MS = 1500  # of the last frame of a film that is no loop


def film(
    model: Model,
    out: Annotated[
        Path,
        typer.Option(help="File to write: .gif (256 colors), .png (animated, all colors) or .mp4.", show_default=False),
    ],
    kind_name: Annotated[
        str,
        typer.Option(
            "--kind",
            help="denoising: the pictures after each sampling step. growth: the samples that a run wrote during "
            "training, all from the same noise. walk: interpolation between seeds, as a loop.",
        ),
    ] = "denoising",
    n: Annotated[
        int | None, typer.Option("-n", "--number", help="Number of pictures. Default: 16; for a walk, 4 seeds.")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="Label. Repeatable: labels are used in turn. Default: all labels in turn.")
    ] = None,
    attribute: Attributes = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the first picture; picture i has seed + i. Default: 0.")
    ] = None,
    steps: Steps = None,
    sampler: SamplerName = None,
    guidance: GuidanceScale = None,
    noisy: Annotated[
        bool, typer.Option("--noisy", help="For denoising: show x_t, not the model's estimate of x0.")
    ] = False,
    frames: Annotated[int | None, typer.Option(help="Number of frames of a walk. Default: 48.")] = None,
    frame_ms: Annotated[
        int | None,
        typer.Option(help="Milliseconds that a frame is shown. Default: denoising 100, growth 400, walk 80."),
    ] = None,
    hold_ms: Annotated[
        int, typer.Option(help="Milliseconds that the last frame of denoising and growth is shown.")
    ] = DEFAULT_HOLD_MS,
    scale: Annotated[
        int | None,
        typer.Option(
            help="Factor by which pictures are enlarged, for .mp4 an even number. Default: longer side of about 480 px."
        ),
    ] = None,
    columns: Annotated[
        int | None, typer.Option(help="Number of pictures side by side. Default: the grid is about square.")
    ] = None,
    background: Annotated[
        str | None,
        typer.Option(
            help="Color behind transparent pixels, like white or #1c1917. Default: none (.gif, .mp4: a checkerboard)."
        ),
    ] = None,
    caption: Annotated[
        bool,
        typer.Option(
            "--caption", help="Write the noise level (growth: the number of training images) below the pictures."
        ),
    ] = False,
    strip: Annotated[
        Path | None, typer.Option(help="Also write selected frames (of a walk all) side by side into this .png.")
    ] = None,
) -> None:
    """Make an animation: of sampling, of a model during training, or of an interpolation between pictures.

    Each pixel is enlarged to a square, without smoothing.
    """
    from ..data.png import write_png
    from ..models.picture_model import load
    from ..report.viz.animation import film_format, parse_color
    from ..sampling.draw import to_accelerator
    from ..sampling.request import make_request

    kind, container = lookup(kind_name, {name: name for name in KINDS}, "film"), film_format(out)
    _check_options(container, columns, scale, hold_ms, frame_ms, strip)
    _require_kind("walk", kind, {"--frames": frames})
    _require_kind("denoising", kind, {"--noisy": noisy or None})
    if background is not None:
        parse_color(background)
    loaded = to_accelerator(load(model))
    number = DEFAULT_COUNTS[kind] if n is None else n
    request = make_request(
        loaded, number, label, seed=seed or 0, steps=steps, sampler=sampler, guidance=guidance, attributes=attribute
    )
    if kind == "growth":
        _reject_for_growth({"--label": label, "--attribute": attribute, "--seed": seed, "--steps": steps,
                     "--sampler": sampler, "--guidance": guidance})  # fmt: skip
    animation = _make_animation(kind, model, loaded, request, DEFAULT_FRAMES if frames is None else frames, noisy)
    ensure_writable(out.parent)
    _write_film(
        kind, out, animation, container == "MP4", frame_ms or DEFAULT_FRAME_MS[kind], hold_ms, columns, scale,
        background, caption,
    )  # fmt: skip
    if strip is not None:
        write_png(strip, _make_strip(kind, animation, loaded, request))
    print_paths([out] if strip is None else [out, strip])


def _check_options(
    container: str, columns: int | None, scale: int | None, hold_ms: int, frame_ms: int | None, strip: Path | None
) -> None:
    for name, value in (("--columns", columns), ("--scale", scale), ("--hold-ms", hold_ms), ("--frame-ms", frame_ms)):
        check_minimum(name, value)
    if container == "MP4" and scale is not None and scale % 2:
        raise InputError(f"--scale must be even for .mp4, which stores colors of 2×2 pixels, got {scale}")
    if strip is not None and strip.suffix.lower() != ".png":
        raise InputError(f"--strip must be a .png file, got {strip}")


def _require_kind(required: str, kind: str, options: dict[str, object]) -> None:
    """Raise InputError for options of another kind of film."""
    if kind != required and (given := [name for name, value in options.items() if value is not None]):
        raise InputError(f"{given[0]} is for --kind {required}: leave it out for {kind}")


def _reject_for_growth(options: dict[str, object]) -> None:
    """Raise InputError for options that --kind growth does not take: it shows samples that the run wrote."""
    if given := [name for name, value in options.items() if value not in (None, [])]:
        raise InputError(f"--kind growth shows samples that the run wrote: leave {', '.join(given)} out")


def _make_animation(
    kind: str, folder: Path, model: "PictureModel", request: "SampleRequest", frames: int, noisy: bool
) -> "Film":
    from ..edit.walk import draw_walk, walk_positions
    from ..report.film import Film, denoising_film, growth_film

    if kind == "growth":
        return growth_film(folder, model, len(request))
    with get_console(to_stderr=True).status(kind):
        if kind == "denoising":
            return denoising_film(model, request, show_noisy=noisy)
        positions = walk_positions(len(request), frames)
        pictures = [picture for part in draw_walk(model, request, positions) for picture in part.split(1)]
        return Film(pictures, [f"{position.weight:.0%}" for position in positions], is_loop=True)


def _write_film(
    kind: str, out: Path, animation: "Film", mp4: bool, frame_ms: int, hold_ms: int, columns: int | None,
    scale: int | None, background: str | None, show_captions: bool,
) -> None:  # fmt: skip
    from ..report.viz.animation import make_frames, write_film

    captions = [CAPTION_FORMATS[kind].format(caption) for caption in animation.captions] if show_captions else ()
    images = make_frames(animation.frames, columns, scale, background, captions, require_even=mp4)
    write_film(out, images, frame_ms, frame_ms if animation.is_loop else hold_ms)


def _make_strip(kind: str, animation: "Film", model: "PictureModel", request: "SampleRequest") -> "Image":
    """Frames side by side; of a walk, all frames in reading order."""
    import torch

    from ..data.contact_sheet import contact_sheet
    from ..report.viz.strip import frame_strip

    if kind == "walk":
        return contact_sheet(torch.cat(list(animation.frames)))
    names = [label or "" for label in request.labels]
    if kind == "growth":
        labels = model.pictures.labels or ("",)
        names = [labels[i % len(labels)] for i in range(len(animation.frames[0]))]
    return frame_strip(animation.frames, animation.captions, names[: len(animation.frames[0])])
