"""What a run learns from: noisy pictures (`Denoising`), or the trajectories of a teacher (distillation.py)."""

from pathlib import Path
from typing import Protocol, runtime_checkable

import torch

from ..data import Dataset, Subset
from ..diffusion.gaussian_prior import GaussianPrior
from ..models.picture_model import PictureModel
from .autoguidance import Autoguidance
from .batch_stream import Batch, BatchStream, TaskDataset
from .callbacks import AutoguidanceSnapshot, TrainingCallback
from .plan import TrainingPlan
from .prior import fit_prior
from .sampling_tuner import SamplingTuner
from .state import TrainingState
from .validation import COMPARE_PICTURES, FixedBatch, ValidationLoss, pictures_of_run


@runtime_checkable
class BatchSource(Protocol):
    """The batches of a run, functions of its seed and the step's number alone."""

    def batch(self, step: int, batch_slice: slice) -> Batch:
        """The images `batch_slice` of the global batch of step number `step`."""
        ...


@runtime_checkable
class TrainingMethod(Protocol):
    """What differs between runs that learn from different things. The loop (run.py) is the same for all."""

    @property
    def prior(self) -> GaussianPrior | None:
        """The closed form that the run's model uses at high noise."""
        ...

    @property
    def tuner(self) -> SamplingTuner:
        """Tunes the sampling defaults at the end."""
        ...

    def make_batches(self, state: TrainingState) -> BatchSource:
        """What the steps are taken on."""
        ...

    def make_callbacks(self, folder: Path, state: TrainingState) -> list[TrainingCallback]:
        """What measures the held-out loss, and what else the run in this folder keeps."""
        ...

    def slowdown(self, images: int, progress: float) -> float:
        """The expected mean duration of the steps that are left, in steps of now: of a run that has seen so many
        training images, at this progress."""
        ...

    def check(self, model: PictureModel) -> str | None:
        """What is said of the finished model, or None. Raises InputError for one that is not good enough to keep."""
        ...


class Denoising:
    """Ordinary training: noise is added to training pictures, and the network predicts what was there."""

    def __init__(self, data: Dataset, plan: TrainingPlan, device: torch.device) -> None:
        self.data, self.plan, self.device = data, plan, device
        self.autoguidance = Autoguidance(plan.recipe)
        self.prior = fit_prior(plan.recipe, data.train, plan.seed)
        self.tuner = SamplingTuner(plan.recipe.training.grid_fit_share, plan.seed, len(data.train))

    def _examples(self, side: Subset) -> TaskDataset:
        return TaskDataset(side, self.plan.recipe.model.task)

    def make_batches(self, state: TrainingState) -> BatchStream:
        examples, training = self._examples(self.data.train), self.plan.recipe.training
        return BatchStream(examples, state.criterion, training, self.plan.seed, self.device)

    def make_callbacks(self, folder: Path, state: TrainingState) -> list[TrainingCallback]:
        objective, number = state.criterion.base_loss, pictures_of_run(self.plan.images)
        held_out, train = (
            FixedBatch.of_pictures(self._examples(side), objective, self.plan.seed, pictures)
            for side, pictures in ((self.data.held_out, number), (self.data.train, min(COMPARE_PICTURES, number)))
        )
        validation = ValidationLoss(state, held_out, train, self.plan.images)
        return [validation, AutoguidanceSnapshot(folder, state.ema.model)]

    def slowdown(self, images: int, progress: float) -> float:
        return self.autoguidance.slowdown(progress)

    def check(self, model: PictureModel) -> None:
        return None
