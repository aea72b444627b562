"""Noise related to that of a seed: rotated by an angle towards the noise of other seeds, any number of times.

For independent standard normal a and b, cos φ a + sin φ b is standard normal too, at the angle φ from a. So a sample
from rotated noise is as good as any other, and a small angle gives a similar picture. Every draw of a trajectory is
rotated, not only the first, so it works with any sampler.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from ..diffusion.noise import Seeded, derive_seed
from ..errors import InputError
from ..shapes import Images


@dataclass(frozen=True)
class Rotation:
    """A rotation towards the noise of another seed, 0 to 90 degrees: 0 changes nothing, 90 replaces the noise."""

    seed: int
    degrees: float

    def __post_init__(self) -> None:
        if not 0 <= self.degrees <= 90:
            raise InputError(f"a rotation must be between 0 and 90 degrees, got {self.degrees:g}")


@dataclass(frozen=True)
class NoiseLineage:
    """The noise of an image: that of `seed`, rotated in turn by `rotations`."""

    seed: int
    rotations: tuple[Rotation, ...] = ()

    def rotate(self, seed: int, degrees: float) -> "NoiseLineage":
        """This noise with one more rotation."""
        return replace(self, rotations=(*self.rotations, Rotation(seed, degrees)))

    def children(self, n: int, degrees: float, seed: int = 0) -> list["NoiseLineage"]:
        """n noises at an angle of `degrees` from this one, each rotated towards a seed of its own."""
        return [self.rotate(seed + i, degrees) for i in range(n)]


class RotatedNoise:
    """One generator for each seed and rotation: image i has the noise of lineages[i] in any batch."""

    def __init__(self, lineages: Sequence[NoiseLineage]) -> None:
        self.roots = Seeded([lineage.seed for lineage in lineages])
        # the depth is part of the key: a seed used twice would else give noise that depends on the first
        self.rotations = [
            [
                (Seeded([derive_seed("turn", depth, rotation.seed)]), math.radians(rotation.degrees))
                for depth, rotation in enumerate(lineage.rotations)
            ]
            for lineage in lineages
        ]

    def __call__(self, like: Images) -> Images:
        rows = []
        for root, rotations in zip(self.roots(like).split(1), self.rotations, strict=True):
            z = root
            for other, angle in rotations:
                z = math.cos(angle) * z + math.sin(angle) * other(z)
            rows.append(z)
        return torch.cat(rows)
