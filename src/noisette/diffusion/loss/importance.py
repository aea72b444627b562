"""Importance sampling of the training times by their loss (Nichol & Dhariwal 2021, section 3.3)."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...errors import InputError
from ...shapes import Images, PerImage
from ..condition import Condition
from ..schedule import Schedule
from .objective import LossWrapper, Network
from .timesteps import TimestepSampler


@dataclass(frozen=True, eq=False)
class LossHistory:
    """The most recent losses of every step of a chain (Nichol & Dhariwal 2021, section 3.3).

    Immutable: `with_batch` returns an updated copy.
    """

    history: Float[Tensor, "steps recent"]  # ring buffer; counts modulo its length is the next position
    counts: Int[Tensor, "steps"]  # number of losses recorded for each step

    @classmethod
    def empty(cls, steps: int = 1000, history_size: int = 10) -> "LossHistory":
        """A history without losses, of a chain of `steps` steps, that keeps `history_size` losses per step."""
        return cls(
            torch.zeros(steps, history_size, dtype=torch.float64, device="cpu"),
            torch.zeros(steps, dtype=torch.int64, device="cpu"),
        )

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> "LossHistory":
        """The inverse of `to_tensors`; `InputError` if a tensor is missing."""
        try:
            return cls(tensors["history"], tensors["counts"])
        except KeyError as missing:
            raise InputError(f"these tensors are not a loss history: {missing} is missing") from None

    def to_tensors(self) -> dict[str, Tensor]:
        """The tensors of this history by name, for a checkpoint."""
        return {"history": self.history, "counts": self.counts}

    def with_batch(self, t: Float[Tensor, "b"], losses: Float[Tensor, "b"]) -> "LossHistory":
        """A copy with the losses of a batch added: t (B,) and one loss per image (B,)."""
        history, counts = self.history.clone(), self.counts.clone()
        for k, value in zip(self.step_index(t).tolist(), losses.detach().double().cpu().tolist(), strict=True):
            history[k, int(counts[k]) % history.shape[1]] = value
            counts[k] += 1
        return LossHistory(history, counts)

    def step_index(self, t: Float[Tensor, "b"]) -> Int[Tensor, "b"]:
        """The index from 0 to T − 1 of the chain's step at time t."""
        return (t.cpu() * len(self.counts) - 1).round().long().clamp(0, len(self.counts) - 1)

    def probabilities(self) -> Float[Tensor, "steps"]:
        """p_t: proportional to √E[L²], mixed with 0.1 % of the uniform distribution.

        Uniform until the history of every step is full.
        """
        uniform = torch.full_like(self.history[:, 0], 1 / len(self.counts))
        root_mean_square = self.history.square().mean(1).sqrt()
        if self.counts.min() < self.history.shape[1] or root_mean_square.sum() == 0:
            return uniform
        return 0.999 * root_mean_square / root_mean_square.sum() + 0.001 * uniform


@dataclass(frozen=True, eq=False)
class LossProportionalSteps:
    """Steps of a chain, sampled with `LossHistory.probabilities` (Nichol & Dhariwal 2021, section 3.3)."""

    loss_history: LossHistory

    def __call__(self, schedule: Schedule, batch_size: int, generator: torch.Generator) -> Float[Tensor, "b"]:
        k = torch.multinomial(self.loss_history.probabilities(), batch_size, replacement=True, generator=generator)
        return (k + 1).double() / len(self.loss_history.counts)


@dataclass(frozen=True, eq=False)
class ImportanceSampledLoss(LossWrapper):
    """A loss whose times are sampled more often where it is large, weighted by 1/(T p_t): its expectation is unchanged
    (Nichol & Dhariwal 2021, eq. 18). For chains only, see `chain_steps`.

    The training loop must update it after each batch: `loss = loss.with_batch(t, values)`, with the values returned by
    the call.
    """

    loss_history: LossHistory

    @property
    def times(self) -> TimestepSampler:
        return LossProportionalSteps(self.loss_history)

    def __call__(
        self, model: Network, x0: Images, t: Float[Tensor, "b"], eps: Images, cond: Condition | None = None
    ) -> PerImage:
        loss = self.loss(model, x0, t, eps, cond)
        return loss * self.importance_weight(t).to(loss)

    def importance_weight(self, t: Float[Tensor, "b"]) -> Float[Tensor, "b"]:
        """1 / (T p_t) of each image: (B,)."""
        return 1 / (len(self.loss_history.counts) * self.loss_history.probabilities()[self.loss_history.step_index(t)])

    def with_batch(self, t: Float[Tensor, "b"], losses: Float[Tensor, "b"]) -> "ImportanceSampledLoss":
        """An updated copy; `losses` are weighted, as returned by the call, and are recorded without the weight."""
        return replace(
            self, loss_history=self.loss_history.with_batch(t, losses.detach().cpu() / self.importance_weight(t))
        )
