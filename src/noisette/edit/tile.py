"""Pictures that go on at their other side, and pictures larger than the model's: two denoisers around a denoiser.

Both work with every network and every sampler, since they change what a denoiser is asked, not how it computes.
"""

import functools
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ..denoiser import Prediction
from ..errors import InputError
from ..guidance import Wrapper
from ..noise import key
from ..shapes import Images, PerImage, Time

FLAT = 1 / 255  # a difference that nobody sees: what the seam of an even picture is measured against


@dataclass(frozen=True)
class Rolled(Wrapper):
    """Seamless in x, in y or in both. Asks twice, with the picture rolled round by half of it more the second time, and
    believes each answer where it is far from the edges that it saw.

    So no edge is an edge for both, and every part of the picture is seen with what comes after it. Where they begin is
    a function of t alone, and another at each time.
    """

    x: bool = True
    y: bool = True

    def __call__(self, x: Images, t: Time) -> Prediction:
        height, width = x.shape[2:]
        answers: list[Prediction] = []
        total = x.new_zeros(1, 1, height, width)
        trust = _inner(height, self.y)[:, None] * _inner(width, self.x)
        for half in (0, 1):
            down, right = _distance(t, height, "y", half) * self.y, _distance(t, width, "x", half) * self.x
            pred, back, weight = self.denoiser(x.roll((down, right), (2, 3)), t), (-down, -right), trust.to(x)
            answers.append(pred.each(functools.partial(_rolled, weight=weight, by=back)))
            total += weight.roll(back, (0, 1))
        return (answers[0] + answers[1]).each(lambda part: part / total)


def _rolled(part: Tensor, weight: Tensor, by: tuple[int, int]) -> Tensor:
    return (weight * part).roll(by, (2, 3))


def _distance(t: Time, size: int, axis: str, half: int) -> int:
    return (key("roll", axis, float(t.flatten()[0]).hex()) + half * size // 2) % size


def _inner(size: int, rolled: bool) -> Tensor:
    """How far from both edges, (size,): next to 0 at them, 1 in the middle; 1 everywhere where nothing is rolled."""
    place = (torch.arange(size) + 0.5) / size
    return (torch.pi * place).sin() ** 2 + 1e-6 if rolled else torch.ones(size)


@dataclass(frozen=True)
class Windowed(Wrapper):
    """A picture of any size by a denoiser of height × width: the mean of what it says of windows that overlap by half
    (MultiDiffusion, Bar-Tal et al. 2023)."""

    height: int
    width: int

    def __call__(self, x: Images, t: Time) -> Prediction:
        count, tall, wide = torch.zeros_like(x[:1, :1]), x.shape[2], x.shape[3]
        total: Prediction | None = None
        for top in starts(tall, self.height):
            for left in starts(wide, self.width):
                part = (..., slice(top, top + self.height), slice(left, left + self.width))
                around = (left, wide - left - self.width, top, tall - top - self.height)
                pred = self.denoiser(x[part].contiguous(), t).each(functools.partial(F.pad, pad=around))
                total = pred if total is None else total + pred
                count[part] += 1
        assert total is not None
        mean = total.each(lambda part: part / count)
        return mean.with_x0(mean.x0, x, *self.schedule.at(t, x))


def starts(size: int, window: int) -> list[int]:
    """Where windows begin that cover `size` and overlap by half or more."""
    if size < window:
        raise InputError(f"a picture of {size} pixels a side is smaller than the model's {window}")
    steps = -(-(size - window) // max(1, window // 2))
    return [round(i * (size - window) / max(1, steps)) for i in range(steps + 1)]


def border(height: int, width: int, band: int, x: bool = True, y: bool = True) -> Float[Tensor, "1 1 h w"]:
    """Known inside, wanted within `band` pixels of the edges in x, in y or in both: to make a picture seamless."""
    if not 0 < 2 * band < min(width if x else height + width, height if y else height + width):
        raise InputError(f"a band of {band} pixels at each edge leaves nothing of a picture of {width}×{height}")
    known = torch.ones(1, 1, height, width)
    if x:
        known[..., :band], known[..., width - band :] = 0, 0
    if y:
        known[:, :, :band], known[:, :, height - band :] = 0, 0
    return known


def seam(pictures: Images, axis: int) -> PerImage:
    """How much the two edges that meet differ, against neighbours inside: about 1 is seamless. axis -1: x, -2: y."""
    inside = pictures.diff(dim=axis).abs().flatten(1).mean(1)
    edge = (pictures.select(axis, 0) - pictures.select(axis, -1)).abs().flatten(1).mean(1)
    return (edge + FLAT) / (inside + FLAT)
