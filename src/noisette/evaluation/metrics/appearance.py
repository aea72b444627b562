"""What people see in a set of pictures, as a few numbers, without a feature network: to compare samples with data.

Six aspects, each a root mean square of deviations in units of what the eye tolerates (`TOLERANCE`):

alpha     shares of pixels with alpha 0, 1 to 8, between, 247 to 254, and 255
mean      of each premultiplied channel: brightness and hue
contrast  standard deviation of each premultiplied channel
flat      share of pixels whose neighborhood is flat: grain destroys it, blur raises it
detail    energy of the highest spatial frequencies, only where it is above that of the data: noise
span      distance from the principal components of the data, only where it is above that of held-out pictures

Energy that is missing is not counted in the last two: an unfinished model lacks detail, and noise would make up for it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import UInt8
from torch import Tensor

from ...shapes import UInt8Images
from .distribution import PCASubspace
from .features import premultiply

ALPHA_EDGES = (1, 9, 247, 255)  # the first values of all but the first of five ranges of alpha
FLAT_LEVELS = 2.0  # largest difference of a flat pixel from the mean of its 3×3 neighborhood, in levels of 255
TOLERANCE = {"alpha": 0.03, "mean": 4.0, "contrast": 4.0, "flat": 0.03, "detail": 0.1, "span": 0.2}
ONE_SIDED = ("detail", "span")


@dataclass(frozen=True)
class AppearanceDistance:
    """How far a set of pictures is from a reference, in tolerances: 1 is what the eye just tolerates."""

    aspects: Mapping[str, float]

    @property
    def total(self) -> float:
        """Root mean square of the aspects but `mean`: the means of some dozens of pictures depend more on which
        pictures these are than on how they are drawn."""
        compared = [value for name, value in self.aspects.items() if name != "mean"]
        return math.sqrt(sum(value**2 for value in compared) / len(compared))

    def __str__(self) -> str:
        return ", ".join(f"{name} {value:.1f}" for name, value in self.aspects.items())


@dataclass(frozen=True, eq=False)
class Appearance:
    """The appearance of a reference set."""

    span: PCASubspace
    values: Mapping[str, tuple[float, ...]]

    @classmethod
    def of(cls, train: UInt8Images, held_out: UInt8[Tensor, "n c h w"]) -> "Appearance":
        """The reference: everything is measured on `train`, but the distance from its span on `held_out`."""
        span = PCASubspace.fit(train)
        values = measure_aspects(train, span)
        return cls(span, values | {"span": _log(span.residual_rms(held_out))})

    def distance(self, samples: UInt8Images) -> AppearanceDistance:
        found = measure_aspects(samples, self.span)
        return AppearanceDistance({name: _rms_deviation(name, found[name], self.values[name]) for name in self.values})


def measure_aspects(pixels: UInt8Images, span: PCASubspace) -> dict[str, tuple[float, ...]]:
    """The numbers of each aspect; means and deviations in levels of 255, energies as logarithms of their roots."""
    x = premultiply(pixels)
    rough = x - F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    mean, deviation = channel_statistics(pixels)
    flat = (rough.abs().amax(1) < FLAT_LEVELS / 255).double().mean().item()
    alpha = {"alpha": alpha_shares(pixels)} if pixels.shape[1] in (2, 4) else {}
    return alpha | {
        "mean": mean,
        "contrast": deviation,
        "flat": (flat,),
        "detail": tuple(map(math.log, rough.double().square().mean((0, 2, 3)).sqrt().clamp(min=1e-4).tolist())),
        "span": _log(span.residual_rms(pixels)),
    }


def channel_statistics(pixels: UInt8Images) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each premultiplied channel over all pixels, in levels of 255."""
    channels = 255 * premultiply(pixels).double().transpose(0, 1).flatten(1)
    return tuple(channels.mean(1).tolist()), tuple(channels.std(1).tolist())


def alpha_shares(pixels: UInt8Images) -> tuple[float, ...]:
    """Shares of pixels with alpha 0, 1 to 8, 9 to 246, 247 to 254, and 255."""
    ranges = torch.bucketize(pixels[:, -1].flatten().int(), torch.tensor(ALPHA_EDGES, dtype=torch.int32), right=True)
    return tuple((ranges.bincount(minlength=len(ALPHA_EDGES) + 1).double() / ranges.numel()).tolist())


def _log(rms: float) -> tuple[float]:
    return (math.log(max(rms, 1e-4)),)


def _rms_deviation(name: str, found: tuple[float, ...], wanted: tuple[float, ...]) -> float:
    """Root mean square of the differences, in tolerances."""
    apart = [(a - b) / TOLERANCE[name] for a, b in zip(found, wanted, strict=True)]
    if name in ONE_SIDED:
        apart = [max(0.0, value) for value in apart]
    return math.sqrt(sum(value**2 for value in apart) / len(apart))
