"""Autoguidance in the last part of a run: the early snapshot guides the network while it is trained.

An early snapshot of a run makes the same mistakes as the final model, and larger ones, so leading away from it mends
some of them (Karras et al. 2024, arXiv:2406.02507). In the last part of a run the loss is therefore that of
`AutoguidedLoss`: the network learns to predict what it would predict with this guidance. Figures are in docs/log.md,
2026-11-30.
"""

import copy
from collections.abc import Mapping

from torch import Tensor

from ..diffusion.loss import AutoguidedLoss, Loss
from ..models.picture_model import PictureModel
from .callbacks import SNAPSHOT_PROGRESS, TrainingStep
from .recipes.recipe import Recipe

EXTRA_COST = 1 / 3  # of a step with the reference's forward pass, over the cost of one without


class Autoguidance:
    """When the loss is guided, and the model that guides it: `reference`, None until it is taken.

    Models that are given a picture or learn a variance are trained without: what they predict follows from the input,
    or is no mean.
    """

    def __init__(self, recipe: Recipe) -> None:
        model, training = recipe.model, recipe.training
        self.scale, self.start = training.autoguidance, 1 - training.autoguidance_share
        given_picture = model.task.input_spec(model.pictures) is not None
        learns_variance = model.net.out_channels != model.pictures.model_channels
        self.is_used = self.scale > 1 and self.start < 1 and not given_picture and not learns_variance
        self.reference: PictureModel | None = None

    def take_snapshot(self, model: PictureModel, step: TrainingStep) -> None:
        """Copy the averaged weights, if progress reached SNAPSHOT_PROGRESS in this step."""
        if self.is_used and self.reference is None and step.crossed((SNAPSHOT_PROGRESS,)):
            self.reference = _frozen_copy(model)

    def loss(self, loss: Loss, progress: float) -> Loss:
        """`loss` at this progress, guided in the last part of the run."""
        if self.reference is None or progress < self.start:
            return loss
        return AutoguidedLoss(loss, self.reference, self.scale)

    def slowdown(self, progress: float) -> float:
        """The mean duration of the steps that are left, in steps of now: 1 or more."""
        if not self.is_used or progress >= self.start:
            return 1.0
        return 1 + EXTRA_COST * (1 - self.start) / (1 - progress)

    def tensors(self) -> dict[str, Tensor]:
        """The part of a checkpoint; {} without a reference."""
        return {} if self.reference is None else self.reference.net.state_dict()

    def load(self, tensors: Mapping[str, Tensor], model: PictureModel) -> None:
        """Continue with the reference of a checkpoint; `model` has its shape."""
        self.reference = _frozen_copy(model)
        self.reference.net.load_state_dict(dict(tensors))


def _frozen_copy(model: PictureModel) -> PictureModel:
    return copy.deepcopy(model).eval().requires_grad_(False)
