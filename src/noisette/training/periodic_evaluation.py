"""Evaluation during training: held-out KID, copies and colors of a few samples with fixed seeds.

Samples are drawn with 12 steps of DPM-Solver++ 2M, whatever the model's own sampler is, so figures are comparable
between the evaluations of a run, not with `noisette evaluate`, which uses the model's sampling defaults and more
samples. The model of each evaluation is kept as a snapshot while it can still be the best one.
"""

import time
from dataclasses import asdict
from functools import cached_property
from pathlib import Path

import torch

from ..data import Dataset
from ..diffusion.noise import make_generator
from ..errors import InputError
from ..evaluation.evaluate import build_condition
from ..evaluation.held_out import all_pixels
from ..evaluation.metrics.evaluator import MAX_REFERENCE, QuickEvaluator, QuickMetrics
from ..evaluation.metrics.features import EfficientNetExtractor, FeatureExtractor
from ..io import checkpoint
from ..models.picture_model import PictureModel
from ..sampling.generate import sample_images
from ..shapes import UInt8Images
from . import snapshots
from .callbacks import Metrics, TrainingStep
from .snapshots import SnapshotEvaluation

SAMPLER, GRID, STEPS = "dpm++2m", "karras", 12  # one network call per step
BATCH_SIZE = 32  # samples drawn at once
SAMPLE_COUNTS = (512, 256, 128, 64)  # samples per evaluation: the largest with which MIN_EVALUATIONS fit
MIN_EVALUATIONS, MAX_EVALUATIONS = 10, 20  # per run
TIME_SHARE = 0.04  # share of a run's time for all evaluations together
MIN_BUDGET_SECONDS = 4.0  # if that share is less than this, no evaluation is planned
MIN_SPLIT_PICTURES = 2  # training pictures and held-out pictures that are needed


class PeriodicEvaluation:
    """Evaluates the model `count` times, evenly spaced in progress, the last time at the end of the run."""

    def __init__(
        self,
        run: Path,
        model: PictureModel,
        data: Dataset,
        count: int,
        samples: int,
        seed: int,
        flips: bool,
        final_seconds: float,
    ) -> None:
        """`final_seconds`: expected duration of one evaluation, until one has been measured."""
        self.run, self.model, self.data, self.samples, self.flips = run, model, data, samples, flips
        self.milestones = tuple((k + 1) / count for k in range(count))
        self.seeds, self.final_seconds = range(seed, seed + samples), final_seconds
        order = torch.randperm(len(data.train), generator=make_generator(seed, "checkup"))
        self.cond = build_condition(model, data.train, order[torch.arange(samples) % len(order)])

    @cached_property
    def evaluator(self) -> QuickEvaluator:
        """Built at the first evaluation, since it computes features of many real pictures."""
        return QuickEvaluator(
            all_pixels(self.data.train),
            all_pixels(self.data.held_out),
            load_feature_extractor(),
            self.samples,
            self.flips,
        )

    def __call__(self, step: TrainingStep) -> Metrics:
        if not step.crossed(self.milestones):
            return {}
        start = time.monotonic()
        metrics = self.evaluator(self.draw_samples())
        self.save_snapshot(step.images, metrics)
        self.final_seconds = time.monotonic() - start
        real_kid, held_out_copies = self.evaluator.real_kid, self.evaluator.held_out_copies
        row = {"samples": self.samples} | asdict(metrics)
        row |= {
            "real_kid": None if real_kid is None else asdict(real_kid),  # of training pictures, for comparison
            "held_out_copies": asdict(held_out_copies),
        }
        del row["kid_resamples"]  # hundreds of numbers, which evaluation.json of the snapshot holds
        return {"evaluation": row}

    def draw_samples(self) -> UInt8Images:
        """The samples, (samples, C, H, W): at every evaluation of the same seeds and conditions."""
        x = sample_images(self.model, self.seeds, self.cond, sampler=SAMPLER, grid=GRID, steps=STEPS, batch=BATCH_SIZE)
        return self.model.codec.decode_samples(x)

    def save_snapshot(self, images: int, metrics: QuickMetrics) -> None:
        """Save the model with its metrics, and remove snapshots that can no longer be the best, also after a resume."""
        folder = snapshots.snapshot_folder(self.run, images)
        self.model.save_pretrained(folder)
        evaluation = SnapshotEvaluation(
            images, len(self.milestones), self.samples,
            metrics.kid, metrics.kid_resamples, metrics.copies, self.evaluator.held_out_copies,
        )  # fmt: skip
        snapshots.write(folder, evaluation)
        saved = checkpoint.list_checkpoints(self.run)
        snapshots.prune(self.run, int(saved[0].name) if saved else 0)


def plan_evaluations(data: Dataset, seconds: float, seconds_per_image: float, requested: int | None) -> tuple[int, int]:
    """How many evaluations a run makes, and of how many samples each.

    By default as many as fit into TIME_SHARE of the run, as far as that can be estimated. `seconds`: duration of the
    run; `seconds_per_image`: of a training step; `requested`: the number the user gave, if any.
    """
    if min(len(data.train), len(data.held_out)) < MIN_SPLIT_PICTURES or requested == 0:
        return 0, 0
    if requested is not None:
        return requested, SAMPLE_COUNTS[-1]
    budget, draw = TIME_SHARE * seconds, STEPS * seconds_per_image / 3  # a forward pass is a third of a training step
    if budget < MIN_BUDGET_SECONDS:
        return 0, 0
    extract, count, samples = _seconds_per_picture(data), 0, 0
    for samples in SAMPLE_COUNTS:
        references = extract * (min(len(data.held_out), MAX_REFERENCE) + min(len(data.train), samples))
        count = int((budget - references) / (samples * (draw + extract)))
        if count >= MIN_EVALUATIONS:
            break
    return (min(count, MAX_EVALUATIONS), samples) if count > 0 else (0, 0)


def _seconds_per_picture(data: Dataset) -> float:
    """Duration of computing one picture's features; 0 if no feature net is installed."""
    net = load_feature_extractor()
    if net is None:
        return 0.0
    pixels, times = data.train.pixels(torch.arange(min(len(data.train), 8))), []
    for _ in range(2):  # the first call allocates memory
        start = time.perf_counter()
        net(pixels)
        times.append((time.perf_counter() - start) / len(pixels))
    return min(times)


def load_feature_extractor() -> FeatureExtractor | None:
    """The feature net for KID, on the accelerator if there is one; None if its package is not installed."""
    try:
        return EfficientNetExtractor()
    except InputError:
        return None
