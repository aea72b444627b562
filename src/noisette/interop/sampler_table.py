"""A sampler as a table of numbers, for programs that have no samplers.

Every sampler here is linear in the network's predictions: x_s = Σ c_i q_i, where q_i are the x at the start of a step,
x0 and ε of the calls so far, and new noise. The weights c_i depend only on the schedule and the time grid. To find
them, the sampler is run once with unit vectors instead of pictures. The result is a table with a few numbers per step.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor

from ..diffusion.denoiser import Prediction
from ..diffusion.sampler import Sampler, State
from ..diffusion.schedule import Schedule
from ..shapes import Grid

LinearCombination = dict[str, float]  # name of a known array → weight

HISTORY_SIZE = 8  # predictions that are kept: more than any sampler's history


@dataclass(frozen=True)
class NetworkCall:
    """A network call at time t with the input `x`."""

    t: Tensor
    x: LinearCombination


@dataclass(frozen=True)
class SamplerStep:
    """One sampling step: its network calls, and the resulting x.

    Names in the sums: `x` is the x at the start of the step; `x0.k` and `eps.k` are the predictions of call k, counted
    over all steps modulo HISTORY_SIZE; `z.j` is new noise, the j-th that is drawn in the step.
    """

    calls: tuple[NetworkCall, ...]
    result: LinearCombination
    noises: int = 0  # that the sampler draws in the step; one may have no weight


@dataclass
class SymbolicDenoiser:
    """A denoiser and noise source that return unit vectors, and record the calls of a sampler."""

    schedule: Schedule
    size: int  # dimension of the vectors
    names: list[str] = field(default_factory=list)
    calls: list[NetworkCall] = field(default_factory=list)
    num_calls: int = 0
    num_noises: int = 0

    def add_symbol(self, name: str) -> Tensor:
        """A new unit vector (1, size, 1, 1) with a name."""
        unit = torch.zeros(1, self.size, 1, 1, dtype=torch.float64)
        unit[0, len(self.names)] = 1
        self.names.append(name)
        return unit

    def read_coefficients(self, x: Tensor) -> LinearCombination:
        """The weights in a vector by name. An assertion fails for an array that was already overwritten."""
        weights = x.flatten().tolist()
        nonzero = {i: w for i, w in enumerate(weights) if w}
        newest = {name: i for i, name in enumerate(self.names)}
        assert all(newest[self.names[i]] == i for i in nonzero), "the sampler's history is longer than HISTORY_SIZE"
        return {self.names[i]: w for i, w in nonzero.items()}

    def __call__(self, x: Tensor, t: Tensor) -> Prediction:
        self.calls.append(NetworkCall(t, self.read_coefficients(x)))
        k = self.num_calls % HISTORY_SIZE
        self.num_calls += 1
        return Prediction(self.add_symbol(f"x0.{k}"), self.add_symbol(f"eps.{k}"))

    def noise(self, like: Tensor) -> Tensor:
        """A new unit vector for noise."""
        self.num_noises += 1
        return self.add_symbol(f"z.{self.num_noises - 1}")


def unroll_sampler(sampler: Sampler, schedule: Schedule, grid: Grid) -> list[SamplerStep]:
    """The table of a sampler on a time grid. Not for learned variances, whose weights are not numbers."""
    recorder = SymbolicDenoiser(schedule, 6 * len(grid))
    steps: list[SamplerStep] = []
    history: tuple[tuple[Tensor, Prediction], ...] = ()
    for t, s in pairwise(grid):
        recorder.calls, recorder.num_noises = [], 0
        state = sampler.step(recorder, State(recorder.add_symbol("x"), t, history), s, recorder.noise)
        history = state.history
        result = recorder.read_coefficients(state.x)
        steps.append(SamplerStep(tuple(recorder.calls), result, recorder.num_noises))
    return steps
