"""Train a noisy classifier p(y | x_t) for classifier guidance, on pictures at all noise levels of a schedule.

Dhariwal & Nichol 2021, section 4: the encoder of a U-Net. Noise levels are sampled log-uniformly in σ/α, since a
sampling trajectory passes all of them. Training takes minutes and cannot be resumed.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

from ..data import Dataset, Subset, prepare
from ..data.pictures import Pictures
from ..diffusion.noise import Seeded, derive_seed, make_generator
from ..diffusion.schedule import Schedule, VarianceExploding
from ..errors import InputError
from ..evaluation.metrics.interval import ConfidenceInterval, wilson_interval
from ..io.run_config import read_run_config
from ..models.classifier import ClassifierModelConfig, PictureClassifier
from ..models.config import from_json
from ..nn.architecture import UNetConfig
from ..nn.classifier import ClassifierConfig
from ..nn.ema import EMA
from ..team import best_device
from .isolation import preserve_global_state
from .plan import check_maxima
from .progress import StopSignals
from .progress_schedule import lr_factor

SIGMA_RANGE = (0.02, 80.0)  # σ/α that is trained on, as far as the schedule reaches
ACCURACY_SIGMAS = (0.05, 0.2, 0.5, 1.0, 2.0, 5.0, 20.0)  # σ/α at which accuracy is measured, besides CLEAN_SIGMA
NOISES_PER_PICTURE = 4  # noise samples per held-out picture and noise level
CLEAN_SIGMA = 1e-3  # σ/α that counts as clean; not 0, since the network gets the logarithm


@dataclass(frozen=True)
class ClassifierOptions:
    """Settings of a classifier's training. Exactly one of `seconds` and `images` is given."""

    seconds: float | None = None  # duration, in seconds
    images: int | None = None  # training images seen
    batch: int = 64  # images per optimizer step
    lr: float = 1e-3  # highest learning rate; warmup over 3 % of the run, then a cosine to 1 %
    weight_decay: float = 0.05  # of AdamW
    dropout: float = 0.1  # in the network's blocks, 0 to 1
    width: int = 32  # channels of the first level
    seed: int = 0  # of all random numbers

    def __post_init__(self) -> None:
        if (self.seconds is None) == (self.images is None):
            raise InputError("a classifier needs either a time (seconds) or a number of images, and not both")
        check_maxima(self)


@dataclass(frozen=True)
class ClassifierProgress:
    """The state of training after a step: images seen, progress from 0 to 1, seconds, and the loss in nats."""

    images: int  # training images seen
    progress: float  # 0 to 1
    seconds: float  # since the start
    loss: float  # cross entropy of this step


@dataclass(frozen=True)
class NoiseAccuracy:
    """Accuracy on held-out pictures at one noise level."""

    noise: float  # σ/α
    accuracy: ConfidenceInterval  # 0 to 1


def classifier_config(pictures: Pictures, options: ClassifierOptions) -> ClassifierConfig:
    """A U-Net encoder whose lowest level has about 4 pixels a side, with one block per level. Square pictures only."""
    _, side, width = pictures.model_shape
    if side != width:
        raise InputError(f"a classifier needs square pictures, got {pictures.width}×{pictures.height}")
    levels = max(2, min(3, round(math.log2(side)) - 1))
    while levels > 1 and side % 2 ** (levels - 1):
        levels -= 1
    sides = [side // 2**i for i in range(levels)]
    encoder = UNetConfig(
        in_channels=pictures.model_channels,
        out_channels=pictures.model_channels,
        channels=tuple(options.width * min(2, 1 + i) for i in range(levels)),
        blocks=1,
        attention=tuple(4 < s <= 8 for s in sides),
        groups=8,
        time_channels=options.width,
        modulation="scale_shift",
        dropout=options.dropout,
    )
    return ClassifierConfig(encoder=encoder, classes=len(pictures.labels), side=side)


def classifier_data(
    source: str | Path,
    folder: str | Path,
    size: tuple[int, int] | None = None,
    seed: int = 0,
    follow_links: bool = False,
) -> tuple[Dataset, Schedule]:
    """Pictures and noise schedule to train a classifier on.

    `source` is a run folder; or a source of pictures, which are prepared in `folder` at `size` (height and width in
    pixels), with the schedule of the presets; follow_links as in `prepare`. Raises InputError if a size is given for a
    run.
    """
    if not (Path(source) / "data.json").is_file():
        return prepare(source, folder, size=size, seed=seed, follow_links=follow_links), VarianceExploding()
    if size is not None:
        raise InputError(f"{source} is a run, whose pictures already have a size: leave size out")
    path = Path(source) / "config.json"
    schedule = read_run_config(path).plan["recipe"]["model"].get("schedule")
    return Dataset.open(source), from_json(Schedule, schedule, f"{path}: schedule")  # type: ignore[type-abstract]


def fit_classifier(
    data: Dataset,
    schedule: Schedule,
    options: ClassifierOptions,
    on_step: Callable[[ClassifierProgress], None] = lambda _: None,
) -> PictureClassifier:
    """Train a classifier of the labels of `data` for guiding models with this schedule.

    Returns it with its averaged weights, on the CPU. SIGINT and SIGTERM end training early, after the current step.
    Raises InputError if there are fewer than two labels. Global random state and the like are left as they were.
    """
    with preserve_global_state():
        return _fit_classifier(data, schedule, options, on_step)


def _fit_classifier(
    data: Dataset, schedule: Schedule, options: ClassifierOptions, on_step: Callable[[ClassifierProgress], None]
) -> PictureClassifier:
    train, device = data.train, best_device()
    rows = torch.arange(len(train)) if train.labels is None else torch.nonzero(train.labels >= 0).flatten()
    if train.labels is None or len(train.labels[rows].unique()) < 2:
        raise InputError("a classifier needs pictures of at least two labels: put them in sub-folders")
    torch.manual_seed(derive_seed(options.seed, "classifier"))
    config = ClassifierModelConfig(classifier_config(data.pictures, options), schedule, data.pictures)
    model = PictureClassifier(config).to(device).train()
    horizon = float(options.images or 64 * len(rows))
    ema = EMA(model, half_life=0.03 * horizon)
    optimizer = torch.optim.AdamW(model.parameters(), options.lr, weight_decay=options.weight_decay)
    low, high = (x.log() for x in _sigma_range(schedule))
    start, images, progress = time.monotonic(), 0, 0.0
    with StopSignals() as stop:
        while progress < 1 and not stop.signal_number:
            for group in optimizer.param_groups:
                group["lr"] = options.lr * lr_factor(progress, 0.03, 0.01)
            generator = make_generator(options.seed, "classify", images)
            batch = rows[torch.randint(len(rows), (options.batch,), generator=generator)]
            t = schedule.time_at_ratio(
                (low + (high - low) * torch.rand(options.batch, generator=generator, dtype=torch.float64)).exp()
            )
            x0, labels = train.x0(batch).to(device), train.labels[batch].to(device)
            eps = torch.randn(x0.shape, generator=generator).to(device)
            loss = F.cross_entropy(model(schedule.diffuse(x0, t, lambda like, eps=eps: eps), t), labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            images += options.batch
            ema.update(model, images, options.batch)
            elapsed = time.monotonic() - start
            progress = elapsed / options.seconds if options.seconds else images / horizon
            on_step(ClassifierProgress(images, min(progress, 1.0), elapsed, loss.item()))
    return ema.model.to("cpu")


@torch.no_grad()
def accuracy_by_noise(classifier: PictureClassifier, held_out: Subset, seed: int = 0) -> list[NoiseAccuracy]:
    """Accuracy on held-out pictures by noise level, from CLEAN_SIGMA upwards."""
    assert held_out.labels is not None
    rows = torch.nonzero(held_out.labels >= 0).flatten()
    if not len(rows):
        raise InputError("accuracy needs held-out pictures with labels, and there are none")
    schedule, labels, accuracies = classifier.config.schedule, held_out.labels[rows], []
    low, high = (float(x) for x in _sigma_range(schedule))
    for level in (CLEAN_SIGMA, *(level for level in ACCURACY_SIGMAS if low <= level <= high)):
        t, correct = schedule.time_at_ratio(torch.tensor(level, dtype=torch.float64)), 0
        repetitions = 1 if level == CLEAN_SIGMA else NOISES_PER_PICTURE
        for i in range(repetitions):
            for first in range(0, len(rows), 256):
                batch = rows[first : first + 256]
                noise = Seeded([derive_seed(seed, "reading", i, int(row)) for row in batch])
                x = schedule.diffuse(held_out.x0(batch), t, noise)
                correct += int((classifier(x, t).argmax(1) == labels[first : first + 256]).sum())
        # several noises of one picture are not independent: the interval is that of as many cases as pictures
        interval = wilson_interval(round(correct / repetitions), len(rows))
        share = correct / repetitions / len(rows)
        accuracies.append(NoiseAccuracy(level, ConfidenceInterval(share, interval.low, interval.high)))
    return accuracies


def _sigma_range(schedule: Schedule) -> tuple[torch.Tensor, torch.Tensor]:
    """The smallest and the largest σ/α that are trained on, () float64 each."""
    ends = schedule.ratio(torch.tensor([max(schedule.min_time, 1e-6), 1.0], dtype=torch.float64))
    return ends[0].clamp(min=SIGMA_RANGE[0]), ends[1].clamp(max=SIGMA_RANGE[1])
