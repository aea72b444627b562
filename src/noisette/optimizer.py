"""The optimiser that a recipe asks for."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from .nn.muon import Muon, matrices
from .recipe import Recipe


def optimizer_of(model: nn.Module, recipe: Recipe, also: Iterable[Tensor] = ()) -> torch.optim.Optimizer:
    """The optimiser of a recipe, for the model's parameters and `also` for others."""
    training = recipe.training
    betas, decay = (0.9, training.beta2), training.weight_decay
    everything = [*model.parameters(), *also]
    if training.optimizer == "adam":
        return torch.optim.AdamW(everything, training.lr, betas=betas, weight_decay=decay, fused=True)
    wide = matrices(model)
    taken = {id(w) for w in wide}
    return Muon(wide, [p for p in everything if id(p) not in taken], training.lr, betas, decay)
