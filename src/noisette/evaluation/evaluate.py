"""Measure a model: the quality, diversity and memorization of its samples, with confidence intervals.

The samples are conditioned as some of the training pictures are, and scored beside real data, training copies and
noise: metrics/evaluator.py. The variational bound on training and held-out pictures shows,
without any feature network, whether the model fits its own pictures better than new ones.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from ..data import Dataset, Subset
from ..diffusion.condition import Condition
from ..diffusion.grid import logsnr
from ..diffusion.guidance import Clipped
from ..diffusion.likelihood import variational_bound
from ..diffusion.noise import Seeded, make_generator
from ..display import Displayed
from ..errors import InputError
from ..io.run_config import is_run_config, read_run_config
from ..io.version import __version__
from ..models.picture_model import PictureModel
from ..sampling.generate import sample_images
from ..shapes import UInt8Images
from ..team import SINGLE_PROCESS, ProcessContext, map_batches
from .held_out import all_pixels
from .metrics.evaluator import SampleEvaluator, SampleSet, SetScore, score_with_baselines
from .metrics.features import CachedExtractor, FeatureExtractor
from .metrics.interval import ConfidenceInterval
from .metrics.label_agreement import LabelClassifier, train_label_classifier
from .metrics.memorization import Memorization

MIN_PICTURES = 20  # of each side of the split
BOUND_STEPS = 50  # steps of the variational bound
MIN_NOISE_RATIO = 0.01  # the σ/α below which the bound counts the decoder: finer noise penalizes continuous models
BOUND_PICTURES = 64  # of each side, that the bound is computed for


@dataclass(frozen=True)
class BitsPerDim:
    """The variational bound in bits per dimension: means over pictures, and their standard errors."""

    train: float
    train_error: float
    held_out: float
    held_out_error: float

    @property
    def gap(self) -> float:
        """held_out - train: above 0, the model fits its training pictures better than new ones."""
        return self.held_out - self.train


@dataclass(frozen=True)
class Evaluation(Displayed):
    """The figures of a model or of a set of samples, beside those of three sets that tell what they mean."""

    scores: tuple[SetScore, ...]  # of real data, the model or samples, training copies, and noise
    bits_per_dim: BitsPerDim | None  # None: a latent model, or samples without a model
    classifier: str | None  # name of the classifier that reads labels; None: no labels
    classifier_accuracy: ConfidenceInterval | None  # share of held-out pictures whose label it reads correctly
    settings: dict[str, Any]  # all that two evaluations must share to be compared

    @property
    def model(self) -> SetScore:
        """The figures of the model or of the samples."""
        return self.scores[1]


@dataclass(frozen=True, eq=False)
class EvaluatedSamples:
    """The samples of a model, the label of each, and its nearest training picture."""

    pixels: UInt8Images
    labels: Int[Tensor, "b"] | None  # label numbers, -1 for no label; None: a model without labels
    memorization: Memorization


def evaluate_model(
    model: PictureModel,
    data: Dataset,
    extractor: FeatureExtractor,
    *,
    n: int = 1000,
    seed: int = 0,
    batch: int = 64,
    flips: bool = False,
    max_shift: int = 0,
    team: ProcessContext = SINGLE_PROCESS,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> tuple[Evaluation, EvaluatedSamples]:
    """Sample n pictures with the model's default settings, and score them.

    data: the data set that the model was trained on, both sides of the split.
    n: at most half of the training pictures, as many as the other rows have. Seeds run from `seed` to `seed + n - 1`.
    flips, max_shift: a mirrored training picture, or one moved by up to so many pixels, counts as that picture.
    team: of several processes each samples and extracts its share; all return the same figures.
    progress: called with what is being done, how much is done, and of how much.

    Raises InputError for a task that does not draw from noise, for fewer than 20 pictures on a side, and where data and
    model differ in mode, size or labels.
    """
    _check_comparable(model, data)
    extractor = CachedExtractor(extractor, team)
    train, held_out = all_pixels(data.train), all_pixels(data.held_out)
    n = min(n, len(train) // 2)
    rows = torch.randperm(len(train), generator=make_generator("asked", seed))[:n]
    cond = build_condition(model, data.train, rows)
    pixels = draw_samples(model, cond, range(seed, seed + n), batch, lambda done: progress("drawing", done, n), team)
    labels = None if cond is None else cond.label
    progress("measuring", 0, 6)
    classifier = None if labels is None else _train_classifier(data, train, held_out, extractor)
    progress("measuring", 1, 6)
    evaluator = SampleEvaluator(train, held_out, extractor, classifier, flips, max_shift)
    progress("measuring", 2, 6)
    done = iter(range(3, 7))
    scores = score_with_baselines(
        evaluator, SampleSet("model", pixels, labels), on_score=lambda _: progress("measuring", next(done), 6)
    )
    sampling = asdict(model.config.sampling)
    evaluation = Evaluation(
        scores,
        None if model.pictures.latent else compute_bits_per_dim(model, data, seed, batch),
        None if classifier is None else classifier.name,
        None if classifier is None else classifier.accuracy,
        {
            "noisette": __version__, "model": model.hash, "data": data.manifest.pixels_sha256[:16], "seed": seed,
            "samples": n, "training": len(train), "held_out": len(held_out), "sampling": sampling,
            "extractor": extractor.name, "extractor_hash": extractor.hash, "flips": flips, "max_shift": max_shift,
        },
    )  # fmt: skip
    return evaluation, EvaluatedSamples(pixels, labels, evaluator.measure_memorization(pixels))


def build_condition(model: PictureModel, subset: Subset, rows: Int[Tensor, "b"]) -> Condition | None:
    """The labels, attributes, captions and input pictures of some pictures of a data set, as far as the model takes
    them; None where it takes nothing."""
    net, task = model.config.net, model.config.task
    _, known = task.make_example(subset.images_and_masks(rows), subset.condition(rows))
    cond = Condition(
        label=known.label if net.classes else None,
        vector=known.vector if net.vector else None,
        tokens=known.tokens if net.tokens else None,
        image=known.image,
    )
    return cond if len(cond) else None


def draw_samples(
    model: PictureModel,
    cond: Condition | None,
    seeds: Sequence[int],
    batch: int,
    progress: Callable[[int], None],
    team: ProcessContext = SINGLE_PROCESS,
) -> UInt8Images:
    """One picture for each seed, (N, C, H, W), with the model's default sampling settings."""
    done = 0

    def draw_rows(rows: slice) -> Tensor:
        nonlocal done
        some = None if cond is None else cond[rows]
        x = sample_images(model, seeds[rows], some, batch=batch)
        done += len(x)
        progress(min(done * team.world_size, len(seeds)))
        return model.codec.decode_samples(x)

    return map_batches(team, len(seeds), batch, draw_rows)


@torch.no_grad()
def compute_bits_per_dim(model: PictureModel, data: Dataset, seed: int = 0, batch: int = 64) -> BitsPerDim:
    """The variational bound with BOUND_STEPS steps, on up to BOUND_PICTURES pictures of each side of the split.

    Kingma et al. 2021 (variational diffusion models); unconditional models and conditional ones with the pictures' own
    labels.
    """
    grid = logsnr(model.schedule, BOUND_STEPS, sigma_min=MIN_NOISE_RATIO)
    device = next(model.parameters()).device

    def side(subset: Subset) -> tuple[float, float]:
        rows = torch.randperm(len(subset), generator=make_generator("bits", seed))[:BOUND_PICTURES]
        bounds = []
        for some in rows.split(batch):
            cond, noise = build_condition(model, subset, some), Seeded(some.tolist())
            denoise = Clipped(model.given(None if cond is None else cond.to(device)))
            bounds.append(variational_bound(denoise, subset.x0(some).to(device), grid, noise).total.cpu())
        each = torch.cat(bounds).double()
        return each.mean().item(), each.std().item() / math.sqrt(len(each))

    return BitsPerDim(*side(data.train), *side(data.held_out))


def find_closest(samples: EvaluatedSamples, n: int = 20) -> list[tuple[int, int, float]]:
    """The n samples nearest to a training picture: (sample, training picture, distance), nearest first."""
    order = samples.memorization.distance.argsort()[:n].tolist()
    return [(i, int(samples.memorization.nearest[i]), float(samples.memorization.distance[i])) for i in order]


def _known_labels(subset: Subset) -> Tensor | None:
    return subset.labels if subset.labels is not None and (subset.labels >= 0).any() else None


def _train_classifier(
    data: Dataset, train: UInt8Images, held_out: UInt8[Tensor, "n _ _ _"], extractor: FeatureExtractor
) -> LabelClassifier | None:
    """A classifier of the labels; None where there are fewer than two, or none held out."""
    train_labels, held_out_labels = _known_labels(data.train), _known_labels(data.held_out)
    if train_labels is None or held_out_labels is None or len(train_labels[train_labels >= 0].unique()) < 2:
        return None
    return train_label_classifier(train, train_labels, held_out, held_out_labels, extractor)


def check_counts(training: int, held_out: int) -> None:
    """Raise InputError where one side of the split is too small to measure anything."""
    for count, name in ((training, "training"), (held_out, "held-out")):
        if count < MIN_PICTURES:
            raise InputError(f"an evaluation needs at least {MIN_PICTURES} {name} pictures, got {count}")


def is_flip_augmented(run: Path) -> bool:
    """Whether a run was trained with mirrored pictures (--flip): then a mirrored copy counts as a copy."""
    path = run / "config.json"
    return is_run_config(path) and read_run_config(path).uses_flips


def _check_comparable(model: PictureModel, data: Dataset) -> None:
    model.config.task.encode_cond_image(None, model.pictures)  # refuses tasks that do not draw from noise alone
    check_counts(len(data.train), len(data.held_out))
    ours, theirs = model.pictures, data.pictures
    if (ours.mode, ours.shape, ours.labels) != (theirs.mode, theirs.shape, theirs.labels):
        raise InputError(
            f"the model draws {ours.mode} {ours.width}×{ours.height} with {len(ours.labels)} labels, and the data are "
            f"{theirs.mode} {theirs.width}×{theirs.height} with {len(theirs.labels)}: give the run that the model was "
            "trained in"
        )
