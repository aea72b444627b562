"""The recipe of a student: what its grid is, how it is trained (distillation.py), and what that costs."""

from dataclasses import replace

import torch

from ..diffusion.grid import karras
from ..models.config import SamplingDefaults
from ..models.picture_model import PictureModel
from ..sampling.steering import load_autoguidance_snapshot
from ..shapes import Grid
from .recipes.distillation import Distillation
from .recipes.recipe import Recipe

LAST_RATIO = 0.1  # the σ/α at which the student's network would be called once more
BELOW_PRIOR = 0.99  # of the lowest σ/α of the closed form: the first noise level of the student's network
BATCH, LR, WARMUP, EMA = 64, 2e-3, 0.05, 0.05
TEACHER_STEPS = 16  # of a trajectory
VIEWS = 10  # times that a trajectory is seen in the whole run
TRAJECTORY_COST = 2 * TEACHER_STEPS / 3  # of one, with guidance, over the cost of training on one image
OWN_COST = 0.2  # of finding the student's own state, in the same unit
MEAN_COST = 1 + OWN_COST + TRAJECTORY_COST / VIEWS  # of an example of the whole run


def is_autoguided(distillation: Distillation, early: PictureModel | None) -> bool:
    """Whether the teacher is guided by its early snapshot `early` while it draws."""
    return distillation.guidance is None and early is not None


def student_recipe(recipe: Recipe, teacher: PictureModel, distillation: Distillation) -> Recipe:
    """The recipe of a student, from that of a run that starts from its teacher.

    Autoguidance leaves less noise in the pictures by itself, so the trajectories then start with all of it.
    """
    has_guide = is_autoguided(distillation, load_autoguidance_snapshot(teacher))
    temperature = 1.0 if has_guide else teacher.config.sampling.temperature
    times = tuple(student_grid(teacher, distillation.calls).tolist())
    sampling = SamplingDefaults("ddim", "fitted", len(times) - 1, temperature=temperature, fitted=(times,))
    training = replace(
        recipe.training, batch=BATCH, lr=LR, warmup=WARMUP, ema=EMA, autoguidance=1.0, grid_fit_share=0.0,
        importance=False, uncertainty=False, max_epochs=None, flip=False, distillation=distillation,
    )  # fmt: skip
    return replace(recipe, model=replace(recipe.model, sampling=sampling), training=training)


def student_grid(teacher: PictureModel, calls: int) -> Grid:
    """The student's times: equal steps of ln(σ/α) from the first noise level that the network sees to LAST_RATIO, of
    which the last leads to 0. Where the teacher has a closed form, a step with it comes first, without a call."""
    schedule, top = teacher.schedule, karras(teacher.schedule, 1)[:1]
    has_prior = teacher.prior is not None
    first = BELOW_PRIOR * teacher.prior.config.min_ratio if teacher.prior is not None else schedule.ratio(top).item()
    levels = torch.arange(calls, dtype=torch.float64, device="cpu") / calls
    times = schedule.time_at_ratio(first * (LAST_RATIO / first) ** levels)
    return torch.cat([top, times, times.new_zeros(1)] if has_prior else [top, times[1:], times.new_zeros(1)])
