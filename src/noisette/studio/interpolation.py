"""Interpolation between two kept pictures: its frames, and a film of them."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..data.contact_sheet import enlarge, fit_scale
from ..data.png import encode_png, to_image
from ..diffusion.sampler import State
from ..edit.walk import draw_walk, walk_positions
from ..errors import InputError
from ..io.zip_writer import zip_files
from ..models.picture_model import PictureModel
from ..report.viz.animation import write_film
from ..sampling.record import check_integer
from ..sampling.request import default_batch, repeat_record
from ..shapes import UInt8Images
from .board_requests import require_unbranched
from .previews import CallbackSampler, StepCallback, stream_previews
from .session import BoardSample
from .trajectories import check_seeds

MAX_FRAMES = 64
FILM_WIDTH = 320  # pixels of a film, about
FILM_FORMATS = {"GIF": "gif", "animated PNG": "png"}


@dataclass(frozen=True, eq=False)
class Frames:
    """Frames, (1, C, H, W) each, from one kept picture to another."""

    frames: tuple[UInt8Images, ...]


def draw_interpolation(
    model: PictureModel, start: BoardSample, end: BoardSample, frames: int, loop: bool
) -> Iterator[UInt8Images | Frames]:
    """Previews of frames, and at last `Frames`, all of them. With `loop`, from start to end and back.

    Noises and conditions are interpolated. All other settings are those of `start`.
    """
    check_integer("frames", frames, 2, MAX_FRAMES)
    if start.model_name != end.model_name or {start.record.model, end.record.model} != {model.hash}:
        raise InputError("both pictures must be of one model, as it is now: choose others")
    both = [require_unbranched(sample) for sample in (start, end)]
    request = replace(
        repeat_record(start.record, [sample.lineage for sample in both]),
        labels=tuple(sample.record.label for sample in both),
        attributes=tuple(sample.record.attributes for sample in both),
        texts=tuple(sample.record.text for sample in both),
        batch=default_batch(model),
    )
    check_seeds(request)
    positions = walk_positions(2, frames, is_loop=loop)

    def draw(on_step: StepCallback) -> Frames:
        parts = draw_walk(model, request, positions, wrap=lambda sampler: CallbackSampler(sampler, on_step))
        return Frames(tuple(row for part in parts for row in part.split(1)))

    for seen in stream_previews(draw):
        yield model.pictures.decode(seen.preview.cpu()) if isinstance(seen, State) else seen


def encode_film(frames: Sequence[UInt8Images], kind: str, duration: int) -> bytes:
    """A film of frames, `duration` milliseconds each."""
    if kind not in FILM_FORMATS:
        raise InputError(f"the film format must be {' or '.join(FILM_FORMATS)}, got {kind!r}")
    if not 20 <= duration <= 2000:
        raise InputError(f"the duration of a frame must be between 20 and 2000 milliseconds, got {duration}")
    scale = fit_scale(1, frames[0].shape[3], FILM_WIDTH)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"walk.{FILM_FORMATS[kind]}"
        write_film(path, [enlarge(to_image(f), scale) for f in frames], duration, duration)
        return path.read_bytes()


def zip_frames(frames: Sequence[UInt8Images], film: bytes, kind: str) -> bytes:
    """A zip of the film and its frames."""
    files = {f"frame-{i:02d}.png": encode_png(f) for i, f in enumerate(frames)}
    return zip_files(files | {f"walk.{FILM_FORMATS[kind]}": film})
