"""The training loss with the parameters or statistics that it has beside the model."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..diffusion.loss import ImportanceSampledLoss, LogVariance, Loss, LossHistory, UncertaintyWeightedLoss
from .recipes.recipe import Recipe


class Criterion:
    """A loss without state. Subclasses learn parameters or keep statistics."""

    needs_losses = False  # whether `update` must be called with the losses of each step

    def __init__(self, base_loss: Loss) -> None:
        self.base_loss = base_loss  # without the state: for validation

    @property
    def loss(self) -> Loss:
        """The loss that the next step minimizes."""
        return self.base_loss

    @property
    def parameters(self) -> dict[str, nn.Parameter]:
        """Parameters for the optimizer, beside the model's."""
        return {}

    def update(self, t: Float[Tensor, "b"], losses: Float[Tensor, "b"]) -> None:
        """Take up the times and losses of the images of a whole step."""

    def state_dict(self) -> dict[str, Tensor]:
        """The state that a checkpoint must hold."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a state that `state_dict` returned."""


class ImportanceCriterion(Criterion):
    """A loss whose timesteps are sampled in proportion to their recent loss (Nichol & Dhariwal 2021, section 3.3)."""

    needs_losses = True

    def __init__(self, base_loss: Loss, steps: int) -> None:
        super().__init__(base_loss)
        self.importance = ImportanceSampledLoss(base_loss, LossHistory.empty(steps))

    @property
    def loss(self) -> Loss:
        return self.importance

    def update(self, t: Float[Tensor, "b"], losses: Float[Tensor, "b"]) -> None:
        self.importance = self.importance.with_batch(t, losses)

    def state_dict(self) -> dict[str, Tensor]:
        return self.importance.loss_history.to_tensors()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self.importance = ImportanceSampledLoss(self.base_loss, LossHistory.from_tensors(dict(state)))


class UncertaintyCriterion(Criterion):
    """A loss weighted by a learned uncertainty of each noise level (Karras et al. 2024, EDM2, section 2.2)."""

    def __init__(self, base_loss: Loss, device: torch.device) -> None:
        super().__init__(base_loss)
        self.log_variance = LogVariance().to(device)

    @property
    def loss(self) -> Loss:
        return UncertaintyWeightedLoss(self.base_loss, self.log_variance)

    @property
    def parameters(self) -> dict[str, nn.Parameter]:
        return {f"log_variance.{name}": p for name, p in self.log_variance.named_parameters()}

    def state_dict(self) -> dict[str, Tensor]:
        return dict(self.log_variance.state_dict())

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self.log_variance.load_state_dict(dict(state))


def build_criterion(recipe: Recipe, device: torch.device) -> Criterion:
    """The criterion that a recipe asks for, on a device."""
    plain, training = recipe.build_loss(), recipe.training
    if training.importance:
        return ImportanceCriterion(plain, recipe.model.schedule.num_train_timesteps)
    return UncertaintyCriterion(plain, device) if training.uncertainty else Criterion(plain)
