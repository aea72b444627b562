"""A model that is still learning: some more steps of its run, at the highest rate that the run had."""

from pathlib import Path

import torch

from ... import checkpoint
from ...config import from_json
from ...errors import InputError
from ...files import read_json
from ...model import PictureModel
from ...nn.ema import EMA
from ...noise import keyed
from ...optimizer import optimizer_of
from ...recipe import Recipe
from .subject import Subject

STEPS, HALF_LIFE = 96, 12  # steps of training, and half-life of the average, in steps


def still_learning(subject: Subject, steps: int = STEPS) -> tuple[PictureModel, PictureModel]:
    """The weights after the last of `steps` steps, and their average over the last of these.

    From the newest checkpoint, on the run's own pictures, by its own loss; the folder stays as it is.
    """
    found = checkpoint.latest(subject.run) if subject.run is not None else None
    if found is None or subject.run is None or subject.data is None:
        raise InputError("no-ema needs the run folder, whose checkpoints hold the weights that were not averaged")
    recipe = _recipe(subject.run)
    model = PictureModel(recipe.model)
    model.net.load_state_dict(found.tensors("model"))
    training, loss, batch = recipe.training, recipe.loss(), recipe.training.batch
    average = EMA(model, HALF_LIFE * batch, ramp=1)
    optimizer = optimizer_of(model, recipe)
    model.train()
    for step in range(1, steps + 1):
        random = keyed(subject.seed, "still learning", step)
        rows = torch.randint(len(subject.data.train), (batch,), generator=random)
        x0, cond = subject.data.train.x0(rows), subject.data.train.condition(rows)
        t, eps = loss.times(loss.schedule, batch, random), torch.randn(x0.shape, generator=random)
        losses = loss(model, x0, t, eps, cond.drop(torch.rand(batch, generator=random) < training.forget))
        optimizer.zero_grad()
        losses.mean().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), training.clip)
        optimizer.step()
        average.update(model, step * batch, batch)
    return model.eval().requires_grad_(False), average.model


def _recipe(run: Path) -> Recipe:
    path = run / "config.json"
    try:
        return from_json(Recipe, read_json(path)["plan"]["recipe"], f"{path}: plan.recipe")
    except (KeyError, TypeError) as error:
        raise InputError(f"{path} is not the config of a run") from error
