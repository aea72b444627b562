"""Would more training pictures help? A power law through models trained on a quarter, a half and all of the pictures.

A loss falls with the number of pictures n about as a power, L(n) = b · n^(−c) (Hestness et al. 2017). Here L is the
lowest held-out loss during a run, since with fewer pictures a model memorizes sooner, and one would stop there. Each
model sees equally many training images. The interval of the slope adds two parts: Student's t of a straight line in
log-log, for the variance between runs and choices of pictures, and a bootstrap over the held-out pictures. The forecast
holds for a few more pictures, not for many times as many.
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
from ..diffusion.loss import Loss
from ..diffusion.noise import make_generator
from ..errors import InputError
from ..evaluation.metrics.interval import ConfidenceInterval
from ..models.picture_model import PictureModel
from .batch_stream import TaskDataset
from .callbacks import Metrics, TrainingCallback, TrainingStep
from .distributed import make_accelerator
from .isolation import preserve_global_state
from .plan import TrainingPlan, TrainOptions, make_plan
from .progress import Progress
from .run import TrainingRun
from .validation import FixedBatch

DATA_SHARES = (0.25, 0.25, 0.5, 0.5, 1.0, 1.0)  # of the training pictures, one per model; equal shares are disjoint
MIN_PICTURES = 40  # training pictures that are needed
MILESTONES = tuple(k / 12 for k in range(1, 13))
MAX_HELD_OUT = 256  # held-out pictures that are used
TIME_SHARE = 0.8  # of the time limit that is planned for; the rest is a margin, since images are fixed in advance
MIN_GAIN_PERCENT = 1.0  # smaller changes of the loss, in percent, count as none
T95 = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45}  # Student's t, two-sided, by degrees of freedom


@dataclass(frozen=True)
class LearningCurvePoint:
    """The result of one trained model."""

    pictures: int  # training pictures
    loss: float  # lowest held-out loss during the run
    best_images: int  # training images seen at that point


@dataclass(frozen=True)
class DataForecast:
    """The estimated effect of `extra_pictures` more training pictures."""

    pictures: int  # training pictures that there are
    extra_pictures: int
    images: int  # training images that each model saw
    points: tuple[LearningCurvePoint, ...]
    exponent: ConfidenceInterval  # c of the power law
    gain: ConfidenceInterval  # reduction of the held-out loss by the extra pictures, in percent
    start_from: str | None = None  # name of the model that each of the trained ones started from; None: from scratch

    @property
    def summary(self) -> str:
        """The result in one or two sentences."""
        g = self.gain
        estimate = (
            f"{self.extra_pictures} more pictures would lower the held-out loss by "
            f"{g.value:.1f} % [{g.low:.1f}, {g.high:.1f}] in runs of {self.images:,} images"
        )
        if g.low > MIN_GAIN_PERCENT:
            return f"More pictures help: {estimate}."
        if g.high < MIN_GAIN_PERCENT:
            return f"More pictures would hardly help: {estimate}. Try a longer run or a larger preset."
        if g.low > 0:
            return f"More pictures help a little: {estimate}."
        return f"It is not certain whether more pictures help: {estimate}. More time (--for) gives a narrower interval."


class HeldOutLoss:
    """Records the loss of each held-out picture during a run."""

    final_seconds = 0.0

    def __init__(self, model: PictureModel, data: Dataset, loss: Loss, seed: int) -> None:
        self.model = model
        self.objective = loss
        examples = TaskDataset(data.held_out, model.config.task)
        self.fixed_batch = FixedBatch.of_pictures(examples, loss, seed, pictures=MAX_HELD_OUT)
        self.history: list[tuple[int, Float[Tensor, "pictures"]]] = []

    def __call__(self, step: TrainingStep) -> Metrics:
        if step.crossed(MILESTONES):
            device = next(self.model.parameters()).device
            losses = self.fixed_batch.losses(self.objective, self.model, device).mean(0)
            self.history.append((step.images, losses))
        return {}

    @property
    def best(self) -> tuple[int, Float[Tensor, "pictures"]]:
        """Training images seen, and losses, when the mean loss was lowest."""
        return min(self.history, key=lambda entry: entry[1].mean().item())


class TrialRun(TrainingRun):
    """A run of which only the held-out loss is recorded."""

    held_out_loss: HeldOutLoss

    def callbacks(self) -> list[TrainingCallback]:
        # seed 0: the same pictures, times and noises in every trial, so that losses are paired
        self.held_out_loss = HeldOutLoss(self.state.ema.model, self.data, self.criterion.base_loss, 0)
        return [self.held_out_loss]

    def finish(self) -> Path:
        """Keep nothing."""
        return self.folder


def forecast_more_data(
    data: Dataset,
    options: TrainOptions,
    extra_pictures: int = 50,
    on_progress: Callable[[int, int], None] = lambda images, total: None,
) -> DataForecast:
    """Train six models and fit the power law.

    All of them together take about `options.seconds`, or each sees `options.images` training images. `on_progress` gets
    the training images seen so far and in total. Raises InputError for fewer than MIN_PICTURES training pictures.
    """
    n = len(data.train)
    if n < MIN_PICTURES:
        raise InputError(f"{n} training pictures are too few to learn from parts of them: give at least {MIN_PICTURES}")
    with preserve_global_state():
        accelerator = make_accelerator()
        left = None if options.seconds is None else TIME_SHARE * options.seconds / len(DATA_SHARES)
        plan = replace(make_plan(data, replace(options, evaluations=0), accelerator.device, 1, left), seconds=None)
        points, losses = [], []
        for i, rows in enumerate(trial_subsets(n)):

            def report(progress: Progress, before: int = i * plan.images) -> None:
                on_progress(before + progress.images, len(DATA_SHARES) * plan.images)

            trial_plan = replace(plan, seed=options.seed + i)
            images, trial_losses = _train_trial(
                with_training_subset(data, rows), trial_plan, options, accelerator, report
            )
            points.append(LearningCurvePoint(len(rows), trial_losses.mean().item(), images))
            losses.append(trial_losses)
    start = next((origin.name for origin in plan.recipe.model.origins), None)
    return replace(fit_power_law(points, torch.stack(losses), n, extra_pictures, plan.images), start_from=start)


def trial_subsets(n: int) -> list[Tensor]:
    """The rows of the training pictures of each trial, sorted, (share · n,) int64 each."""
    order, subsets, used = torch.randperm(n, generator=make_generator("parts")), [], dict.fromkeys(DATA_SHARES, 0)
    for share in DATA_SHARES:
        size, first = int(share * n), used[share]
        used[share] = (first + size) % n
        subsets.append(order[first : first + size].sort().values)
    return subsets


def with_training_subset(data: Dataset, rows: Tensor) -> Dataset:
    """The data set with only these rows of its training pictures."""
    names = {f.name for f in (data.train.files[i] for i in rows.tolist())}
    files = tuple(f for f in data.manifest.files if f.split != "train" or f.name in names)
    return replace(data, manifest=replace(data.manifest, files=files))


def _train_trial(
    data: Dataset,
    plan: TrainingPlan,
    options: TrainOptions,
    accelerator: Accelerator,
    on_progress: Callable[[Progress], None],
) -> tuple[int, Float[Tensor, "pictures"]]:
    with tempfile.TemporaryDirectory() as folder:
        trial = TrialRun(Path(folder), data, plan, replace(options, save_every=1e9), accelerator, time.monotonic())
        trial.run(on_progress)
    return trial.held_out_loss.best


def fit_power_law(
    points: Sequence[LearningCurvePoint],
    losses: Float[Tensor, "models pictures"],
    picture_count: int,
    extra_pictures: int,
    images: int,
) -> DataForecast:
    """Fit the power law and extrapolate it to picture_count + extra_pictures. `losses` are those behind the points."""
    x = torch.tensor([float(p.pictures) for p in points]).double().log()
    x, degrees_of_freedom = x - x.mean(), len(points) - 2
    x_squared = x.square().sum()

    def slope(means: Float[Tensor, "draws models"]) -> Float[Tensor, "draws"]:
        return -(means.log() @ x) / x_squared

    y = losses.double().mean(1)
    c = slope(y[None])[0]
    residual = (y.log() - y.log().mean() + c * x).square().sum() / degrees_of_freedom
    rows = torch.randint(losses.shape[1], (500, losses.shape[1]), generator=make_generator("outlook"))
    resampled = slope(losses.double()[:, rows].mean(2).T).std()
    half = T95[degrees_of_freedom] * math.sqrt(residual.item() / x_squared.item()) + 1.96 * resampled.item()
    exponent = ConfidenceInterval(c.item(), c.item() - half, c.item() + half)
    gain = ConfidenceInterval(
        *(100 * (1 - (1 + extra_pictures / picture_count) ** -e) for e in (exponent.value, exponent.low, exponent.high))
    )
    return DataForecast(picture_count, extra_pictures, images, tuple(points), exponent, gain)


def forecast_to_json(forecast: DataForecast) -> dict[str, Any]:
    """The forecast as a dict for json.dumps."""
    return asdict(forecast) | {"summary": forecast.summary}
