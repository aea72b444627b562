"""The plan of a run: preset, precision and number of images, from the user's options and the data.

For a time limit, a few training steps of each preset that may fit are timed on this machine, with pictures of this
size, in each precision that the machine may be fast in.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch

from ..data import Dataset
from ..errors import InputError, OutOfMemory, lookup
from ..models.task import Draw, Task
from .autoguidance import Autoguidance
from .origin import grow_recipe, open_origin
from .periodic_evaluation import plan_evaluations
from .recipes.distillation import Distillation
from .recipes.presets import MIN_IMAGES, PRESETS
from .recipes.recipe import Recipe, TrainingConfig, adapt_to_task, apply_overrides
from .student import MEAN_COST, student_recipe
from .trial_step import MAX_STEPS, Precision, TrialStep, require_memory

TIMED_SHARE = 0.1  # of the steps of a run of a number of images, at most, are timed before it begins
MAXIMA = {"seconds": 10**9, "images": 10**12, "batch": 2**16, "accumulate": 2**16, "lr": 1000}  # of options

FLAGS = {  # field of TrainOptions → option of the command line
    "preset": "--preset", "seconds": "--for", "images": "--images", "size": "--size", "pixel_art": "--pixel-art",
    "cell": "--cell", "spacing": "--spacing", "margin": "--margin", "labels": "--labels", "task": "--task",
    "batch": "--batch", "accumulate": "--accumulate", "lr": "--lr", "dropout": "--dropout", "flip": "--flip",
    "recipe": "--recipe", "precision": "--precision", "text": "--text", "seed": "--seed", "save_every": "--save-every",
    "log": "--log", "evaluations": "--evaluations", "start_from": "--from", "distillation": "--steps",
    "any_quality": "--any-quality", "follow_links": "--follow-links", "near_duplicates": "--near-duplicates",
    "mask_value": "--mask-value", "percentiles": "--percentiles",
}  # fmt: skip


@dataclass(frozen=True)
class TrainOptions:
    """The options of `noisette train`. Exactly one of `seconds` and `images` is given.

    A run folder stores them in config.json; only save_every, log and accumulate may differ when the run resumes, and
    seconds or images may be larger: the run is then made longer.
    """

    preset: str = "auto"  # a key of recipes.presets.PRESETS; "auto": the network of the model to start from, or else
    # the largest of tiny, small and base that the run is long enough for
    seconds: float | None = None  # time limit for everything that `train` does, in seconds, > 0
    images: int | None = None  # training images that the run sees, each time that it sees one counted, >= 1
    size: tuple[int, int] | None = None  # height and width in pixels, 8 to 1024; None: see data.prepare
    pixel_art: bool = False  # resize by whole factors only, without new colors
    cell: tuple[int, int] | Literal["auto"] | None = None  # height and width in pixels of the cells of a sprite sheet
    spacing: int | None = None  # pixels between these cells; with "auto", the smallest gap that separates pictures
    margin: int | None = None  # pixels around them; see data.sprite_sheet.Cells
    labels: str | None = None  # path of the .npy file with the labels of an .npy array of pictures
    follow_links: bool = False  # read files outside of the folder of pictures that links in it lead to
    near_duplicates: float | None = None  # distance of near duplicates, 0 to 1; None: see data.scan
    percentiles: tuple[float, float] | None = None  # of the samples that become black and white; see data.levels
    mask_value: int | str | None = None  # of --task segment: the value inside masks of numbers; see data.prepare
    task: Task = Draw()  # Draw(), Upscale(factor) or Segment()
    batch: int | None = None  # images per optimizer step, over all processes, >= 1; None: the preset's
    accumulate: int = 1  # micro-batches per optimizer step, >= 1; batch must be a multiple of processes × accumulate
    lr: float | None = None  # highest learning rate, > 0; None: the preset's
    dropout: float | None = None  # in the network's blocks, 0 to 1; None: the preset's
    flip: bool = False  # mirror each training picture with probability 1/2
    recipe: str | Mapping[str, Any] | None = None  # a JSON file or dict that overrides parts of the preset's recipe
    precision: Literal["auto", "fp32", "bf16"] = "auto"  # "bf16": autocast; "auto": the faster one, timed here
    text: str | None = None  # sentence encoder for the captions: a folder or hf://OWNER/NAME; None: captions unused
    seed: int = 0  # of all random numbers of the run
    save_every: float = 60.0  # seconds between checkpoints
    log: Literal["jsonl", "tensorboard", "trackio"] = "jsonl"  # a tracker in addition to metrics.jsonl
    evaluations: int | None = None  # evaluations during training, 0 to 1000; None: as many as 4 % of the time allow
    start_from: str | None = None  # a model to start from: a path, hf://OWNER/NAME, a name; "none": from scratch; None:
    # the base in the package that fits, if there is one
    distillation: Distillation | None = None  # the model is the student of the one that it starts from; None: it is not
    any_quality: bool = False  # keep a student that is worse than its teacher by more than is allowed

    def __post_init__(self) -> None:
        if self.preset != "auto":
            lookup(self.preset, PRESETS, "preset")
        if (self.seconds is None) == (self.images is None):
            raise InputError("a run needs either a time (--for) or a number of images (--images), and not both")
        check_maxima(self)
        if not self.save_every >= 0:
            raise InputError(f"{FLAGS['save_every']} must be 0 or more, got {self.save_every}")
        if not 0 <= self.seed < 2**64:
            raise InputError(f"{FLAGS['seed']} must be 0 to 2⁶⁴ - 1, got {self.seed}")
        if self.evaluations is not None and not 0 <= self.evaluations <= 1000:
            raise InputError(f"{FLAGS['evaluations']} must be between 0 and 1000, got {self.evaluations}")


@dataclass(frozen=True)
class TrainingPlan:
    """What a run does. Stored in its config.json, so that a resumed run does the same."""

    recipe: Recipe
    preset: str  # name of the preset that the recipe is made of
    images: int  # training images of the whole run; with a time limit, the estimate before the first step
    seconds: float | None  # the time limit in seconds, if there is one
    precision: Precision
    accumulate: int  # micro-batches per optimizer step
    seed: int
    images_per_second: float | None = None  # training speed, as measured before the first step
    threads: int | None = None  # threads with which that speed was measured, on a CPU
    evaluations: int = 0  # evaluations during training
    evaluation_samples: int = 0  # samples per evaluation
    extended_at: int | None = None  # images of the checkpoint from which the run was made longer; None: it was not


def check_maxima(options: object) -> None:
    """Raise InputError for a field of MAXIMA that is not above 0, or above its maximum; None is no value."""
    for name, most in MAXIMA.items():
        value = getattr(options, name, None)
        if value is not None and not 0 < value <= most:  # also for NaN
            raise InputError(f"{FLAGS[name]} must be above 0 and at most {most:,}, got {value}")


def build_recipe(name: str, data: Dataset, options: TrainOptions) -> Recipe:
    """A preset's recipe for these pictures, with the changes that the options ask for."""
    task = options.task.adapt_to_data(data.pictures)
    recipe = adapt_to_task(PRESETS[name](task.output_spec(data.pictures), data.layer_std(task.target_layer)), task)
    changed = _apply_options(recipe, options)
    base = open_origin(options.start_from, changed)
    if base is None:
        return changed
    grown = grow_recipe(recipe, base, keep_network=options.preset == "auto", pictures=len(data.train))
    if options.distillation is not None:
        grown = student_recipe(grown, base, options.distillation)
    return _apply_options(grown, options)


def _apply_options(recipe: Recipe, options: TrainOptions) -> Recipe:
    if options.recipe is not None:
        recipe = apply_overrides(recipe, options.recipe)
    training = replace(recipe.training, flip=options.flip or recipe.training.flip)
    if options.batch is not None:
        training = replace(training, batch=options.batch)
    if options.lr is not None:
        training = replace(training, lr=options.lr)
    model = recipe.model
    if options.dropout is not None:
        model = replace(model, net=replace(model.net, dropout=options.dropout))
    return Recipe(model, training)


def candidate_precisions(requested: str, device: torch.device) -> tuple[Precision, ...]:
    """The precisions to time: the requested one, or those that the device has instructions for."""
    if requested == "auto":
        # a CPU without bf16 instructions emulates them, slowly
        is_native = device.type == "cuda" or (device.type == "cpu" and torch.cpu._is_avx512_bf16_supported())
        return ("fp32", "bf16") if is_native else ("fp32",)
    return ("bf16",) if requested == "bf16" else ("fp32",)


def micro_batch_size(batch: int, processes: int, accumulate: int) -> int:
    """Images of one forward pass: batch / (processes × accumulate). Raises InputError if that is not a whole number."""
    size, rest = divmod(batch, processes * accumulate)
    if rest or size < 1:
        raise InputError(
            f"a batch of {batch} cannot be divided among {processes} processes × {accumulate} parts: "
            f"use a multiple of {processes * accumulate}"
        )
    return size


def make_plan(
    data: Dataset, options: TrainOptions, device: torch.device, processes: int, seconds_left: float | None
) -> TrainingPlan:
    """Choose preset, precision and number of images. `seconds_left`: what remains of the time limit, if any."""
    budget = 1.0 if seconds_left is None else min(1.0, seconds_left / 100)  # seconds for timing a preset's precision
    names: Iterable[str] = MIN_IMAGES if options.preset == "auto" else (options.preset,)
    best: TrainingPlan | None = None
    for name in names:  # from the smallest preset to the largest
        if best is not None and best.images < MIN_IMAGES[name]:
            break  # a larger preset would see even fewer images
        try:
            plan = _plan_preset(name, data, options, device, processes, seconds_left, budget)
        except OutOfMemory:
            if best is None:
                raise
            break
        if best is not None and plan.images < MIN_IMAGES[name]:
            break
        best = plan
        if plan.recipe.model.origins:
            break  # the network is that of the model that the run starts from, whatever the preset
    assert best is not None and best.images_per_second is not None
    seconds = best.images / best.images_per_second if seconds_left is None else seconds_left
    model = best.recipe.model
    # samples of a model that needs an input picture are not comparable with the training pictures, and a student's are
    # drawn in its own steps alone: no evaluation
    is_evaluated = model.task.input_spec(model.pictures) is None and options.distillation is None
    requested = options.evaluations if is_evaluated else 0
    count, samples = plan_evaluations(data, seconds, processes / best.images_per_second, requested)  # on one process
    return replace(best, evaluations=count, evaluation_samples=samples)


def _plan_preset(
    name: str,
    data: Dataset,
    options: TrainOptions,
    device: torch.device,
    processes: int,
    seconds_left: float | None,
    budget: float,
) -> TrainingPlan:
    """The plan with this preset, in the precision that is faster here."""
    recipe = build_recipe(name, data, options)
    size = micro_batch_size(recipe.training.batch, processes, options.accumulate)
    precisions = candidate_precisions(options.precision, device)
    require_memory(recipe, precisions[-1], size, device)
    run_steps = math.inf if options.images is None else options.images / recipe.training.batch
    max_steps = math.ceil(min(MAX_STEPS, TIMED_SHARE * run_steps))
    speeds = {p: TrialStep(recipe, p, device, size).measure_speed(budget, max_steps) for p in precisions}
    cost = {p: speed.seconds_per_image / processes for p, speed in speeds.items()}
    precision = min(cost, key=lambda p: cost[p] * (1.1 if p == "bf16" else 1.0))  # bf16 if it is 10 % faster
    images = options.images
    if images is None:
        assert seconds_left is not None
        is_student = recipe.training.distillation is not None
        mean_cost = cost[precision] * (MEAN_COST if is_student else Autoguidance(recipe).slowdown(0.0))
        images = min(int(seconds_left / mean_cost), max_images(recipe.training, data) or MAXIMA["images"])
    steps = max(1, -(-images // recipe.training.batch))
    return TrainingPlan(
        recipe, name, steps * recipe.training.batch, options.seconds, precision,
        options.accumulate, options.seed, 1 / cost[precision], speeds[precision].threads,
    )  # fmt: skip


def max_images(training: TrainingConfig, data: Dataset) -> int | None:
    """The training images after which a run with a time limit ends early, in whole steps; None: it does not."""
    if training.max_epochs is None:
        return None
    return math.ceil(training.max_epochs * len(data.train) / training.batch) * training.batch


def describe_early_end(plan: TrainingPlan, data: Dataset) -> tuple[str, ...]:
    """What is said of a run that is to end before its time is over, at its start."""
    training = plan.recipe.training
    if plan.seconds is None or plan.extended_at is not None or max_images(training, data) != plan.images:
        return ()
    return (
        f"ends early: {len(data.train)} training pictures, each shown {training.max_epochs:g} times; showing them more "
        f"often would make the model memorize them (--images sets another length)",
    )
