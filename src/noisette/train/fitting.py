"""What a run ends with: how its model draws best, found out with a small share of the run's work.

A time grid made for the model, so that a picture takes 8 answers instead of 35; and a temperature. A model that was
trained for minutes leaves something of the noise in what it draws (exposure bias: Ning et al. 2024, arXiv:2308.15321).
On the probability-flow ODE, to begin with noise that is smaller by a factor is to tell the model, all the way, that x_t
is noisier by that factor than it is, so it takes more of it away. The factor is that by which its pictures lie further
outside of what the training pictures span than held-out pictures do. A model that leaves no noise gets 1. What enlarges
leaves its noise within that span; there, the temperature is the one at which what is drawn, shrunk again, is nearest to
what it was drawn of.

How many pictures all this is found from follows from the length of the run alone, so an interrupted run ends alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from ..condition import Condition
from ..config import Sampling
from ..data import Subset
from ..edit.evaluate import condition
from ..edit.fit import fit
from ..edit.generate import ends, generate
from ..metrics.span import Span
from ..model import PictureModel
from ..noise import key, keyed
from ..shapes import Bytes, Images

FINE = 32  # steps of the walk that grids are fitted to
NUMBERS = (4, 5, 6, 8, 10, 12, 16, 20, 25)  # of steps for which there is a grid
SAMPLER, STEPS = "unipc", 8  # what the model draws with unless it is told otherwise
CALLS = 2 * FINE - 1 + STEPS  # answers that each picture takes: a walk, and being drawn
FEWEST, MOST = 4, 64  # pictures
ANSWER = 1 / 3  # what an answer costs, in images of training
OTHERS = 1.0  # seconds that the rest takes
COOLEST = 0.75
TEMPERATURES = (1.0, 0.95, 0.9, 0.85, 0.8, COOLEST)
COMPARED = 1000  # training pictures, at most; and held-out ones
LEAST = 10  # held-out pictures, to be compared with


@dataclass(frozen=True)
class Fitting:
    """The last thing that a run does."""

    share: float  # of the run's work; 0: nothing is fitted
    seed: int

    def pictures(self, images: int) -> int:
        """How many pictures the share of a run of so many images pays for; 0, where they are too few to tell."""
        afforded = int(self.share * images / (CALLS * ANSWER))
        return 0 if afforded < FEWEST else min(afforded, MOST)

    def seconds(self, images: int, rate: float) -> float:
        """What it will take, where `rate` images a second are trained."""
        pictures = self.pictures(images)
        return OTHERS + pictures * CALLS * ANSWER / rate if pictures and rate > 0 else 0.0

    @torch.no_grad()
    def __call__(self, model: PictureModel, data: Subset, held_out: Subset, images: int) -> PictureModel:
        """The model, which was trained on `data` for so many images, with what was found as its way to draw."""
        if not (number := self.pictures(images)):
            return model
        rows = torch.randint(len(data), (number,), generator=keyed(self.seed, "fit"))
        own, cond = replace(model.config.sampling, temperature=1.0), condition(model, data, rows)
        model = draws(model, own)
        seeds = [key(self.seed, "fit", i) for i in range(number)]
        fitted = fit(model, seeds, cond, NUMBERS, FINE, own.guidance)
        model = draws(model, replace(own, sampler=SAMPLER, grid="fitted", steps=STEPS, fitted=fitted))
        some = slice(max(FEWEST, number // len(TEMPERATURES)))  # so that all temperatures cost what one does
        found = agreeing(model, seeds[some], None if cond is None else cond[some])
        if found is None:
            drawn = model.pictures.finished(ended(model, seeds, cond)).cpu()
            found = temperature(model, data, held_out, drawn, self.seed)
        return draws(model, replace(model.config.sampling, temperature=found))


def ended(model: PictureModel, seeds: Sequence[int], cond: Condition | None) -> Images:
    """What the model draws in its own way, in model space."""
    grid = model.grid()
    return ends(generate(model, seeds, cond, model.sampler(), grid, model.config.sampling.guidance), grid)


def agreeing(model: PictureModel, seeds: Sequence[int], cond: Condition | None) -> float | None:
    """The temperature at which what is drawn agrees best with what it was drawn of; None, where that cannot be told."""
    if cond is None or cond.image is None:
        return None
    errors = dict[float, float]()
    for warmth in TEMPERATURES:
        drawn = ended(model.by(replace(model.config.sampling, temperature=warmth)), seeds, cond)
        off = model.config.task.off(cond.image, drawn)
        if off is None:
            return None
        errors[warmth] = off
    return min(errors, key=lambda warmth: errors[warmth])


def temperature(model: PictureModel, train: Subset, held_out: Subset, drawn: Bytes, seed: int) -> float:
    """How much nearer to what the training pictures span held-out pictures lie than drawn ones; at most 1."""
    if len(held_out) < LEAST:
        return 1.0
    real = []
    for side in (train, held_out):
        some = torch.randperm(len(side), generator=keyed(seed, "compared"))[:COMPARED]
        x0, _ = model.config.task.pose(side.layers(some), side.condition(some))
        real.append(model.pictures.decode(x0))
    span = Span.of(real[0])
    ratio = span.outside(real[1]) / max(span.outside(drawn), 1e-9)
    return round(min(1.0, max(COOLEST, ratio)), 3)


def draws(model: PictureModel, sampling: Sampling) -> PictureModel:
    """The same model, which draws so unless it is told otherwise."""
    model.config = replace(model.config, sampling=sampling)
    return model
