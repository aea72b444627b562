"""Pictures that are kin: their noises are that of one seed, turned a little, as often as one likes.

For independent standard normal a and b, cos φ a + sin φ b is standard normal again, at the angle φ from a: a small
step on the sphere of noises. So what is drawn from a turned noise is as good a picture as any, and a small turn gives
one much like it. Every draw of a walk is turned, not only the first: any sampler will do.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from ..errors import InputError
from ..noise import Seeded, key
from ..shapes import Images


@dataclass(frozen=True)
class Turn:
    """A step towards the noise of another seed: 0 degrees changes nothing, 90 leave nothing."""

    seed: int
    degrees: float

    def __post_init__(self) -> None:
        if not 0 <= self.degrees <= 90:
            raise InputError(
                f"a noise is turned by {self.degrees:g} degrees: give 0, which is none, to 90, which is all"
            )


@dataclass(frozen=True)
class Kin:
    """Which noise a picture has: that of `seed`, after these turns."""

    seed: int
    turns: tuple[Turn, ...] = ()

    def turned(self, seed: int, degrees: float) -> "Kin":
        return replace(self, turns=(*self.turns, Turn(seed, degrees)))

    def children(self, n: int, degrees: float, seed: int = 0) -> list["Kin"]:
        """n noises that are `degrees` away from this one, each in a direction of its own."""
        return [self.turned(seed + i, degrees) for i in range(n)]


class Turned:
    """One generator a seed and turn: image i has the noise of kin i, the same in any batch."""

    def __init__(self, kin: Sequence[Kin]) -> None:
        self.roots = Seeded([k.seed for k in kin])
        # the depth is a part of the key: one seed, asked twice, would give a noise that is not independent of the first
        self.turns = [
            [(Seeded([key("turn", depth, t.seed)]), math.radians(t.degrees)) for depth, t in enumerate(k.turns)]
            for k in kin
        ]

    def __call__(self, like: Images) -> Images:
        rows = []
        for root, turns in zip(self.roots(like).split(1), self.turns, strict=True):
            z = root
            for other, angle in turns:
                z = math.cos(angle) * z + math.sin(angle) * other(z)
            rows.append(z)
        return torch.cat(rows)
