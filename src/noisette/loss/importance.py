"""Times drawn where the loss is large and wild (Nichol & Dhariwal 2021, section 3.3)."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..condition import Condition
from ..errors import InputError
from ..schedule import Schedule
from ..shapes import Images, PerImage
from .objective import Loss, Network
from .times import Times


@dataclass(frozen=True, eq=False)
class Losses:
    """The last few losses of every step of a chain. A value: `seen` returns a new one."""

    history: Float[Tensor, "steps recent"]  # a ring: the count says where the next goes
    counts: Int[Tensor, "steps"]  # how many each step has had

    @classmethod
    def none(cls, steps: int = 1000, recent: int = 10) -> "Losses":
        return cls(torch.zeros(steps, recent, dtype=torch.float64), torch.zeros(steps, dtype=torch.int64))

    @classmethod
    def restored(cls, tensors: dict[str, Tensor]) -> "Losses":
        """What `tensors()` gave, after it was on disk."""
        try:
            return cls(tensors["history"], tensors["counts"])
        except KeyError as missing:
            raise InputError(f"these are not the losses of a chain: {missing} is missing") from None

    def tensors(self) -> dict[str, Tensor]:
        return {"history": self.history, "counts": self.counts}

    def seen(self, t: Float[Tensor, "b"], loss: Float[Tensor, "b"]) -> "Losses":
        """The same, after a batch."""
        history, counts = self.history.clone(), self.counts.clone()
        for k, value in zip(self.step(t).tolist(), loss.detach().double().cpu().tolist(), strict=True):
            history[k, int(counts[k]) % history.shape[1]] = value
            counts[k] += 1
        return Losses(history, counts)

    def step(self, t: Float[Tensor, "b"]) -> Int[Tensor, "b"]:
        """Which step of the chain, from 0, time t is."""
        return (t.cpu() * len(self.counts) - 1).round().long().clamp(0, len(self.counts) - 1)

    def chances(self) -> Float[Tensor, "steps"]:
        """In proportion to √E[L²], with a thousandth spread evenly; even until every step has a full history."""
        even = torch.full_like(self.history[:, 0], 1 / len(self.counts))
        spread = self.history.square().mean(1).sqrt()
        if self.counts.min() < self.history.shape[1] or spread.sum() == 0:
            return even
        return 0.999 * spread / spread.sum() + 0.001 * even


@dataclass(frozen=True, eq=False)
class ByLoss:
    """Steps of a chain, drawn by `Losses.chances`."""

    losses: Losses

    def __call__(self, schedule: Schedule, batch: int, generator: torch.Generator) -> Float[Tensor, "b"]:
        k = torch.multinomial(self.losses.chances(), batch, replacement=True, generator=generator)
        return (k + 1).double() / len(self.losses.counts)


@dataclass(frozen=True, eq=False)
class Importance:
    """A loss whose times are drawn where it is large, each divided by how much oftener: the mean stays what it was.

    A training loop keeps it current: `loss = loss.seen(t, values)`, with the values that the call returned.
    """

    loss: Loss
    losses: Losses

    @property
    def schedule(self) -> Schedule:
        return self.loss.schedule

    @property
    def times(self) -> Times:
        return ByLoss(self.losses)

    def __call__(
        self, model: Network, x0: Images, t: Float[Tensor, "b"], eps: Images, cond: Condition | None = None
    ) -> PerImage:
        loss = self.loss(model, x0, t, eps, cond)
        return loss * self.weight(t).to(loss)

    def weight(self, t: Float[Tensor, "b"]) -> Float[Tensor, "b"]:
        """1 / (T p_t)."""
        return 1 / (len(self.losses.counts) * self.losses.chances()[self.losses.step(t)])

    def seen(self, t: Float[Tensor, "b"], loss: Float[Tensor, "b"]) -> "Importance":
        """After a batch: the losses as they were before their weight."""
        return replace(self, losses=self.losses.seen(t, loss.detach().cpu() / self.weight(t)))
