"""Continue a run for some steps at its highest learning rate, to compare the raw weights with their average (EMA)."""

import torch

from ...diffusion.noise import make_generator
from ...errors import InputError
from ...io import checkpoint
from ...models.picture_model import PictureModel
from ...nn.ema import EMA
from ...training.recipes.recipe import build_optimizer
from .subject import Subject

STEPS, HALF_LIFE = 96, 12  # training steps, and half-life of the EMA in steps


def continue_training(subject: Subject, steps: int = STEPS) -> tuple[PictureModel, PictureModel]:
    """Train `steps` steps from the newest checkpoint, with the run's data, loss and optimizer at a constant rate.

    Returns a model with the weights of the last step, and one with their exponential moving average. The run folder is
    not changed. Raises InputError for a model without its run folder.
    """
    latest = checkpoint.find_latest(subject.run) if subject.run is not None else None
    if latest is None or subject.recipe is None or subject.data is None:
        raise InputError("no-ema needs the run folder, whose checkpoints contain the weights before averaging")
    recipe = subject.recipe
    model = PictureModel(recipe.model)
    model.net.load_state_dict(latest.read_tensors("model"))
    training, loss, batch = recipe.training, recipe.build_loss(), recipe.training.batch
    average = EMA(model, HALF_LIFE * batch, ramp=1)
    optimizer = build_optimizer(model, recipe)
    model.train()
    for step in range(1, steps + 1):
        generator = make_generator(subject.seed, "still learning", step)
        rows = torch.randint(len(subject.data.train), (batch,), generator=generator)
        x0, cond = subject.data.train.x0(rows), subject.data.train.condition(rows)
        t, eps = loss.times(loss.schedule, batch, generator), torch.randn(x0.shape, generator=generator)
        losses = loss(model, x0, t, eps, cond.drop(torch.rand(batch, generator=generator) < training.cond_dropout))
        optimizer.zero_grad()
        losses.mean().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), training.clip)
        optimizer.step()
        average.update(model, step * batch, batch)
    return model.eval().requires_grad_(False), average.model
