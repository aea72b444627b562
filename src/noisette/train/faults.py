"""What went wrong in a run, read from what it wrote down: each fault with the figure behind it and what to do.

Every check is a function of the evidence and answers a Fault or None; FAULTS lists them. Thresholds are beside them.
"""

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from .evidence import Evidence, Fault, Rows, many
from .exam import LEVELS
from .picture_faults import colour_drift, rare_labels, too_few, twins

# ── the weights ───────────────────────────────────────────────────────────────────────────────────────────────────


def not_finite(e: Evidence) -> Fault | None:
    """It ended because a loss was no number, and nothing was trained since."""
    rows = [r for r in e.rows if "diverged" in r or "loss" in r]
    if not rows or "diverged" not in rows[-1]:
        return None
    return Fault(
        "not a number", str(rows[-1]["diverged"]),
        f"start anew with --lr {_lower(e)}; if it happens again, look at these pictures",
    )  # fmt: skip


def _lower(e: Evidence) -> str:
    return f"{float(e.training.get('lr', 1e-3)) / 3:.1g}"


SPIKE = 3.0  # times the median of the losses around it


def spikes(e: Evidence) -> Fault | None:
    """Training losses that stand out of those around them."""
    rows = e.of("loss")
    values = [float(r["loss"]) for r in rows]
    found = []
    for i, value in enumerate(values):
        around = values[max(0, i - 5) : i] + values[i + 1 : i + 6]
        if i > len(values) // 20 and len(around) >= 5 and value > SPIKE * median(around):
            found.append((value / median(around), int(rows[i]["images"])))
    if not found:
        return None
    times, images = max(found)
    return Fault(
        "loss spikes",
        f"{many(len(found), 'row')} of the journal over {SPIKE:g} times the loss around; the worst is {times:.1f} "
        f"times, after {images:,} images",
        "lower --lr by half, or give a larger --batch: single steps throw the weights off",
    )


JUMPY, LAG = 1.5, 0.97  # the weights' own held-out loss over their average's


def rate_too_high(e: Evidence) -> Fault | None:
    """Half-way, the weights jump about so far that their average is much better than they are."""
    rows = [r for r in e.of("plain") if r is not e.of("plain")[-1]]
    if not rows:
        return None
    worst = max(rows, key=_jump)
    if _jump(worst) < JUMPY:
        return None
    lr = float(e.training.get("lr", 1e-3))
    return Fault(
        "learning rate too high",
        f"after {worst['images']:,} images the weights' own held-out loss is {worst['plain']['all']:.3g}, their "
        f"average's {worst['plain']['average']:.3g}: they jump about, with a learning rate of {lr:.2g}",
        f"try --lr {_lower(e)}",
    )


def average_lags(e: Evidence) -> Fault | None:
    """The averaged weights, which people draw with, are worse than the weights."""
    rows = e.of("plain")
    if not rows or _jump(rows[-1]) > LAG:
        return None
    last, ema = rows[-1], float(e.training.get("ema", 0.03))
    return Fault(
        "average not warmed up",
        f"the averaged weights' held-out loss is {last['plain']['average']:.3g}, the weights' own is "
        f"{last['plain']['all']:.3g}: the average (half-life {100 * ema:.2g} % of the run) is still of earlier, "
        "worse weights",
        'train to the end, or for longer; or a shorter average by --recipe: {"training": {"ema": '
        f"{ema / 3:.1g}" "}}",
    )  # fmt: skip


def _jump(row: dict[str, Any]) -> float:
    return float(row["plain"]["all"]) / max(float(row["plain"]["average"]), 1e-12)


# ── how long it was trained ───────────────────────────────────────────────────────────────────────────────────────

ENOUGH = 8  # held-out losses from which a trend is told
FALLS = 0.03  # by which a loss of the last quarter is below that of the quarter before, if it still falls
RISES = 0.03  # by which the last held-out loss is above the lowest, if it rises


def falls(losses: Sequence[float]) -> float:
    """By what share the last quarter's mean is below that of the quarter before."""
    k = max(1, len(losses) // 4)
    now, before = sum(losses[-k:]) / k, sum(losses[-2 * k : -k]) / k
    return 1 - now / before


def stopped_early(e: Evidence) -> Fault | None:
    """The held-out loss still falls, at all noise levels or at high ones alone."""
    exams = [r["held_out"] for r in e.of("held_out")]
    if len(exams) < ENOUGH or memorising(e) is not None:
        return None
    overall = falls([x["all"] for x in exams])
    levels = {name: falls([x[name] for x in exams]) for name in LEVELS if name in exams[0]}
    if overall > FALLS:
        return Fault(
            "stopped too early",
            f"the held-out loss was {100 * overall:.0f} % lower in the last quarter of the run than in the one before",
            "train for twice as long: --for or --images, into a new folder",
        )
    high = {name: fall for name, fall in levels.items() if name in LEVELS[2:] and fall > FALLS}
    if not high:
        return None
    name = max(high, key=lambda n: high[n])
    return Fault(
        "still improving at high noise",
        f"at {name} noise the held-out loss fell by {100 * high[name]:.0f} % in the last quarter of the run, "
        f"over all levels by {100 * overall:.0f} %: shapes and colours are still being learned",
        "train for longer, or on more of the high noise: a larger mean of training.times by --recipe",
    )


# ── the pictures ──────────────────────────────────────────────────────────────────────────────────────────────────

GAP = 0.1  # of the loss, by which held-out pictures cost more than training pictures, if it memorises


def memorising(e: Evidence) -> Fault | None:
    """It learns its pictures by heart: copies among its samples, a gap, or a held-out loss that rises."""
    advice = f"train for less long (--images {{}}), with more pictures, or with --dropout 0.2 or --flip{_snapshot(e)}"
    copying = [r for r in e.of("checkup") if r["checkup"]["copies"]["low"] > r["checkup"]["expected"]["high"]]
    if copying and copying[-1] is e.of("checkup")[-1]:
        first, found = _since(copying, e.of("checkup")), copying[-1]["checkup"]
        return Fault(
            f"memorising since image {first:,}",
            f"{100 * found['copies']['value']:.0f} % of the samples are copies of training pictures, of held-out "
            f"pictures {100 * found['expected']['value']:.0f} %",
            advice.format(first),
        )
    wide = [r for r in e.of("gap") if r["gap"]["value"] > max(3 * r["gap"]["error"], GAP * r["held_out"]["all"])]
    if wide and wide[-1] is e.of("gap")[-1]:
        first, row = _since(wide, e.of("gap")), wide[-1]
        return Fault(
            f"memorising since image {first:,}",
            f"held-out pictures cost {row['held_out']['all']:.3g}, training pictures {row['seen']['all']:.3g}: "
            f"{row['gap']['value'] / max(row['gap']['error'], 1e-12):.0f} standard errors apart",
            advice.format(first),
        )
    rows = e.of("held_out")
    losses = [float(r["held_out"]["all"]) for r in rows]
    if len(losses) < ENOUGH or losses[-1] <= min(losses) * (1 + RISES):
        return None
    first = int(rows[losses.index(min(losses))]["images"])
    return Fault(
        f"memorising since image {first:,}",
        f"the held-out loss was lowest there, {min(losses):.3g}, and has risen to {losses[-1]:.3g}",
        advice.format(first),
    )


def _since(some: Rows, every: Rows) -> int:
    """The images from which on all rows are among `some`."""
    first = every[-1]
    for row in reversed(every):
        if not any(row is one for one in some):
            break
        first = row
    return int(first["images"])


def _snapshot(e: Evidence) -> str:
    return "; noisette sample RUN --snapshot best draws with the best one" if e.of("checkup") else ""


Check = Callable[[Evidence], Fault | None]
FAULTS: tuple[Check, ...] = (
    not_finite, spikes, rate_too_high, average_lags, memorising, stopped_early, colour_drift, twins, too_few,
    rare_labels,
)  # fmt: skip


def faults(evidence: Evidence) -> list[Fault]:
    """Everything that is found, the gravest first."""
    return [found for check in FAULTS if (found := check(evidence)) is not None]
