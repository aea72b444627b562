"""What a run trains, and what its checkpoints hold: weights, their average, the loss's own state, the optimizer's."""

import torch
from torch import Tensor

from ..diffusion.gaussian_prior import GaussianPrior
from ..io import checkpoint
from ..models.picture_autoencoder import PictureAutoencoder
from ..models.picture_model import PictureModel
from ..nn.ema import EMA
from .autoguidance import Autoguidance
from .criterion import build_criterion
from .recipes.recipe import Recipe, build_optimizer


class TrainingState:
    """A model as a recipe describes it, with fresh weights (from torch's global generator), on a device."""

    def __init__(
        self,
        recipe: Recipe,
        images: int,
        device: torch.device,
        prior: GaussianPrior | None = None,
        autoencoder: PictureAutoencoder | None = None,
    ) -> None:
        """`images`: training images of the whole run, of which the recipe's EMA half-life is a share. `prior`,
        `autoencoder`: of the model, in what it draws; the loss is the network's."""
        self.model = PictureModel(recipe.model, prior, autoencoder).to(device)
        self.ema = EMA(self.model, half_life=recipe.training.ema * images)
        self.criterion = build_criterion(recipe, device)
        self.autoguidance = Autoguidance(recipe)
        self.optimizer = build_optimizer(self.model, recipe, self.criterion.parameters.values())
        self.parameters = dict(self.model.net.named_parameters()) | self.criterion.parameters

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """The parts of a checkpoint: name of the part → its named tensors."""
        parts = {
            "model": self.model.net.state_dict(),
            "ema": self.ema.model.net.state_dict(),
            "optimizer": checkpoint.optimizer_tensors(self.optimizer, self.parameters),
        }
        optional = {"criterion": self.criterion.state_dict(), "autoguidance": self.autoguidance.tensors()}
        return parts | {name: tensors for name, tensors in optional.items() if tensors}

    def load(self, saved: checkpoint.Checkpoint) -> None:
        """Continue from a checkpoint that `tensors` made."""
        self.model.net.load_state_dict(saved.read_tensors("model"))
        self.ema.model.net.load_state_dict(saved.read_tensors("ema"))
        checkpoint.load_optimizer_tensors(self.optimizer, self.parameters, saved.read_tensors("optimizer"))
        if self.criterion.state_dict():
            self.criterion.load_state_dict(saved.read_tensors("criterion"))
        if "autoguidance" in saved.parts:
            self.autoguidance.load(saved.read_tensors("autoguidance"), self.ema.model)
