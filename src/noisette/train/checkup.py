"""A cheap evaluation along the way: held-out KID, copies and colours of a few samples, whose seeds are fixed.

It walks twelve steps of DPM-Solver++ 2M whatever the model's own sampler is, so a figure compares check-ups with one
another; `noisette evaluate` draws in the model's own way, and more. The model of each check-up is kept as a snapshot
while it may be the best.
"""

import time
from dataclasses import asdict
from functools import cached_property
from pathlib import Path

import torch

from .. import checkpoint, snapshots
from ..data import Dataset
from ..edit.evaluate import condition
from ..edit.generate import ends, generate
from ..edit.held_out import everything
from ..errors import InputError
from ..metrics.features import EfficientNetLite, Extractor
from ..metrics.quick import REFERENCE, Quick, QuickRule
from ..model import PictureModel
from ..noise import keyed
from ..shapes import Bytes
from ..snapshots import Checkup
from .observer import Found, Moment

SAMPLER, GRID, STEPS = "dpm++2m", "karras", 12  # as many calls of the model
BATCH = 32
SIZES = (512, 256, 128, 64)  # samples of a check-up: the most with which ENOUGH of them fit
ENOUGH, MOST = 10, 20
SHARE = 0.04  # of a run's time, that all check-ups may take
WORTH = 4.0  # seconds, below which no check-up is planned
LEAST = 2  # pictures on each side of the split


class Checkups:
    """`times` of them, at even distances of progress; the last one at the end."""

    def __init__(
        self,
        run: Path,
        model: PictureModel,
        data: Dataset,
        times: int,
        samples: int,
        seed: int,
        flips: bool,
        cost: float,
    ) -> None:
        """`cost`: seconds that one is expected to take, until one has been made."""
        self.run, self.model, self.data, self.samples, self.flips = run, model, data, samples, flips
        self.marks = tuple((k + 1) / times for k in range(times))
        self.seeds, self.cost = range(seed, seed + samples), cost
        order = torch.randperm(len(data.train), generator=keyed(seed, "checkup"))
        self.cond = condition(model, data.train, order[torch.arange(samples) % len(order)])

    @cached_property
    def rule(self) -> QuickRule:
        """Made when it is first needed: it looks at many real pictures."""
        return QuickRule(
            everything(self.data.train), everything(self.data.held_out), feature_net(), self.samples, self.flips
        )

    def __call__(self, moment: Moment) -> Found:
        if not moment.passed(self.marks):
            return {}
        start = time.monotonic()
        found = self.rule(self.draw())
        self.keep(moment.images, found)
        self.cost = time.monotonic() - start
        told = {"samples": self.samples, **asdict(found), "floor": self.rule.floor, "expected": self.rule.expected}
        del told["draws"]
        return {
            "checkup": {k: asdict(v) if k in ("floor", "expected") and v is not None else v for k, v in told.items()}
        }

    def draw(self) -> Bytes:
        """The samples, (samples, C, H, W); those of one seed are asked for the same at every check-up."""
        grid = self.model.grid(STEPS, GRID)
        guidance = self.model.config.sampling.guidance
        walk = generate(self.model, self.seeds, self.cond, self.model.sampler(SAMPLER), grid, guidance, BATCH)
        return self.model.pictures.finished(ends(walk, grid))

    def keep(self, images: int, found: Quick) -> None:
        """The model as it is, beside the snapshots that a run which is interrupted now could still need."""
        folder, times = snapshots.place(self.run, images), len(self.marks)
        self.model.save_pretrained(folder)
        told = (found.kid, found.draws, found.copies, self.rule.expected)
        snapshots.write(folder, Checkup(images, times, self.samples, *told))
        saved = checkpoint.checkpoints(self.run)
        snapshots.prune(self.run, int(saved[0].name) if saved else 0)


def affordable(data: Dataset, seconds: float, per_image: float, asked: int | None) -> tuple[int, int]:
    """How many check-ups a run makes, and of how many samples each: SHARE of its time, as far as that can be foreseen.

    `seconds` is what the run takes, `per_image` what a training step takes an image, `asked` how many a person wants.
    """
    if min(len(data.train), len(data.held_out)) < LEAST or asked == 0:
        return 0, 0
    if asked is not None:
        return asked, SIZES[-1]
    budget, walk = SHARE * seconds, STEPS * per_image / 3  # forward is a third of a step
    if budget < WORTH:
        return 0, 0
    look, times = _seconds_a_picture(data), 0
    for samples in SIZES:
        once = look * (min(len(data.held_out), REFERENCE) + min(len(data.train), samples))
        times = int((budget - once) / (samples * (walk + look)))
        if times >= ENOUGH:
            break
    return (min(times, MOST), samples) if times > 0 else (0, 0)


def _seconds_a_picture(data: Dataset) -> float:
    """What the feature net takes for a picture; 0 where there is no net."""
    net = feature_net()
    if net is None:
        return 0.0
    pixels, times = data.train.pixels(torch.arange(min(len(data.train), 8))), []
    for _ in range(2):  # the first one allocates
        start = time.perf_counter()
        net(pixels)
        times.append((time.perf_counter() - start) / len(pixels))
    return min(times)


def feature_net() -> Extractor | None:
    """The net behind KID, where it is installed."""
    try:
        return EfficientNetLite()
    except InputError:
        return None
