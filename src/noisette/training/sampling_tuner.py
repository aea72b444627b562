"""Tunes a model's sampling defaults at the end of a run: sampler, time grid and temperature.

The grid follows from the data: it spends no steps where noise hides the pictures, nor where nothing is left to find
(`diffusion.grid.signal_range`). On it, every candidate (sampling/candidates.py) draws the same pictures, and the one
whose pictures look most like the training pictures is chosen (evaluation/metrics/appearance.py). A model that was
trained for minutes leaves noise in its samples (exposure bias: Ning et al. 2024, arXiv:2308.15321). Stochastic samplers
replace the noise of every step, so errors do not add up. With a temperature below 1, x_t has less noise than the level
that the network is given, so the network removes more than is there.

Models that enlarge are judged by their task instead: a sample, shrunk again, should be its input.

The number of pictures used depends on the length of the run only, so a resumed run ends with the same result.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from ..data import Subset
from ..diffusion.condition import Condition
from ..diffusion.noise import derive_seed, make_generator
from ..evaluation.evaluate import build_condition
from ..evaluation.metrics.appearance import Appearance
from ..models.config import SamplingDefaults
from ..models.picture_model import PictureModel
from ..sampling.candidates import CALLS_PER_PICTURE, list_candidates, make_grids
from ..sampling.generate import sample_images
from ..shapes import Images, UInt8Images

MIN_PICTURES, MAX_PICTURES = 4, 128  # pictures that each candidate draws
FORWARD_COST = 1 / 3  # duration of a network call over that of training on one image
OVERHEAD_SECONDS = 2.0  # of everything else
MAX_COMPARED = 1000  # training pictures and held-out pictures that are compared, each
MIN_HELD_OUT = 10  # held-out pictures below which the training pictures are used in their place

ScoreFunction = Callable[[Images], tuple[float, str]]  # samples → score, lower is better, and its explanation


@dataclass(frozen=True)
class SamplingChoice:
    """The chosen sampling defaults, and why."""

    sampling: SamplingDefaults
    score: float
    reason: str

    def __str__(self) -> str:
        way = self.sampling
        return f"sampling: {way.sampler}, {way.steps} steps, temperature {way.temperature:g}: {self.reason}"


@dataclass(frozen=True)
class SamplingTuner:
    """Tunes the sampling of a model within a share of the run's work."""

    budget_share: float  # of the run's work, 0 to 1; 0: nothing is tuned
    seed: int
    pictures: int = MAX_COMPARED  # training pictures that there are: with fewer, the comparison takes less time

    def picture_count(self, images: int) -> int:
        """How many pictures the budget of a run of `images` images allows; 0 if that is below MIN_PICTURES."""
        affordable = int(self.budget_share * images / (CALLS_PER_PICTURE * FORWARD_COST))
        return 0 if affordable < MIN_PICTURES else min(affordable, MAX_PICTURES)

    def estimate_seconds(self, images: int, images_per_second: float) -> float:
        """Expected duration in seconds, from the training speed."""
        pictures = self.picture_count(images)
        return (
            OVERHEAD_SECONDS * (0.5 + 0.5 * min(1.0, self.pictures / MAX_COMPARED))
            + pictures * CALLS_PER_PICTURE * FORWARD_COST / images_per_second
            if pictures and images_per_second > 0
            else 0.0
        )

    def __call__(self, model: PictureModel, data: Subset, held_out: Subset, images: int) -> SamplingChoice | None:
        """The best sampling defaults of a model that was trained on `data` for `images` images; None: no budget."""
        return self.choose(model, data, held_out, count) if (count := self.picture_count(images)) else None

    @torch.no_grad()
    def choose(self, model: PictureModel, data: Subset, held_out: Subset, count: int) -> SamplingChoice:
        """The best sampling defaults by `count` pictures of each setting."""
        rows = torch.randint(len(data), (count,), generator=make_generator(self.seed, "fit"))
        cond, seeds = build_condition(model, data, rows), [derive_seed(self.seed, "fit", i) for i in range(count)]
        reference = measure_reference(model, data, held_out, self.seed)
        score = make_score(model, cond, reference)
        grids = make_grids(model.schedule, reference.span.largest_std)
        choices = []
        for sampling in list_candidates(model.config.sampling, grids):
            samples = sample_images(model.with_sampling(sampling), seeds, cond)
            choices.append(SamplingChoice(sampling, *score(samples)))
        best = min(choices, key=lambda choice: choice.score)
        return replace(best, reason=f"the best of {len(choices)} settings by {best.reason}")


def make_score(model: PictureModel, cond: Condition | None, reference: Appearance) -> ScoreFunction:
    """How far samples are from their input pictures, where the task has such a measure; else from `reference`."""
    image = None if cond is None else cond.image

    def score(samples: Images) -> tuple[float, str]:
        error = None if image is None else model.config.task.consistency_error(image, samples)
        if error is not None:
            return error, f"agreement with the input pictures (root mean square error {error:.3f})"
        distance = reference.distance(model.codec.decode_samples(samples))
        return distance.total, f"likeness to the training pictures (differences in tolerances of the eye: {distance})"

    return score


def measure_reference(model: PictureModel, train: Subset, held_out: Subset, seed: int) -> Appearance:
    """The appearance of what the model should draw."""
    sides = (train, held_out if len(held_out) >= MIN_HELD_OUT else train)
    return Appearance.of(*(_target_pictures(model, side, seed) for side in sides))


def _target_pictures(model: PictureModel, side: Subset, seed: int) -> UInt8Images:
    rows = torch.randperm(len(side), generator=make_generator(seed, "compared"))[:MAX_COMPARED]
    x0, _ = model.config.task.make_example(side.images_and_masks(rows), side.condition(rows))
    return model.codec.decode(x0)
