"""The loss of a run, with what it learns and what it remembers beside the model."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..loss import Importance, LogVariance, Loss, Losses, Uncertain
from ..recipe import Recipe


class Criterion:
    """A loss that stays what it is; the others learn or remember something."""

    remembers = False  # whether it wants to be told what the steps cost

    def __init__(self, plain: Loss) -> None:
        self.plain = plain  # for held-out pictures, whose luck is fixed anyway

    @property
    def loss(self) -> Loss:
        """What is minimised now."""
        return self.plain

    @property
    def parameters(self) -> dict[str, nn.Parameter]:
        """What the optimiser moves beside the model."""
        return {}

    def seen(self, t: Float[Tensor, "b"], losses: Float[Tensor, "b"]) -> None:
        """What the images of a whole step cost, and at which times."""

    def tensors(self) -> dict[str, Tensor]:
        """All that a checkpoint must hold of it."""
        return {}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from there."""


class Remembering(Criterion):
    """A loss whose times are drawn by what each step of the chain has cost."""

    remembers = True

    def __init__(self, plain: Loss, steps: int) -> None:
        super().__init__(plain)
        self.importance = Importance(plain, Losses.none(steps))

    @property
    def loss(self) -> Loss:
        return self.importance

    def seen(self, t: Float[Tensor, "b"], losses: Float[Tensor, "b"]) -> None:
        self.importance = self.importance.seen(t, losses)

    def tensors(self) -> dict[str, Tensor]:
        return self.importance.losses.tensors()

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        self.importance = Importance(self.plain, Losses.restored(dict(tensors)))


class Learning(Criterion):
    """A loss that learns beside the model how uncertain each noise level is."""

    def __init__(self, plain: Loss, device: torch.device) -> None:
        super().__init__(plain)
        self.log_variance = LogVariance().to(device)

    @property
    def loss(self) -> Loss:
        return Uncertain(self.plain, self.log_variance)

    @property
    def parameters(self) -> dict[str, nn.Parameter]:
        return {f"log_variance.{name}": p for name, p in self.log_variance.named_parameters()}

    def tensors(self) -> dict[str, Tensor]:
        return dict(self.log_variance.state_dict())

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        self.log_variance.load_state_dict(dict(tensors))


def criterion(recipe: Recipe, device: torch.device) -> Criterion:
    """What a recipe asks for."""
    plain, training = recipe.loss(), recipe.training
    if training.importance:
        return Remembering(plain, recipe.model.schedule.length)
    return Learning(plain, device) if training.uncertainty else Criterion(plain)
