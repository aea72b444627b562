"""A sampler as a list of numbers, for programs that have no samplers.

All that a sampler makes of its network's answers is a sum: x_s = Σ c_i q_i over what is known by then, the x that the
step began with, x0 and ε of calls so far, and fresh noise. The weights depend on the schedule and on the grid alone.
So each of our samplers is walked once with unit vectors in place of pictures, and what comes out is the weights: a
table of a few numbers a step, that any program can follow without knowing which sampler it is.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor

from ..denoiser import Prediction
from ..sampler import Sampler, State
from ..schedule import Schedule
from ..shapes import Grid

Sum = dict[str, float]  # name of a known picture → its weight

KEPT = 8  # calls whose answers are remembered: more than any sampler's history


@dataclass(frozen=True)
class Call:
    """The network is asked about `x`, at time t."""

    t: Tensor
    x: Sum


@dataclass(frozen=True)
class Step:
    """Its calls, and the x that it ends with. In the sums: `x` is where the step began; `x0.k` and `eps.k` are what
    call k of the walk was answered, k counted modulo 8; `z.j` is fresh noise, drawn when its name first appears in a
    step."""

    calls: tuple[Call, ...]
    then: Sum


@dataclass
class Ledger:
    """Names of unit vectors, and the calls of a step: a denoiser and a noise for a sampler that is watched."""

    schedule: Schedule
    size: int
    names: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    called: int = 0
    drawn: int = 0

    def new(self, name: str) -> Tensor:
        """A unit vector, (1, size, 1, 1)."""
        unit = torch.zeros(1, self.size, 1, 1, dtype=torch.float64)
        unit[0, len(self.names)] = 1
        self.names.append(name)
        return unit

    def sum(self, x: Tensor) -> Sum:
        """What a vector is made of; what it holds under an old name is older than what is remembered."""
        weights = x.flatten().tolist()
        found = {i: w for i, w in enumerate(weights) if w}
        newest = {name: i for i, name in enumerate(self.names)}
        assert all(newest[self.names[i]] == i for i in found), "a sampler remembers more than is kept"
        return {self.names[i]: w for i, w in found.items()}

    def __call__(self, x: Tensor, t: Tensor) -> Prediction:
        self.calls.append(Call(t, self.sum(x)))
        k = self.called % KEPT
        self.called += 1
        return Prediction(self.new(f"x0.{k}"), self.new(f"eps.{k}"))

    def noise(self, like: Tensor) -> Tensor:
        self.drawn += 1
        return self.new(f"z.{self.drawn - 1}")


def unrolled(sampler: Sampler, schedule: Schedule, grid: Grid) -> list[Step]:
    """The weights of every step of a walk. Not for a learned variance, whose weights are pictures and not numbers."""
    ledger = Ledger(schedule, 6 * len(grid))
    steps: list[Step] = []
    history: tuple[tuple[Tensor, Prediction], ...] = ()
    for t, s in pairwise(grid):
        ledger.calls, ledger.drawn = [], 0
        state = sampler.step(ledger, State(ledger.new("x"), t, history), s, ledger.noise)
        history = state.history
        steps.append(Step(tuple(ledger.calls), ledger.sum(state.x)))
    return steps
