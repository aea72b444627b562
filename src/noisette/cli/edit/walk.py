"""noisette edit walk: interpolation between noises, labels and texts, as a film."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import InputError
from ..bounds import check_minimum
from ..option_groups import expand_option_groups
from .job import EditJob, WrittenEdit, check_output_folder, open_job
from .options import GuidedEditOptions, Model, Out

if TYPE_CHECKING:
    from ...edit.walk import WalkPosition
    from ...shapes import UInt8Images

FILM_FORMATS = ("gif", "png", "mp4", "none")


@expand_option_groups
def walk(
    model: Model,
    out: Out,
    keyframes: Annotated[
        int, typer.Option(help="Number of noises to interpolate between, of seeds --seed, --seed + 1, ….")
    ] = 4,
    frames: Annotated[int, typer.Option(help="Number of frames.")] = 48,
    loop: Annotated[
        bool, typer.Option("--loop/--no-loop", help="Return to the first keyframe, or end at the last.")
    ] = True,
    film_format: Annotated[
        str, typer.Option("--format", help="Film: gif, png (animated), mp4 (needs noisette\\[mp4]), or none.")
    ] = "gif",
    frame_ms: Annotated[int, typer.Option(help="How long a frame is shown, in milliseconds.")] = 80,
    *,
    options: GuidedEditOptions,
) -> None:
    """Interpolate between noises, and between labels or texts if several are given, and write the frames.

    Writes frame-00.png, …, and walk.gif. In a loop, the frame after the last is the first.
    """
    if film_format not in FILM_FORMATS:
        raise InputError(f"--format must be {', '.join(FILM_FORMATS[:-1])} or {FILM_FORMATS[-1]}, got {film_format!r}")
    check_minimum("--frame-ms", frame_ms)
    from ...edit.walk import walk_positions
    from ...report.viz.animation import film_format as find_container
    from ...report.viz.animation import make_frames, write_film

    path = out / f"walk.{film_format}"
    if film_format != "none":
        find_container(path)
    positions = walk_positions(keyframes, frames, is_loop=loop)
    metadata = {"keyframes": keyframes, "frames": frames, "loop": loop}
    job = open_job(model, out, "walk", metadata, keyframes, options)
    check_output_folder(job)
    written = [_write_frame(job, i, positions, pixels) for i, pixels in enumerate(_draw_frames(job, positions))]
    if film_format != "none":
        film = make_frames([frame.pixels for frame in written], require_even=film_format == "mp4")
        write_film(path, film, frame_ms, frame_ms)
    job.report(written, [] if film_format == "none" else [path], options.as_json, frame_ms)


def _draw_frames(job: EditJob, positions: "Sequence[WalkPosition]") -> "Iterator[UInt8Images]":
    """The frames, (1, C, H, W) each, with a progress bar."""
    from rich.progress import track

    from ...edit.walk import draw_walk
    from ..terminal import get_console

    screen, number = get_console(to_stderr=True), -(-len(positions) // job.request.batch)
    parts = draw_walk(job.model, job.request, positions, job.helpers)
    for part in track(parts, "walk", number, console=screen, transient=True, disable=not screen.is_terminal):
        yield from part.split(1)


def _write_frame(job: EditJob, index: int, positions: "Sequence[WalkPosition]", pixels: "UInt8Images") -> WrittenEdit:
    """Write one frame with its position between two keyframes."""
    from ...io.version import __version__
    from ...sampling.record import SampleSettings

    request, position = job.request, positions[index]
    ends = {"from": position.start, "to": position.end}
    metadata = {"edit": "walk", "frame": index, "weight": round(position.weight, 6)}
    metadata |= {f"{end}_seed": request.seeds[i] for end, i in ends.items()}
    metadata |= {f"{end}_label": request.labels[i] for end, i in ends.items()}
    metadata |= {f"{end}_text": request.texts[i] for end, i in ends.items()} if any(request.texts) else {}
    settings = asdict(request)
    metadata |= {f.name: settings[f.name] for f in fields(SampleSettings)}
    metadata |= {"attributes": request.attributes[0], "noisette": __version__} | dict(job.metadata)
    path = job.out / f"frame-{index:0{len(str(len(positions) - 1))}d}.png"
    return job.write_png(path, pixels, metadata)
