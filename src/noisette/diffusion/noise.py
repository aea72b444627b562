"""Reproducible noise.

The noise of image i comes from a generator of its own, so it does not depend on the other images of the batch. The
noise of a training step comes from a generator seeded with the run's seed and the step number, so a resumed run
continues with the same noise as an uninterrupted one.
"""

import hashlib
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from ..errors import InputError

SEPARATOR = "/"


@runtime_checkable
class Noise(Protocol):
    """A source of standard normal noise: called with a tensor, it returns noise of that shape, dtype and device."""

    def __call__(self, like: Tensor) -> Tensor: ...


class Seeded:
    """Noise with one generator per image: image i gets the same noise in any batch.

    `Seeded` is a stream: every call advances the generators. Image i therefore depends on seed i *and on the number of
    calls before*, and two trajectories would get different noise from one `Seeded`. A stochastic trajectory uses it up:
    the next one raises InputError. Pass a new `Seeded(seeds)` or `noise.fresh()` each time:

        noise = Seeded([0, 1])
        first = sample(denoiser, DDPM(), grid, noise(like), noise)
        noise = noise.fresh()                                     # back at the start
        second = sample(denoiser, DDPM(), grid, noise(like), noise)  # equal to first

    The generators are on the CPU by default, so that all devices get the same numbers. Numbers are generated in
    float32 and converted to the dtype of `like`.
    """

    def __init__(self, seeds: Sequence[int], device: torch.device | str = "cpu") -> None:
        self.seeds = tuple(seeds)
        self.generators = [torch.Generator(device).manual_seed(derive_seed(seed)) for seed in self.seeds]
        self.device = torch.device(device)
        self.num_calls = 0
        self._calls_before: int | None = None  # the first trajectory

    def __call__(self, like: Tensor) -> Tensor:
        """The next noise of shape (B, …); B must be the number of seeds (`InputError` otherwise)."""
        if len(like) != len(self.generators):
            raise InputError(
                f"{len(self.generators)} seeds cannot fill a batch of {len(like)}: give one seed per image"
            )
        draws = [
            torch.randn(like.shape[1:], generator=g, device=g.device, dtype=torch.float32) for g in self.generators
        ]
        self.num_calls += 1
        return torch.stack(draws).to(like)

    def fresh(self) -> "Seeded":
        """A new stream with the same seeds that starts from the first noise; this one is not changed."""
        return Seeded(self.seeds, self.device)

    def start_trajectory(self) -> None:
        """Called at the start of a trajectory. Raises InputError if an earlier one took noise from this stream."""
        if self._calls_before is None:
            self._calls_before = self.num_calls
        elif self._calls_before != self.num_calls:
            raise InputError(
                "this Seeded has given noise to another trajectory, so equal seeds would not give equal pictures: pass "
                "noise.fresh(), or a new Seeded(seeds), to each trajectory"
            )

    def __repr__(self) -> str:
        return f"Seeded({list(self.seeds)}, calls so far: {self.num_calls})"


class ShardedNoise:
    """One process's rows of the noise of a whole batch.

    Every process generates the noise of all `batch_size` images and keeps the rows in `shard`, so the noise of an
    image does not depend on how the batch is divided among processes.
    """

    def __init__(self, generator: torch.Generator, batch_size: int, shard: slice = slice(None)) -> None:
        self.generator, self.batch_size, self.shard = generator, batch_size, shard

    def __call__(self, like: Tensor) -> Tensor:
        shape, g = (self.batch_size, *like.shape[1:]), self.generator
        return torch.randn(shape, generator=g, device=g.device, dtype=torch.float32)[self.shard].to(like)


def derive_seed(*parts: int | str) -> int:
    """A seed in [0, 2⁶³) computed from all parts, in order; the same on every machine and in every version.

    An integer and its decimal string are the same part. Different lists of parts give different hash inputs: parts
    without "/" are joined by "/"; if any part contains a "/", each part is prefixed with its length and the hash is
    keyed, so that ("a/b", "c") and ("a", "b/c") differ.
    """
    words = [str(part) for part in parts]
    if any(SEPARATOR in word for word in words):
        data, person = "".join(f"{len(word)}:{word}" for word in words), b"parts"
    else:
        data, person = SEPARATOR.join(words), b""
    digest = hashlib.blake2b(data.encode(), digest_size=8, person=person).digest()
    return int.from_bytes(digest, "big") >> 1


def make_generator(*parts: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A new generator seeded with `derive_seed(*parts)`."""
    return torch.Generator(device).manual_seed(derive_seed(*parts))
