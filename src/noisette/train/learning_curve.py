"""What would more pictures bring? Trained on quarters, halves and the whole, with as many images seen by each model.

A loss falls with the number of pictures n about as a power, L(n) = b · n^(−c) (Hestness et al. 2017), here that on
held-out pictures, at the point of each run where it is lowest: fewer pictures are learned by heart sooner, and a person
would stop there. The slope's interval is that of a straight line through the points in log-log (Student's t), so
the luck of each run and of each choice of pictures counts, and the luck of the held-out pictures by a bootstrap. It
reaches as far as a few more pictures: for many more, measure again once they are there.
"""

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from jaxtyping import Float
from torch import Tensor

from ..data import Dataset
from ..errors import InputError
from ..loss import Loss
from ..metrics.interval import Interval
from ..model import PictureModel
from ..noise import keyed
from .exam import FixedLoss
from .examples import Examples
from .observer import Found, Moment, Observer
from .plan import Plan, TrainOptions, draw_up
from .progress import Progress
from .run import Run

SHARES = (0.25, 0.25, 0.5, 0.5, 1.0, 1.0)  # of the training pictures; equal shares have no picture in common
LEAST = 40  # training pictures, of which a quarter can still be trained on
MARKS = tuple(k / 12 for k in range(1, 13))
HELD_OUT = 256  # pictures at most
SAFE = 0.8  # of the time is planned for, since nobody knows what else the machine will do
SMALL = 1.0  # per cent of the loss: less is no difference
T95 = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45}  # Student's t, two-sided, by degrees of freedom


@dataclass(frozen=True)
class Point:
    """One model."""

    pictures: int
    loss: float  # on held-out pictures, at its lowest
    at: int  # images seen there


@dataclass(frozen=True)
class Outlook:
    """What `more` pictures would bring."""

    pictures: int  # that there are to train on
    more: int
    images: int  # that each model saw
    points: tuple[Point, ...]
    exponent: Interval  # c
    gain: Interval  # per cent by which the held-out loss would be lower

    @property
    def says(self) -> str:
        """In a sentence."""
        g, runs = self.gain, f"in runs of {self.images:,} images"
        figure = f"{g.value:.1f} % [{g.low:.1f}, {g.high:.1f}]"
        told = f"{self.more} more pictures would lower the held-out loss by {figure} {runs}"
        if g.low > SMALL:
            return f"More pictures help: {told}."
        if g.high < SMALL:
            return (
                f"More pictures would bring next to nothing: {told}. A longer run or a larger preset is what remains."
            )
        if g.low > 0:
            return f"More pictures help a little: {told}."
        return (
            f"It cannot be told whether more pictures help: {told}. Give it more time with --for, for a surer answer."
        )


class Held:
    """The loss of each held-out picture along a run."""

    cost = 0.0

    def __init__(self, model: PictureModel, data: Dataset, loss: Loss, seed: int) -> None:
        self.model, self.exam = (
            model,
            FixedLoss(Examples(data.held_out, model.config.task), loss, seed, pictures=HELD_OUT),
        )
        self.found: list[tuple[int, Float[Tensor, "pictures"]]] = []

    def __call__(self, moment: Moment) -> Found:
        if moment.passed(MARKS):
            losses = self.exam(self.model, next(self.model.parameters()).device).mean(0)
            self.found.append((moment.images, losses))
        return {}

    @property
    def best(self) -> tuple[int, Float[Tensor, "pictures"]]:
        return min(self.found, key=lambda one: one[1].mean().item())


class Trial(Run):
    """A run that nobody looks at but for its held-out loss."""

    held: Held

    def observers(self) -> list[Observer]:
        # the same pictures, times and noises for every trial: their luck is common to all
        self.held = Held(self.ema.model, self.data, self.criterion.plain, 0)
        return [self.held]

    def finish(self) -> Path:
        """Nothing is kept of it."""
        return self.folder


def outlook(
    data: Dataset,
    options: TrainOptions,
    more: int = 50,
    done: Callable[[int, int], None] = lambda images, total: None,
) -> Outlook:
    """Train all models, in `options.seconds` together or on `options.images` each. `done` hears of the progress."""
    n = len(data.train)
    if n < LEAST:
        raise InputError(f"{n} training pictures are too few to learn from parts of them: give at least {LEAST}")
    accelerator = Accelerator(cpu=not torch.accelerator.is_available(), mixed_precision="no")
    left = None if options.seconds is None else SAFE * options.seconds / len(SHARES)
    plan = replace(draw_up(data, replace(options, checkups=0), accelerator.device, 1, left), seconds=None)
    points, losses = [], []
    for i, rows in enumerate(parts(n)):

        def told(progress: Progress, before: int = i * plan.images) -> None:
            done(before + progress.images, len(SHARES) * plan.images)

        own = replace(plan, seed=options.seed + i)
        at, each = _trained(some(data, rows), own, options, accelerator, told)
        points.append(Point(len(rows), each.mean().item(), at))
        losses.append(each)
    return fitted(points, torch.stack(losses), n, more, plan.images)


def parts(n: int) -> list[Tensor]:
    """The training pictures of each trial, by number."""
    order, found, used = torch.randperm(n, generator=keyed("parts")), [], dict.fromkeys(SHARES, 0)
    for share in SHARES:
        size, first = int(share * n), used[share]
        used[share] = (first + size) % n
        found.append(order[first : first + size].sort().values)
    return found


def some(data: Dataset, rows: Tensor) -> Dataset:
    """The data set with these training pictures alone."""
    names = {f.name for f in (data.train.files[i] for i in rows.tolist())}
    files = tuple(f for f in data.manifest.files if f.split != "train" or f.name in names)
    return replace(data, manifest=replace(data.manifest, files=files))


def _trained(
    data: Dataset, plan: Plan, options: TrainOptions, accelerator: Accelerator, watcher: Callable[[Progress], None]
) -> tuple[int, Float[Tensor, "pictures"]]:
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial(Path(folder), data, plan, replace(options, save_every=1e9), accelerator, time.monotonic())
        trial.go(watcher)
    return trial.held.best


def fitted(
    points: Sequence[Point], losses: Float[Tensor, "models pictures"], n: int, more: int, images: int
) -> Outlook:
    """The power law through the points, and what it says of n + more. `losses` are those behind the points."""
    x = torch.tensor([float(p.pictures) for p in points]).double().log()
    x, freedom = x - x.mean(), len(points) - 2
    spread = x.square().sum()

    def slope(means: Float[Tensor, "draws models"]) -> Float[Tensor, "draws"]:
        return -(means.log() @ x) / spread

    y = losses.double().mean(1)
    c = slope(y[None])[0]
    residual = (y.log() - y.log().mean() + c * x).square().sum() / freedom
    drawn = torch.randint(losses.shape[1], (500, losses.shape[1]), generator=keyed("outlook"))
    luck = slope(losses.double()[:, drawn].mean(2).T).std()
    half = T95[freedom] * math.sqrt(residual.item() / spread.item()) + 1.96 * luck.item()
    exponent = Interval(c.item(), c.item() - half, c.item() + half)
    gain = Interval(*(100 * (1 - (1 + more / n) ** -e) for e in (exponent.value, exponent.low, exponent.high)))
    return Outlook(n, more, images, tuple(points), exponent, gain)


def told(found: Outlook) -> dict[str, Any]:
    """As JSON."""
    return asdict(found) | {"says": found.says}
