"""Diagnosis of a run from its records: each problem with the figure that shows it and what to do about it.

Every check is a function from a RunLog to a Problem or None; CHECKS lists them. Thresholds stand above each check.
"""

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from .data_diagnosis import color_drift, rare_labels, split_leakage, too_few_pictures
from .run_log import MetricsRows, Problem, RunLog, pluralize
from .validation import NOISE_LEVELS

# ── the weights ───────────────────────────────────────────────────────────────────────────────────────────────────


def not_finite(log: RunLog) -> Problem | None:
    """Training ended with a loss or gradient that was not finite."""
    rows = [r for r in log.rows if "diverged" in r or "loss" in r]
    if not rows or "diverged" not in rows[-1]:
        return None
    return Problem(
        "not a number", str(rows[-1]["diverged"]),
        f"start again with --lr {_lower_lr(log)}; if it happens again, check these pictures",
    )  # fmt: skip


def _lower_lr(log: RunLog) -> str:
    return f"{float(log.training_config.get('lr', 1e-3)) / 3:.1g}"


SPIKE_RATIO = 3.0  # a loss is a spike if it is so many times the median of the ten around it


def loss_spikes(log: RunLog) -> Problem | None:
    """Training losses far above those around them."""
    rows = log.rows_with("loss")
    values = [float(r["loss"]) for r in rows]
    spikes = []
    for i, value in enumerate(values):
        around = values[max(0, i - 5) : i] + values[i + 1 : i + 6]
        usual = max(median(around), 1e-12) if len(around) >= 5 else float("inf")
        if i > len(values) // 20 and value > SPIKE_RATIO * usual:
            spikes.append((value / usual, int(rows[i]["images"])))
    if not spikes:
        return None
    ratio, images = max(spikes)
    return Problem(
        "loss spikes",
        f"{pluralize(len(spikes), 'row')} of metrics.jsonl with a loss of more than {SPIKE_RATIO:g} times the losses "
        f"around it; the highest is {ratio:.1f} times as large, after {images:,} images",
        "a single step changes the weights too much: halve --lr, or give a larger --batch",
    )


HIGH_LR_RATIO, EMA_LAG_RATIO = 1.5, 0.97  # held-out loss of the weights over that of their average


def lr_too_high(log: RunLog) -> Problem | None:
    """During the run, the averaged weights were much better than the weights, which change too much per step."""
    rows = log.rows_with("raw_weights")[:-1]
    if not rows:
        return None
    worst = max(rows, key=_raw_to_ema_ratio)
    if _raw_to_ema_ratio(worst) < HIGH_LR_RATIO:
        return None
    lr = float(log.training_config.get("lr", 1e-3))
    return Problem(
        "learning rate too high",
        f"after {worst['images']:,} images the held-out loss is {worst['raw_weights']['all']:.3g} with the weights "
        f"themselves, and {worst['raw_weights']['ema']:.3g} with their average: at a learning rate of {lr:.2g} the "
        "steps are too large",
        f"try --lr {_lower_lr(log)}",
    )


def ema_lags(log: RunLog) -> Problem | None:
    """At the end, the averaged weights (which are the model) are worse than the weights."""
    rows = log.rows_with("raw_weights")
    if not rows or _raw_to_ema_ratio(rows[-1]) > EMA_LAG_RATIO:
        return None
    last, ema = rows[-1], float(log.training_config.get("ema", 0.03))
    return Problem(
        "average not warmed up",
        f"the held-out loss is {last['raw_weights']['ema']:.3g} with the averaged weights, and "
        f"{last['raw_weights']['all']:.3g} with the weights themselves: the average (half-life {100 * ema:.2g} % of "
        "the run) still contains earlier, worse weights",
        'train to the end, or for longer; or shorten the average with --recipe: {"training": {"ema": '
        f"{ema / 3:.1g}" "}}",
    )  # fmt: skip


def _raw_to_ema_ratio(row: dict[str, Any]) -> float:
    return float(row["raw_weights"]["all"]) / max(float(row["raw_weights"]["ema"]), 1e-12)


# ── how long it was trained ───────────────────────────────────────────────────────────────────────────────────────

MIN_LOSSES = 8  # held-out losses that are needed for a trend
MIN_FALL = 0.03  # a loss still falls if its last quarter is lower by this share than the quarter before
MIN_RISE = 0.03  # the held-out loss rises if its last value is higher by this share than its lowest


def relative_fall(losses: Sequence[float]) -> float:
    """By which share the mean of the last quarter is lower than that of the quarter before."""
    k = max(1, len(losses) // 4)
    now, before = sum(losses[-k:]) / k, sum(losses[-2 * k : -k]) / k
    return 1 - now / max(before, 1e-12)


def stopped_early(log: RunLog) -> Problem | None:
    """The held-out loss still falls, over all noise levels or at high noise only."""
    validations = [r["held_out"] for r in log.rows_with("held_out")]
    if len(validations) < MIN_LOSSES or memorizing(log) is not None:
        return None
    overall = relative_fall([v["all"] for v in validations])
    levels = {
        name: relative_fall([v[name] for v in validations])
        for name in NOISE_LEVELS
        if all(name in v for v in validations)
    }
    if overall > MIN_FALL:
        return Problem(
            "stopped too early",
            f"the held-out loss was {100 * overall:.0f} % lower in the last quarter of the run than in the one before",
            "train for twice as long: --for or --images, into a new folder",
        )
    high = {name: fall for name, fall in levels.items() if name in NOISE_LEVELS[2:] and fall > MIN_FALL}
    if not high:
        return None
    name = max(high, key=lambda n: high[n])
    return Problem(
        "still improving at high noise",
        f"in the last quarter of the run the held-out loss fell by {100 * high[name]:.0f} % at {name} noise, and by "
        f"{100 * overall:.0f} % over all noise levels: shapes and colors are still being learned",
        "train for longer, or more often at high noise: a larger mean of training.times with --recipe",
    )


# ── the pictures ──────────────────────────────────────────────────────────────────────────────────────────────────

GAP_THRESHOLD = 0.1  # held-out loss minus training loss, as a share of the held-out loss, from which it memorizes


def memorizing(log: RunLog) -> Problem | None:
    """The model memorizes: copies among its samples, a gap to the training loss, or a rising held-out loss."""
    advice = (
        "train for a shorter time (--images {}), with more pictures, or with --dropout 0.2 or --flip"
        f"{_snapshot_hint(log)}"
    )
    evaluations, gaps = log.rows_with("evaluation"), log.rows_with("gap")
    copying = [r for r in evaluations if _copies_more_than_chance(r["evaluation"])]
    if copying and copying[-1] is evaluations[-1]:
        first, result = _first_images(copying, evaluations), copying[-1]["evaluation"]
        return Problem(
            f"memorizing since image {first:,}",
            f"{100 * result['copies']['value']:.0f} % of the samples are copies of training pictures; for held-out "
            f"pictures this share is {100 * result['held_out_copies']['value']:.0f} %"
            f"pictures {100 * result['held_out_copies']['value']:.0f} %",
            advice.format(first),
        )
    wide = [r for r in gaps if r["gap"]["value"] > max(3 * r["gap"]["error"], GAP_THRESHOLD * r["held_out"]["all"])]
    if wide and wide[-1] is gaps[-1]:
        first, row = _first_images(wide, gaps), wide[-1]
        return Problem(
            f"memorizing since image {first:,}",
            f"the loss is {row['held_out']['all']:.3g} on held-out pictures, {row['train']['all']:.3g} on training "
            f"pictures: {row['gap']['value'] / max(row['gap']['error'], 1e-12):.0f} standard errors apart",
            advice.format(first),
        )
    rows = log.rows_with("held_out")
    losses = [float(r["held_out"]["all"]) for r in rows]
    if len(losses) < MIN_LOSSES or losses[-1] <= min(losses) * (1 + MIN_RISE):
        return None
    first = int(rows[losses.index(min(losses))]["images"])
    return Problem(
        f"memorizing since image {first:,}",
        f"the held-out loss was lowest at that point, {min(losses):.3g}, and has risen to {losses[-1]:.3g} since",
        advice.format(first),
    )


def _copies_more_than_chance(evaluation: dict[str, Any]) -> bool:
    return bool(evaluation["copies"]["low"] > evaluation["held_out_copies"]["high"])


def _first_images(subset: MetricsRows, rows: MetricsRows) -> int:
    """The images of the first row from which on all `rows` are in `subset`."""
    first = rows[-1]
    for row in reversed(rows):
        if not any(row is member for member in subset):
            break
        first = row
    return int(first["images"])


def _snapshot_hint(log: RunLog) -> str:
    return "; noisette sample RUN --snapshot best uses the best snapshot" if log.rows_with("evaluation") else ""


Check = Callable[[RunLog], Problem | None]
CHECKS: tuple[Check, ...] = (
    not_finite, loss_spikes, lr_too_high, ema_lags, memorizing, stopped_early, color_drift, split_leakage,
    too_few_pictures, rare_labels,
)  # fmt: skip


def find_problems(log: RunLog) -> list[Problem]:
    """All problems, the most serious first."""
    return [problem for check in CHECKS if (problem := check(log)) is not None]
