"""Train a noisy classifier, p(y | x_t), on the pictures that a model is trained on, under as much noise as it meets.

Dhariwal & Nichol 2021, section 4: the encoding half of a U-Net, noise of the same schedule. Noise levels are drawn
evenly in the logarithm of σ/α, since a walk passes all of them. A network of minutes: there is nothing to resume.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from ..classifier import ClassifierModelConfig, PictureClassifier
from ..data import Dataset, Subset
from ..errors import InputError
from ..metrics.interval import Interval, wilson
from ..nn.architecture import UNetConfig
from ..nn.classifier import ClassifierConfig
from ..nn.ema import EMA
from ..noise import Seeded, key, keyed
from ..pictures import Pictures
from ..schedule import Schedule
from .horizon import learning_rate
from .stop import StopSignals

RANGE = (0.02, 80.0)  # σ/α, of which the schedule has a part
READ = (0.05, 0.2, 0.5, 1.0, 2.0, 5.0, 20.0)  # σ/α at which accuracy is measured, beside clean
DRAWS = 4  # noises of each held-out picture there
CLEAN = 1e-3  # σ/α that counts as clean: a network is told the logarithm


@dataclass(frozen=True)
class ClassifyOptions:
    """Either a time or a number of images is given, and not both."""

    seconds: float | None = None
    images: int | None = None
    batch: int = 64
    lr: float = 1e-3
    weight_decay: float = 0.05
    dropout: float = 0.1
    width: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.seconds is None) == (self.images is None):
            raise InputError("a classifier is given either a time or a number of images")


@dataclass(frozen=True)
class Learning:
    """What a watcher is told after every step."""

    images: int
    progress: float  # 0 … 1
    seconds: float
    loss: float


@dataclass(frozen=True)
class Reading:
    """The share of held-out pictures that are read rightly under noise."""

    noise: float  # σ/α
    right: Interval


def architecture(pictures: Pictures, options: ClassifyOptions) -> ClassifierConfig:
    """Levels down to about 4 pixels a side, as the laptop presets have them, with one block each."""
    side = pictures.height
    if side != pictures.width:
        raise InputError(f"a classifier reads square pictures, and these are {pictures.width}×{side}")
    levels = max(2, min(3, round(math.log2(side)) - 1))
    while levels > 1 and side % 2 ** (levels - 1):
        levels -= 1
    sides = [side // 2**i for i in range(levels)]
    encoder = UNetConfig(
        in_channels=pictures.channels,
        out_channels=pictures.channels,
        channels=tuple(options.width * min(2, 1 + i) for i in range(levels)),
        blocks=1,
        attention=tuple(4 < s <= 8 for s in sides),
        groups=8,
        time_channels=options.width,
        modulation="scale_shift",
        dropout=options.dropout,
    )
    return ClassifierConfig(encoder=encoder, classes=len(pictures.labels), side=side)


def classify(
    data: Dataset, schedule: Schedule, options: ClassifyOptions, watcher: Callable[[Learning], None] = lambda _: None
) -> PictureClassifier:
    """A classifier of the labels of `data`, for models of `schedule`; its averaged weights, on the CPU.

    Ends in time, or after the step in which a signal came: then with what it has learned so far.
    """
    train, device = data.train, torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    rows = torch.arange(len(train)) if train.labels is None else torch.nonzero(train.labels >= 0).flatten()
    if train.labels is None or len(train.labels[rows].unique()) < 2:
        raise InputError("a classifier needs pictures of at least two labels: put them in sub-folders")
    torch.manual_seed(key(options.seed, "classifier"))
    config = ClassifierModelConfig(architecture(data.pictures, options), schedule, data.pictures)
    model = PictureClassifier(config).to(device).train()
    horizon = float(options.images or 64 * len(rows))
    ema = EMA(model, half_life=0.03 * horizon)
    optimizer = torch.optim.AdamW(model.parameters(), options.lr, weight_decay=options.weight_decay)
    low, high = (x.log() for x in _range(schedule))
    began, images, progress = time.monotonic(), 0, 0.0
    with StopSignals() as stop:
        while progress < 1 and not stop.number:
            for group in optimizer.param_groups:
                group["lr"] = options.lr * learning_rate(progress, 0.03, 0.01)
            draw = keyed(options.seed, "classify", images)
            some = rows[torch.randint(len(rows), (options.batch,), generator=draw)]
            t = schedule.time(
                (low + (high - low) * torch.rand(options.batch, generator=draw, dtype=torch.float64)).exp()
            )
            x0, labels = train.x0(some).to(device), train.labels[some].to(device)
            eps = torch.randn(x0.shape, generator=draw).to(device)
            loss = F.cross_entropy(model(schedule.diffuse(x0, t, lambda like, eps=eps: eps), t), labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            images += options.batch
            ema.update(model, images, options.batch)
            spent = time.monotonic() - began
            progress = spent / options.seconds if options.seconds else images / horizon
            watcher(Learning(images, min(progress, 1.0), spent, loss.item()))
    return ema.model.to("cpu")


@torch.no_grad()
def by_noise(classifier: PictureClassifier, held_out: Subset, seed: int = 0) -> list[Reading]:
    """How well held-out pictures are read, by noise level; the first is all but clean."""
    assert held_out.labels is not None
    rows = torch.nonzero(held_out.labels >= 0).flatten()
    if not len(rows):
        raise InputError("no held-out picture has a label: there is nothing to read")
    schedule, labels, readings = classifier.config.schedule, held_out.labels[rows], []
    low, high = (float(x) for x in _range(schedule))
    for level in (CLEAN, *(level for level in READ if low <= level <= high)):
        t, hits, draws = schedule.time(torch.tensor(level, dtype=torch.float64)), 0, 1 if level == CLEAN else DRAWS
        for i in range(draws):
            for first in range(0, len(rows), 256):
                some = rows[first : first + 256]
                noise = Seeded([key(seed, "reading", i, int(row)) for row in some])
                x = schedule.diffuse(held_out.x0(some), t, noise)
                hits += int((classifier(x, t).argmax(1) == labels[first : first + 256]).sum())
        right = wilson(round(hits / draws), len(rows))  # noises of one picture are no pictures more
        readings.append(Reading(level, Interval(hits / draws / len(rows), right.low, right.high)))
    return readings


def _range(schedule: Schedule) -> tuple[torch.Tensor, torch.Tensor]:
    """The smallest and the largest σ/α that are trained on."""
    ends = schedule.ratio(torch.tensor([max(schedule.first, 1e-6), 1.0], dtype=torch.float64))
    return ends[0].clamp(min=RANGE[0]), ends[1].clamp(max=RANGE[1])
