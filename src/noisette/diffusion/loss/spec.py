"""Loss specifications: the part of a training recipe from which a `Loss` is built for a given model."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ...errors import InputError, check_range
from ..parametrization import Parametrization
from ..schedule import DiscreteSchedule, Schedule
from .objective import Loss, Objective
from .timesteps import Steps, Stratified, TimestepSampler
from .variational import HybridLoss, VariationalLoss
from .weighting import Weighting


@runtime_checkable
class LossSpec(Protocol):
    """A kind of loss, independent of the model: key `loss_spec` of a training recipe.

    One of your own is a frozen dataclass with both methods, see `noisette.register`.
    """

    def out_channels(self, channels: int) -> int:
        """The number of output channels that the network needs for pictures with `channels` channels."""
        ...

    def build_loss(
        self, schedule: Schedule, parametrization: Parametrization, weighting: Weighting, times: TimestepSampler
    ) -> Loss:
        """The loss for a schedule, parametrization, weighting and distribution of times."""
        ...


@dataclass(frozen=True)
class SquaredError:
    """The weighted squared error: `Objective`."""

    def out_channels(self, channels: int) -> int:
        return channels

    def build_loss(
        self, schedule: Schedule, parametrization: Parametrization, weighting: Weighting, times: TimestepSampler
    ) -> Loss:
        return Objective(schedule, parametrization, weighting, times)


@dataclass(frozen=True)
class SquaredErrorAndVLB:
    """L_hybrid of improved DDPM: the squared error plus vlb_weight times the variational bound, which trains the
    learned variance only (Nichol & Dhariwal 2021): `HybridLoss`. vlb_weight: 0 or more."""

    vlb_weight: float = 1e-3

    def __post_init__(self) -> None:
        check_range("vlb_weight", self.vlb_weight, 0)

    def out_channels(self, channels: int) -> int:
        return 2 * channels

    def build_loss(
        self, schedule: Schedule, parametrization: Parametrization, weighting: Weighting, times: TimestepSampler
    ) -> Loss:
        steps = chain_steps(schedule, times)
        return HybridLoss(Objective(schedule, parametrization, weighting, times), self.vlb_weight, steps)


@dataclass(frozen=True)
class VLB:
    """The variational bound alone, with a learned variance: `VariationalLoss`. `weighting` is not used."""

    def out_channels(self, channels: int) -> int:
        return 2 * channels

    def build_loss(
        self, schedule: Schedule, parametrization: Parametrization, weighting: Weighting, times: TimestepSampler
    ) -> Loss:
        steps = chain_steps(schedule, times)
        return VariationalLoss(schedule, parametrization, steps, stratified=isinstance(times, Stratified))


def chain_steps(schedule: Schedule, times: TimestepSampler) -> int:
    """The number of steps of a discrete schedule whose training times are its own steps; `InputError` for others."""
    inner = times.times if isinstance(times, Stratified) else times
    if not isinstance(schedule, DiscreteSchedule):
        raise InputError(
            f"this loss needs a discrete schedule such as LinearBeta or Cosine, got {type(schedule).__name__} "
            f"with the times {times}"
        )
    if inner != Steps(schedule.num_train_timesteps):
        raise InputError(
            f"this loss needs the schedule's own steps as its times: Steps({schedule.num_train_timesteps}), got {times}"
        )
    return schedule.num_train_timesteps
