"""Seamless pictures, and pictures larger than the model's: the two denoisers of the edits.

Both work with every network and every sampler: they change the denoiser's input and output only. `noisette sample
--size --seamless` draws with `diffusion.windows` instead, whose weights are smooth; the edits keep these two, so that
an edit of an earlier version is made again by its command.
"""

import functools
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ..diffusion.denoiser import Prediction
from ..diffusion.guidance import DenoiserWrapper
from ..diffusion.noise import derive_seed
from ..errors import InputError
from ..shapes import Images, Time


@dataclass(frozen=True)
class SeamlessDenoiser(DenoiserWrapper):
    """Seamless in x, in y or in both: the weighted mean of two predictions for rolled copies of the picture, the second
    rolled by half of its size more; weights are small near the edges of each copy.

    So every edge of one copy is inside the other. The first shift is a function of t, and differs from step to step.
    """

    wrap_x: bool = True
    wrap_y: bool = True

    def __call__(self, x: Images, t: Time) -> Prediction:
        height, width = x.shape[2:]
        predictions: list[Prediction] = []
        total = x.new_zeros(1, 1, height, width)
        weights = _edge_weights(height, self.wrap_y)[:, None] * _edge_weights(width, self.wrap_x)
        for half in (0, 1):
            shift_y, shift_x = (
                _roll_shift(t, height, "y", half) * self.wrap_y,
                _roll_shift(t, width, "x", half) * self.wrap_x,
            )
            back, weight = (-shift_y, -shift_x), weights.to(x)
            pred = self.denoiser(x.roll((shift_y, shift_x), (2, 3)), t)
            predictions.append(pred.map(functools.partial(_weight_and_roll, weight=weight, shift=back)))
            total += weight.roll(back, (0, 1))
        return (predictions[0] + predictions[1]).map(lambda part: part / total)


def _weight_and_roll(part: Tensor, weight: Tensor, shift: tuple[int, int]) -> Tensor:
    return (weight * part).roll(shift, (2, 3))


def _roll_shift(t: Time, size: int, axis: str, half: int) -> int:
    return (derive_seed("roll", axis, float(t.flatten()[0]).hex()) + half * size // 2) % size


def _edge_weights(size: int, is_wrapped: bool) -> Tensor:
    """Weights, (size,): nearly 0 at both edges and 1 in the middle; 1 everywhere if not is_wrapped."""
    position = (torch.arange(size) + 0.5) / size
    return (torch.pi * position).sin() ** 2 + 1e-6 if is_wrapped else torch.ones(size)


@dataclass(frozen=True)
class OutpaintDenoiser(DenoiserWrapper):
    """A denoiser of pictures of any size, made of one of height × width: the mean of its predictions for windows that
    overlap by half (MultiDiffusion, Bar-Tal et al. 2023)."""

    height: int
    width: int

    def __call__(self, x: Images, t: Time) -> Prediction:
        count, full_height, full_width = torch.zeros_like(x[:1, :1]), x.shape[2], x.shape[3]
        total: Prediction | None = None
        for top in window_starts(full_height, self.height):
            for left in window_starts(full_width, self.width):
                part = (..., slice(top, top + self.height), slice(left, left + self.width))
                sides = (left, full_width - left - self.width, top, full_height - top - self.height)
                pred = self.denoiser(x[part].contiguous(), t).map(functools.partial(F.pad, pad=sides))
                total = pred if total is None else total + pred
                count[part] += 1
        assert total is not None
        mean = total.map(lambda part: part / count)
        return mean.with_x0(mean.x0, x, *self.schedule.at(t, x))


def window_starts(size: int, window: int) -> list[int]:
    """The first pixels of windows that cover `size` pixels and overlap by half or more."""
    if size < window:
        raise InputError(f"the picture must be at least {window} pixels a side, the model's size, got {size}")
    steps = -(-(size - window) // max(1, window // 2))
    return [round(i * (size - window) / max(1, steps)) for i in range(steps + 1)]


def border_mask(
    height: int, width: int, band: int, wrap_x: bool = True, wrap_y: bool = True
) -> Float[Tensor, "1 1 h w"]:
    """1 inside, 0 within `band` pixels of the edges in x, in y or in both: the known pixels when a seam is removed."""
    if not 0 < 2 * band < min(width if wrap_x else height + width, height if wrap_y else height + width):
        raise InputError(f"border width must be at least 1 and leave part of the {width}×{height} picture, got {band}")
    known = torch.ones(1, 1, height, width)
    if wrap_x:
        known[..., :band], known[..., width - band :] = 0, 0
    if wrap_y:
        known[:, :, :band], known[:, :, height - band :] = 0, 0
    return known
