"""Denoisers of pictures with regions, and of pictures in which some pixels are always equal.

Both take the pictures of an edge-matching tile set: two terrains on one picture, in which the borders of all tiles
that may be neighbors are the same pixels.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..errors import InputError
from ..shapes import Images, Time
from .denoiser import Denoiser, Prediction
from .guidance import DenoiserWrapper
from .noise import Noise


@dataclass(frozen=True, eq=False)
class RegionDenoiser(DenoiserWrapper):
    """(1 − mask) · denoiser + mask · other: two conditions on one picture (Bar-Tal et al. 2023, region-based
    generation). mask: 0 to 1. Raises InputError if the two schedules differ."""

    other: Denoiser
    mask: Float[Tensor, "#b 1 h w"]

    def __post_init__(self) -> None:
        if self.other.schedule != self.schedule:
            raise InputError(
                f"regions need two denoisers with the same schedule, got {self.schedule} and {self.other.schedule}"
            )

    def __call__(self, x: Images, t: Time) -> Prediction:
        mask = self.mask.to(x)
        return self.denoiser(x, t).map(lambda part: (1 - mask) * part) + self.other(x, t).map(lambda part: mask * part)


@dataclass(frozen=True, eq=False)
class TiedPixels:
    """Which pixels of a picture are equal: `groups` has the number of the group of each pixel, from 0 on."""

    groups: Int[Tensor, "h w"]

    def mean(self, x: Images) -> Images:
        """Each pixel replaced by the mean of its group: the nearest picture whose tied pixels are equal."""
        flat, groups = x.flatten(2), self.groups.flatten().to(x.device)
        sums = x.new_zeros(*flat.shape[:2], int(self.groups.max()) + 1)
        sizes = groups.bincount(minlength=sums.shape[2])
        return (sums.index_add_(2, groups, flat) / sizes.to(x))[..., groups].reshape(x.shape)

    def first(self, x: Images) -> Images:
        """Each pixel replaced by the first one of its group: of noise it makes noise of the same deviation."""
        groups = self.groups.flatten()
        first = torch.full((int(groups.max()) + 1,), len(groups), dtype=torch.long, device="cpu")
        first.scatter_reduce_(0, groups.cpu(), torch.arange(len(groups), device="cpu"), "amin")
        return x.flatten(2)[..., first[groups.cpu()].to(x.device)].reshape(x.shape)


@dataclass(frozen=True, eq=False)
class TiedDenoiser(DenoiserWrapper):
    """The mean of a denoiser's predictions for all pixels that are tied: they stay equal in every step of a sampler
    whose noise is `TiedNoise`."""

    tied: TiedPixels

    def __call__(self, x: Images, t: Time) -> Prediction:
        return self.denoiser(x, t).map(self.tied.mean)


@dataclass(frozen=True, eq=False)
class TiedNoise:
    """Normal noise that is equal in tied pixels."""

    noise: Noise
    tied: TiedPixels

    def __call__(self, like: Images) -> Images:
        return self.tied.first(self.noise(like))
