"""Randomness that belongs to a thing, not to a moment.

Image i is drawn from its own generator, so it does not depend on its batch; a training step is drawn
from a key made of the run's seed and the step, so a resumed run draws what an uninterrupted one would.
"""

import hashlib
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from .errors import InputError


@runtime_checkable
class Noise(Protocol):
    """Standard normal noise of a tensor's shape, dtype and device."""

    def __call__(self, like: Tensor) -> Tensor: ...


class Seeded:
    """One generator an image: image i is the same whatever batch it is drawn in.

    The generators live on the CPU unless told otherwise, so every device starts from the same noise.
    """

    def __init__(self, seeds: Sequence[int], device: torch.device | str = "cpu") -> None:
        self.generators = [torch.Generator(device).manual_seed(key(seed)) for seed in seeds]

    def __call__(self, like: Tensor) -> Tensor:
        if len(like) != len(self.generators):
            raise InputError(f"{len(self.generators)} seeds cannot fill a batch of {len(like)}: give one seed an image")
        draws = [torch.randn(like.shape[1:], generator=g, device=g.device) for g in self.generators]
        return torch.stack(draws).to(like)


class Shared:
    """One generator for a batch of `size` images, of which only `share` is wanted: the same however it is shared."""

    def __init__(self, generator: torch.Generator, size: int, share: slice = slice(None)) -> None:
        self.generator, self.size, self.share = generator, size, share

    def __call__(self, like: Tensor) -> Tensor:
        shape, g = (self.size, *like.shape[1:]), self.generator
        return torch.randn(shape, generator=g, device=g.device)[self.share].to(like)


def key(*parts: int | str) -> int:
    """A 63-bit seed that is a function of all its parts, and of nothing else."""
    digest = hashlib.blake2b("/".join(str(p) for p in parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def keyed(*parts: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator seeded with `key(*parts)`."""
    return torch.Generator(device).manual_seed(key(*parts))
