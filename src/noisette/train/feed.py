"""Which pictures, times and noises a step sees: a function of the seed and the step, and of nothing else.

So a resumed run draws what an uninterrupted one would, and the global batch of a step is the same however many
processes share it and in however many parts each of them takes its share.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..condition import Condition
from ..noise import Noise, Shared, keyed
from ..recipe import Training
from .criterion import Criterion
from .examples import Examples


@dataclass(frozen=True)
class Batch:
    """Some of a step's images, on the device."""

    x0: Tensor  # (B, C, H, W)
    t: Tensor  # (B,), float64, on the CPU
    eps: Tensor  # (B, C, H, W)
    cond: Condition
    rows: Tensor  # (B,) int64: which pictures of the training split


class Feed:
    """Endless, seeded, without replacement within an epoch."""

    def __init__(
        self, data: Examples, criterion: Criterion, training: Training, seed: int, device: torch.device
    ) -> None:
        self.data, self.criterion, self.training, self.seed, self.device = data, criterion, training, seed, device
        self.orders: dict[int, Tensor] = {}

    def rows(self, step: int) -> Tensor:
        """The step's pictures, (batch,) int64: images are dealt from one shuffled pack after another."""
        n, batch = len(self.data), self.training.batch
        first, last = step * batch, (step + 1) * batch
        packs = range(first // n, (last - 1) // n + 1)
        self.orders = {k: v for k, v in self.orders.items() if k in packs}
        for pack in packs:
            if pack not in self.orders:
                self.orders[pack] = torch.randperm(n, generator=keyed(self.seed, "order", pack))
        dealt = torch.cat([self.orders[pack] for pack in packs])
        return dealt[first - packs[0] * n : last - packs[0] * n]

    def batch(self, step: int, share: slice) -> Batch:
        """The images `share` of step `step`."""
        size, training = self.training.batch, self.training
        cpu = keyed(self.seed, "step", step)
        loss = self.criterion.loss
        t = loss.times(loss.schedule, size, cpu)
        forget = torch.rand(size, generator=cpu) < training.forget
        mirror = torch.rand(size, generator=cpu) < 0.5
        rows = self.rows(step)[share]

        def noise(of: str) -> Noise:
            return Shared(keyed(self.seed, of, step, device=self.device), size, share)

        x0, known = self.data.posed(rows, noise("task"), mirror[share] if training.flip else None, self.device)
        cond = known.drop(forget[share])
        for kind in cond.kinds if len(cond.kinds) > 1 else ():  # so that each can be asked for without the others
            cond = cond.drop((torch.rand(size, generator=cpu) < training.forget)[share], kind)
        return Batch(x0, t[share], noise("eps")(x0), cond, rows)
