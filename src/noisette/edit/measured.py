"""What a direction does, measured on new pictures of a model: is it a line, is it the same for all, does it add up?"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from ..denoiser import Denoiser
from ..noise import Noise
from ..sampler import Sampler, sample
from ..shapes import Grid, Images
from .hspace import Directed, Direction, composition, homogeneity, linearity

STRENGTHS = (-2.0, -1.0, 0.0, 1.0, 2.0)


@dataclass(frozen=True)
class Effect:
    """Of one direction. The effect on a picture is its change's share in the mean change at strength 1."""

    name: str
    size: float  # root of the mean square change of a pixel at strength 1, in [-1, 1]
    r2: float  # of a line through the effects at strengths -2 … 2
    homogeneity: float  # mean cosine between two pictures' changes at strength 1
    composition: float | None  # with the next direction: 1 − |both − sum| / |sum|
    slope: float  # of that line, per unit of strength
    shares: tuple[float, ...]  # the effects, means over pictures, at each of STRENGTHS


@dataclass(frozen=True, eq=False)
class Bench:
    """What all measurements begin with: `noise` must say the same at each call of `begin`."""

    denoise: Denoiser
    part: nn.Module  # of the network
    sampler: Sampler
    grid: Grid
    x: Images
    noise: Noise

    def drawn(self, along: Sequence[tuple[Direction, float]]) -> Images:
        """The pictures, edited along directions."""
        if not any(strength for _, strength in along):
            return sample(self.denoise, self.sampler, self.grid, self.x, self.noise)
        edited = Directed(self.denoise, self.part, along)
        return sample(edited, self.sampler, self.grid, self.x, self.noise)


def slider(bench: Bench, direction: Direction) -> Images:
    """The pictures at each strength, (S, B, C, H, W) with S and B in one axis, strengths outermost."""
    return torch.cat([bench.drawn([(direction, s)]) for s in STRENGTHS])


def measured(bench: Bench, directions: Sequence[Direction]) -> tuple[list[Effect], list[Images]]:
    """What each direction does, and its slider. The sampler must be one that draws no noise."""
    sliders = [slider(bench, d).unflatten(0, (len(STRENGTHS), -1)) for d in directions]
    effects = []
    for i, (direction, shown) in enumerate(zip(directions, sliders, strict=True)):
        zero = shown[STRENGTHS.index(0.0)]
        one = shown[STRENGTHS.index(1.0)] - zero
        unit = one.mean(0).flatten() / one.mean(0).norm().clamp(min=1e-12)
        shares = (shown - zero).flatten(2) @ unit  # (strengths, b)
        both = None
        if i + 1 < len(directions):
            other = sliders[i + 1][STRENGTHS.index(1.0)] - sliders[i + 1][STRENGTHS.index(0.0)]
            both = composition(bench.drawn([(direction, 1.0), (directions[i + 1], 1.0)]) - zero, one, other)
        slope, r2 = linearity(torch.tensor(STRENGTHS), shares.cpu())
        size, means = one.square().mean().sqrt().item(), tuple(shares.mean(1).tolist())
        effects.append(Effect(direction.name, size, r2, homogeneity(one), both, slope, means))
    return effects, [s.flatten(0, 1) for s in sliders]
