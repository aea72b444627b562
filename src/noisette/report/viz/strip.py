"""Strips: pictures over time, for the sampling trajectory of a picture and for samples during training."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from ...data.contact_sheet import LABELED_WIDTH, LabeledRow, fit_scale, labeled_sheet
from ...data.pictures import Pictures
from ...diffusion.sampler import State
from ...diffusion.schedule import Schedule
from ...errors import InputError
from ...models.codec import Codec
from ...shapes import Images, UInt8Images

MAX_STRIP_SCALE = 6  # largest enlargement of a strip


@dataclass(frozen=True)
class TrajectoryFrame:
    """One step of a sampling trajectory as pixels, (1, C, H, W) each."""

    noise_ratio: float  # σ / α
    x_t: UInt8Images  # at unit scale
    x0: UInt8Images  # predicted x̂0


def collect_frames(
    start: State, states: Iterable[State], schedule: Schedule, codec: Codec, index: int = 0
) -> list[TrajectoryFrame]:
    """Frames of the picture with `index` in the batch, one per time of the grid; the last shows the sample twice."""
    frames, before = [], start
    for state in states:
        frames.append(_make_frame(before, state.preview, schedule, codec, index))
        before = state
    return [*frames, _make_frame(before, before.x, schedule, codec, index)]


def to_unit_scale(state: State, schedule: Schedule) -> Images:
    """x_t / √(α² + σ²) on the CPU: without the scaling, σ = 80 would saturate every pixel."""
    alpha, sigma = schedule(state.t)
    return state.x.cpu().float() / (alpha**2 + sigma**2).sqrt().float()


def _make_frame(state: State, x0: Tensor, schedule: Schedule, codec: Codec, index: int) -> TrajectoryFrame:
    alpha, sigma = schedule(state.t)
    x = to_unit_scale(state, schedule)[index : index + 1]
    noise = float(sigma / alpha) if alpha > 0 else float("inf")
    return TrajectoryFrame(noise, codec.decode(x), codec.decode(x0[index : index + 1].cpu()))


def evenly_spaced(number: int, total: int) -> list[int]:
    """At most `number` evenly spaced indices of 0 … total − 1, with the first and the last."""
    if total <= number:
        return list(range(total))
    return [round(i * (total - 1) / (number - 1)) for i in range(number)]


def denoising_strip(frames: Sequence[TrajectoryFrame], title: str = "", columns: int = 12) -> Image.Image:
    """A strip of two rows, x_t and predicted x0, with the noise level σ/α above each column."""
    picked = [frames[i] for i in evenly_spaced(columns, len(frames))]
    rows = [
        LabeledRow("x_t", torch.cat([m.x_t for m in picked])),
        LabeledRow("predicted x0", torch.cat([m.x0 for m in picked])),
    ]
    return labeled_sheet(rows, title, [format_short(m.noise_ratio) for m in picked])


def split_sheet(sheet: UInt8[Tensor, "1 c tall wide"], columns: int, pictures: Pictures) -> UInt8Images:
    """Cut a sheet (1, C, rows · H, columns · W) without gaps into pictures (rows · columns, C, H, W).

    InputError if size or channels do not fit `pictures`.
    """
    _, channels, height, width = sheet.shape
    if channels != pictures.channels or width != columns * pictures.width or height % pictures.height:
        raise InputError(
            f"a sheet of {width}×{height} in {channels} channels does not hold {columns} columns of "
            f"{pictures.width}×{pictures.height} {pictures.mode} pictures"
        )
    grid = sheet.reshape(channels, height // pictures.height, pictures.height, columns, pictures.width)
    return grid.permute(1, 3, 0, 2, 4).flatten(0, 1)


def frame_strip(
    frames: Sequence[UInt8Images], headers: Sequence[str], captions: Sequence[str], title: str = "", columns: int = 12
) -> Image.Image:
    """At most `columns` evenly spaced frames (B, C, H, W) side by side: one row per picture.

    `headers` are the names of the frames, `captions` those of the rows; the first len(captions) pictures are shown.
    """
    picked = evenly_spaced(columns, len(frames))
    rows = [LabeledRow(caption, torch.stack([frames[j][i] for j in picked])) for i, caption in enumerate(captions)]
    scale = min(MAX_STRIP_SCALE, fit_scale(len(picked), rows[0].pictures.shape[3], LABELED_WIDTH))
    return labeled_sheet(rows, title, [headers[j] for j in picked], scale)


def format_short(number: float) -> str:
    """A number as short text: 0.0021, 0.38, 12, 340, 1.2k, 3.4M."""
    if number == float("inf"):
        return "inf"
    if 0 < number < 0.995:
        return f"{number:.2g}"
    for size, unit in ((999_500, "M"), (999.5, "k")):
        if number >= size:
            scaled = number / (1e6 if unit == "M" else 1e3)
            return f"{scaled:.0f}{unit}" if scaled >= 99.5 else f"{scaled:.2g}{unit}"
    return f"{number:.0f}" if number >= 9.95 or number == int(number) else f"{number:.1f}"
