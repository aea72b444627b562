"""What a training step measures, before it is known of which model: the part of a recipe that becomes a `Loss`."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ..errors import InputError
from ..parametrization import Parametrization
from ..schedule import Chain, Schedule
from .objective import Loss, Objective
from .times import Steps, Stratified, Times
from .variational import Hybrid, Variational
from .weighting import Weighting


@runtime_checkable
class Measure(Protocol):
    """A kind of loss."""

    def outputs(self, channels: int) -> int:
        """How many channels a network must answer for pictures of `channels`."""
        ...

    def loss(
        self, schedule: Schedule, parametrization: Parametrization, weighting: Weighting, times: Times
    ) -> Loss: ...


@dataclass(frozen=True)
class SquaredError:
    """The weighted squared error: `Objective`."""

    def outputs(self, channels: int) -> int:
        return channels

    def loss(self, schedule: Schedule, parametrization: Parametrization, weighting: Weighting, times: Times) -> Loss:
        return Objective(schedule, parametrization, weighting, times)


@dataclass(frozen=True)
class SquaredErrorAndBound:
    """Improved DDPM's hybrid: the squared error, and `share` of the variational bound, which teaches the variance."""

    share: float = 1e-3

    def outputs(self, channels: int) -> int:
        return 2 * channels

    def loss(self, schedule: Schedule, parametrization: Parametrization, weighting: Weighting, times: Times) -> Loss:
        steps = chain_steps(schedule, times)
        return Hybrid(Objective(schedule, parametrization, weighting, times), self.share, steps)


@dataclass(frozen=True)
class Bound:
    """The variational bound alone, with a learned variance. It has its own weight; the recipe's is not asked."""

    def outputs(self, channels: int) -> int:
        return 2 * channels

    def loss(self, schedule: Schedule, parametrization: Parametrization, weighting: Weighting, times: Times) -> Loss:
        steps = chain_steps(schedule, times)
        return Variational(schedule, parametrization, steps, stratified=isinstance(times, Stratified))


def chain_steps(schedule: Schedule, times: Times) -> int:
    """The steps of a chain that is trained at its own steps; anything else has no bound and no losses by step."""
    rule = times.times if isinstance(times, Stratified) else times
    if not isinstance(schedule, Chain) or rule != Steps(schedule.length):
        raise InputError(
            f"this loss is of a chain's own steps, and the recipe has {type(schedule).__name__} with {times}: "
            f"choose a chain, such as LinearBeta, and the times Steps({schedule.length})"
        )
    return schedule.length
