"""Strips: one picture over time. How a sprite comes out of its noise, and how a model grew."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from ..errors import InputError
from ..pictures import Pictures
from ..sampler import State
from ..schedule import Schedule
from ..shapes import Bytes, Images
from .grid import WIDE, Row, fitting, labelled

MODEST = 6  # times that a strip of few columns is enlarged at most


@dataclass(frozen=True)
class Moment:
    """One step of a walk, as pictures: what the model was given, and what it saw in it. Each (1, C, H, W)."""

    noise: float  # σ / α
    noisy: Bytes
    clean: Bytes


def moments(start: State, walk: Iterable[State], schedule: Schedule, pictures: Pictures, row: int = 0) -> list[Moment]:
    """Image `row` of a walk at every time of its grid; the last is the finished picture, twice."""
    found, before = [], start
    for state in walk:
        found.append(_moment(before, state.preview, schedule, pictures, row))
        before = state
    return [*found, _moment(before, before.x, schedule, pictures, row)]


def at_unit_scale(state: State, schedule: Schedule) -> Images:
    """x_t / √(α² + σ²), on the CPU: so noise of σ = 80 does not burn out where it is shown."""
    alpha, sigma = schedule(state.t)
    return state.x.cpu().float() / (alpha**2 + sigma**2).sqrt().float()


def _moment(state: State, x0: Tensor, schedule: Schedule, pictures: Pictures, row: int) -> Moment:
    alpha, sigma = schedule(state.t)
    x = at_unit_scale(state, schedule)[row : row + 1]
    noise = float(sigma / alpha) if alpha > 0 else float("inf")
    return Moment(noise, pictures.decode(x), pictures.decode(x0[row : row + 1].cpu()))


def evenly(number: int, of: int) -> list[int]:
    """At most `number` of the indices 0 … of - 1, the first and the last among them, evenly spread."""
    if of <= number:
        return list(range(of))
    return [round(i * (of - 1) / (number - 1)) for i in range(number)]


def denoising(moments: Sequence[Moment], title: str = "", columns: int = 12) -> Image.Image:
    """Two rows: x_t, and the x0 that is seen in it; the noise level σ/α above each column."""
    picked = [moments[i] for i in evenly(columns, len(moments))]
    rows = [
        Row("x_t", torch.cat([m.noisy for m in picked])),
        Row("predicted x0", torch.cat([m.clean for m in picked])),
    ]
    return labelled(rows, title, [short(m.noise) for m in picked])


def tiles(sheet: UInt8[Tensor, "1 c tall wide"], columns: int, pictures: Pictures) -> Bytes:
    """Cut a sheet (1, C, rows · H, columns · W) without gaps into its pictures, row by row."""
    _, channels, height, width = sheet.shape
    if channels != pictures.channels or width != columns * pictures.width or height % pictures.height:
        raise InputError(
            f"a sheet of {width}×{height} in {channels} channels does not hold {columns} columns of "
            f"{pictures.width}×{pictures.height} {pictures.mode} pictures"
        )
    grid = sheet.reshape(channels, height // pictures.height, pictures.height, columns, pictures.width)
    return grid.permute(1, 3, 0, 2, 4).flatten(0, 1)


def contact(
    frames: Sequence[Bytes], heads: Sequence[str], captions: Sequence[str], title: str = "", columns: int = 12
) -> Image.Image:
    """Moments (B, C, H, W) side by side under their heads, evenly picked: one row a picture, under its caption.

    The first len(captions) pictures of every moment are shown.
    """
    picked = evenly(columns, len(frames))
    rows = [Row(caption, torch.stack([frames[j][i] for j in picked])) for i, caption in enumerate(captions)]
    scale = min(MODEST, fitting(len(picked), rows[0].pictures.shape[3], WIDE))
    return labelled(rows, title, [heads[j] for j in picked], scale)


def short(number: float) -> str:
    """A number for a narrow column: 0.0021, 0.38, 12, 340, 1.2k, 3.4M."""
    if number == float("inf"):
        return "inf"
    if 0 < number < 0.995:
        return f"{number:.2g}"
    for size, unit in ((999_500, "M"), (999.5, "k")):
        if number >= size:
            scaled = number / (1e6 if unit == "M" else 1e3)
            return f"{scaled:.0f}{unit}" if scaled >= 99.5 else f"{scaled:.2g}{unit}"
    return f"{number:.0f}" if number >= 9.95 or number == int(number) else f"{number:.1f}"
