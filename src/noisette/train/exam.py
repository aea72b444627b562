"""The loss on pictures that a run never trains on.

A training loss jumps about because times and noises are drawn anew each step. Here pictures, times and noises are
fixed, so a difference between two rows is a difference between two models.
"""

import copy
import time

import torch
from jaxtyping import Float
from torch import Tensor

from ..data import Dataset
from ..denoiser import DiffusionModel
from ..loss import Loss
from ..model import PictureModel
from ..noise import Shared, keyed
from .examples import Examples
from .observer import Found, Moment

LEVELS = ("low", "middle", "high", "highest")  # quarters of the training times, by noise
MARKS = tuple(k / 20 for k in range(1, 21))  # progress at which it is taken
COMPARED, FEW = MARKS[3::4], 32


class FixedLoss:
    """The objective on a fixed batch of pictures × times × noises, by noise level."""

    def __init__(self, data: Examples, objective: Loss, seed: int, pictures: int = 64, times: int = 8) -> None:
        self.objective = objective
        rows = torch.randperm(len(data), generator=keyed(seed, "fixed"))[:pictures]
        x0, cond = data.posed(rows, Shared(keyed(seed, "fixed task"), len(rows)))
        # stratified: the same quantiles of the training times for every picture
        many = objective.times(objective.schedule, 64 * times, keyed(seed, "fixed times")).sort().values
        self.t = many[32::64]
        self.x0, self.cond = x0, cond
        self.eps = torch.randn((times, *x0.shape), generator=keyed(seed, "fixed eps"))

    def of(self, pictures: int) -> "FixedLoss":
        """The same on the first few pictures alone."""
        few = copy.copy(self)
        few.x0, few.cond, few.eps = self.x0[:pictures], self.cond[:pictures], self.eps[:, :pictures]
        return few

    @torch.no_grad()
    def __call__(self, model: DiffusionModel, device: torch.device) -> Float[Tensor, "times pictures"]:
        """The loss of each picture at each time, lowest noise first; float64, on the CPU."""
        rows = []
        x0, cond = self.x0.to(device), self.cond.to(device)
        for t, eps in zip(self.t, self.eps, strict=True):
            rows.append(self.objective(model, x0, t.expand(len(x0)), eps.to(device), cond))
        return torch.stack(rows).cpu().double()


def by_level(losses: Float[Tensor, "times pictures"]) -> dict[str, float]:
    """Mean loss by noise level, and over `all`."""
    quarters = losses.mean(1).reshape(len(LEVELS), -1).mean(1)
    return {"all": losses.mean().item()} | dict(zip(LEVELS, quarters.tolist(), strict=True))


def gap(held_out: Float[Tensor, "times n"], seen: Float[Tensor, "times m"]) -> dict[str, float]:
    """How much more held-out pictures cost than training pictures, with the standard error of that."""
    a, b = held_out.mean(0), seen.mean(0)
    spread = (a.var(correction=0) / max(len(a) - 1, 1) + b.var(correction=0) / max(len(b) - 1, 1)).sqrt().item()
    return {"value": (a.mean() - b.mean()).item(), "error": spread}


class Exam:
    """The held-out loss of the averaged weights, at MARKS; at COMPARED, two others beside it, on FEW pictures.

    `seen` is the loss on training pictures: a gap between the two that widens is memorising. `plain` is the held-out
    loss of the weights themselves, next to the average's on the same pictures: below it, the average lags behind; far
    above it, the weights jump about.
    """

    def __init__(self, average: PictureModel, plain: PictureModel, data: Dataset, objective: Loss, seed: int) -> None:
        self.average, self.plain, self.cost, task = average, plain, 0.0, average.config.task
        self.held_out, self.seen = (
            FixedLoss(Examples(data.held_out, task), objective, seed),
            FixedLoss(Examples(data.train, task), objective, seed, FEW),
        )

    def __call__(self, moment: Moment) -> Found:
        if not moment.passed(MARKS):
            return {}
        start, device = time.monotonic(), next(self.average.parameters()).device
        held_out = self.held_out(self.average, device)
        found: Found = {"held_out": by_level(held_out)}
        if moment.passed(COMPARED):
            seen, plain = self.seen(self.average, device), self.held_out.of(FEW)(self.plain.eval(), device)
            found["seen"] = by_level(seen)
            if min(held_out.shape[1], seen.shape[1]) > 1:  # the spread of one picture is not known
                found["gap"] = gap(held_out, seen)
            found |= {"plain": {"all": plain.mean().item(), "average": held_out[:, :FEW].mean().item()}}
        self.cost = time.monotonic() - start
        return found
