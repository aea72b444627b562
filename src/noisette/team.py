"""Processes that share work: batches are dealt out whole, so each is computed as one process would compute it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class Team(Protocol):
    """All processes call `gather` equally often, in the same order."""

    @property
    def rank(self) -> int: ...

    @property
    def size(self) -> int: ...

    def gather(self, mine: dict[int, Tensor]) -> dict[int, Tensor]:
        """What every process has, by number, on the CPU; each number is of one process."""
        ...


@dataclass(frozen=True)
class Alone:
    """One process."""

    rank: int = 0
    size: int = 1

    def gather(self, mine: dict[int, Tensor]) -> dict[int, Tensor]:
        return mine


ALONE = Alone()


def shared(team: Team, n: int, batch: int, work: Callable[[slice], Tensor]) -> Tensor:
    """`work` of every batch of n rows, joined, in every process. Each does the batches whose turn is its own."""
    batches = [slice(first, min(first + batch, n)) for first in range(0, n, batch)]
    mine = {i: work(rows).cpu() for i, rows in enumerate(batches) if i % team.size == team.rank}
    found = team.gather(mine)
    return torch.cat([found[i] for i in range(len(batches))])
