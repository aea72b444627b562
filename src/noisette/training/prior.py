"""The closed form that a run's model uses at high noise (diffusion/gaussian_prior.py), fitted to its pictures."""

import math

import torch

from ..data import Subset
from ..diffusion.gaussian_prior import DEGREES_OF_FREEDOM, NUM_COMPONENTS, GaussianPrior
from ..diffusion.noise import make_generator
from .recipes.recipe import Recipe

MAX_PICTURES, MAX_PIXEL_VALUES = 8192, 2**25  # that the means are computed from; the latter takes 256 MiB
MAX_NUMBERS = 2**23  # of the prior, at most: 32 MiB
UNKNOWN_DEGREES = 1.0  # degrees of freedom where the model has conditions besides labels, which the prior ignores
MIN_PICTURES = 16


def fit_prior(recipe: Recipe, data: Subset, seed: int) -> GaussianPrior | None:
    """The prior of a model that is trained on `data`.

    None for a recipe without one, like a paper's, for a model that is given a picture or learns a variance, for too few
    pictures, and where it would be too large: very large pictures, or many labels of large ones.
    """
    config = recipe.model
    given_picture = config.task.input_spec(config.pictures) is not None
    learns_variance = config.net.out_channels == 2 * config.pictures.model_channels
    values = math.prod(config.pictures.model_shape)  # of a picture
    is_too_large = (config.net.classes + 1 + NUM_COMPONENTS) * values > MAX_NUMBERS
    if not recipe.training.gaussian_prior or given_picture or learns_variance or is_too_large:
        return None
    if len(data) < MIN_PICTURES:
        return None
    number = min(MAX_PICTURES, MAX_PIXEL_VALUES // values)
    rows = torch.randperm(len(data), generator=make_generator(seed, "prior"))[:number]
    x0, labels = data.images_and_masks(rows), None if data.labels is None else data.labels[rows]
    if recipe.training.flip:  # mirrored pictures are training pictures
        x0 = torch.cat([x0, data.images_and_masks(rows, torch.ones(len(rows), dtype=torch.bool))])
        labels = None if labels is None else torch.cat([labels, labels])
    degrees = UNKNOWN_DEGREES if config.net.vector or config.net.tokens else DEGREES_OF_FREEDOM
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the last bits must not depend on how many there are
    try:
        return GaussianPrior.fit(x0, labels, config.net.classes, degrees)
    finally:
        torch.set_num_threads(threads)
