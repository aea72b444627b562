"""Watching a run: the loss on pictures that it never trains on, and what it draws from one fixed noise.

A training loss jumps about because times and noises are drawn anew each step. Here pictures, times and noises are
fixed, so a difference between two rows is a difference between two models.
"""

from collections.abc import Iterator

import torch
from jaxtyping import UInt8
from torch import Tensor

from ..data import Subset
from ..denoiser import DiffusionModel
from ..loss import Loss
from ..noise import keyed
from ..shapes import Bytes

LEVELS = ("low", "middle", "high", "highest")  # quarters of the training times, by noise


class FixedLoss:
    """The objective on a fixed batch of pictures × times × noises, by noise level."""

    def __init__(self, data: Subset, objective: Loss, seed: int, pictures: int = 64, times: int = 8) -> None:
        self.objective = objective
        rows = torch.randperm(len(data), generator=keyed(seed, "fixed"))[:pictures]
        x0 = data.x0(rows)
        # stratified: the same quantiles of the training times for every picture
        many = objective.times(objective.schedule, 64 * times, keyed(seed, "fixed times")).sort().values
        self.t = many[32::64]
        self.x0, self.cond = x0, data.condition(rows)
        self.eps = torch.randn((times, *x0.shape), generator=keyed(seed, "fixed eps"))

    @torch.no_grad()
    def __call__(self, model: DiffusionModel, device: torch.device) -> dict[str, float]:
        """Mean loss by noise level, and over `all`."""
        rows = []
        for t, eps in zip(self.t, self.eps, strict=True):
            x0 = self.x0.to(device)
            rows.append(self.objective(model, x0, t.expand(len(x0)), eps.to(device), self.cond.to(device)).mean())
        losses: Tensor = torch.stack(rows).double().cpu()
        quarters = losses.reshape(len(LEVELS), -1).mean(1)
        return {"all": losses.mean().item()} | dict(zip(LEVELS, quarters.tolist(), strict=True))


def sheet(pixels: Bytes, columns: int = 4) -> UInt8[Tensor, "1 c tall wide"]:
    """Pictures side by side at native size, without gaps: (1, C, rows · h, columns · w)."""
    rows = -(-len(pixels) // columns)
    blank = pixels.new_zeros((rows * columns - len(pixels), *pixels.shape[1:]))
    tiles = torch.cat([pixels, blank]).unflatten(0, (rows, columns))  # (rows, columns, c, h, w)
    return tiles.permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2)[None]


def crossings(marks: tuple[float, ...], before: float, after: float) -> Iterator[float]:
    """The marks that progress passed on its way from `before` (excluded) to `after`."""
    return (m for m in marks if before < m <= after)
