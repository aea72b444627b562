"""The options that a run was started with, against those that it is given when it goes on."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..io import checkpoint
from ..models.config import current_names, to_json
from .plan import FLAGS, TrainingPlan, TrainOptions
from .progress_schedule import ProgressSchedule, lr_factor
from .recipes.recipe import TrainingConfig

RESUMABLE_OPTIONS = (
    "save_every",
    "log",
    "accumulate",
    "any_quality",
)  # may differ when a run resumes: the result is the same
LENGTHS = ("seconds", "images")  # may be larger: the run is then made longer


def is_longer(run: Path, stored_options: Mapping[str, Any], options: TrainOptions) -> bool:
    """Whether the run is asked to become longer than `stored_options`, of its config.json, say.

    Raises InputError if another option differs.
    """
    stored, defaults = current_names(TrainOptions, stored_options), to_json(TrainOptions(images=1))
    # a run of an older version does not have every option
    pairs = {name: (stored.get(name, defaults[name]), value) for name, value in to_json(options).items()}
    changed = {name: pair for name, pair in pairs.items() if name not in RESUMABLE_OPTIONS and pair[0] != pair[1]}
    for name, (before, value) in changed.items():
        if name not in LENGTHS:
            raise InputError(
                f"{run} was started {describe(name, before)}, not {describe(name, value)}: give the same options to "
                "continue it, or another --out"
            )
    if not changed:
        return False
    before, now = ({name: pair[i] for name, pair in pairs.items() if name in LENGTHS and pair[i]} for i in (0, 1))
    if before.keys() == now.keys() and all(now[name] > before[name] for name in now):
        return True
    first, second = (" and ".join(describe(name, value) for name, value in part.items()) for part in (before, now))
    raise InputError(
        f"{run} was started {first}, not {second}: give the same length, or more of it to make the run longer, or "
        "another --out"
    )


def extend_plan(run: Path, plan: TrainingPlan, options: TrainOptions) -> TrainingPlan:
    """The plan of a run that is made longer, from its newest checkpoint."""
    batch, newest = plan.recipe.training.batch, checkpoint.find_latest(run)
    if newest is None:  # nothing has been trained
        scale = 1.0 if options.seconds is None or plan.seconds is None else options.seconds / plan.seconds
        images, extended_at = round(plan.images * scale) if options.images is None else options.images, None
    else:
        spent = float(newest.meta["seconds"])
        pace = newest.images / spent if spent > 0 and newest.images else (plan.images_per_second or 1.0)
        images = newest.images + round(pace * max((options.seconds or 0.0) - spent, 0.0))
        images, extended_at = images if options.images is None else options.images, newest.images
    steps = max(1, -(-images // batch))
    return replace(plan, images=steps * batch, seconds=options.seconds, extended_at=extended_at)


def describe_extension(schedule: ProgressSchedule, images: int, training: TrainingConfig) -> str:
    """What a run that is made longer does, when it goes on from `images` training images."""
    lr = training.lr * lr_factor(schedule.progress(images), training.warmup, training.min_lr_ratio)
    return (
        f"made longer, to {schedule.total:,} images: goes on from {images:,} images with the learning rate that a run "
        f"of this length has there, {lr:.2g}, which falls to its end once more"
    )


def describe(name: str, value: Any) -> str:
    """An option as it is typed: "with --batch 32", "without --flip"."""
    flag = FLAGS[name]
    if value is None or value is False:
        return f"without {flag}"
    if value is True or (name == "text" and value):
        return f"with {flag}"
    if name == "seconds":
        return f"with {flag} {value:g}s"
    if name in ("size", "cell") and not isinstance(value, str):
        height, width = value
        return f"with {flag} {width}x{height}"
    if name == "percentiles":
        return f"with {flag} {value[0]:g},{value[1]:g}"
    if name == "distillation":
        guidance = "" if value["guidance"] is None else f" --guidance {value['guidance']:g}"
        return f"with {flag} {value['calls']}{guidance}"
    if isinstance(value, Mapping) and "is" in value:  # a task
        factor = f" --factor {value['factor']}" if "factor" in value else ""
        return f"with {flag} {str(value['is']).lower()}{factor}"
    return f"with {flag} {value}"
