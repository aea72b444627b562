"""The state of a run and its problems, from the files of its folder."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..io import checkpoint
from ..io.lock import is_locked
from ..io.metrics_log import read_metrics
from ..io.run_config import RunConfig, is_run_config, read_run_config
from .system_info import Fact
from .units import format_count, format_duration

TREND_THRESHOLD = 0.01  # a loss is flat if it changes by a smaller share than this
NOISE_LEVELS = ("low", "middle", "high", "highest")


def diagnose_run(run: Path) -> list[Fact]:
    """Facts about a run: plan, state, checkpoints, losses, problems. Raises InputError if `run` is no run folder."""
    if not run.is_dir():
        raise InputError(f"there is no run folder {run}: give the folder that noisette train --out was given")
    if not (run / "config.json").is_file():
        raise InputError(
            f"{run} is not a run folder: it holds no config.json, which a run writes before its first step"
        )
    if not is_run_config(run / "config.json"):
        raise InputError(
            f"{run} is a model folder, not a run folder: there is nothing to diagnose; use it with noisette sample"
        )
    config, rows = read_run_config(run / "config.json"), read_metrics(run / "metrics.jsonl")
    plan = config.plan
    return [
        *_describe_plan(plan),
        _describe_state(run, config, rows),
        *_describe_checkpoints(run),
        *_describe_snapshot(run),
        *describe_trends(rows),
        *describe_last_evaluation(rows),
        *describe_problems(run, plan, rows),
    ]


def _describe_plan(plan: dict[str, Any]) -> list[Fact]:
    from ..training.run_log import read_origins

    length = (
        f"for {format_duration(plan['seconds'])}"
        if plan.get("seconds")
        else f"for {format_count(plan.get('images', 0))} images"
    )
    facts = [Fact("plan", f"preset {plan.get('preset')}, {plan.get('precision')}, {length}, seed {plan.get('seed')}")]
    chain = ", which started from ".join(f"{origin.name} ({origin.pictures})" for origin in read_origins(plan))
    is_student = plan["recipe"]["training"].get("distillation")
    return [*facts, Fact("student of" if is_student else "started from", chain)] if chain else facts


def _describe_state(run: Path, config: RunConfig, rows: Sequence[dict[str, Any]]) -> Fact:
    same = f"the same {config.command} command"
    last: dict[str, Any] = next((r for r in reversed(rows) if "loss" in r), {})
    seen = f"{format_count(last.get('images', 0))} images in {format_duration(last.get('seconds', 0))}"
    if is_locked(run):
        return Fact("state", f"training now, {seen}")
    if not (run / "model").exists():
        return Fact("state", f"not finished: {seen}", f"{same} resumes it")
    try:
        checkpoint.read_model(run / "model")
    except InputError as error:
        return Fact(
            "state",
            f"finished, but its model cannot be used: {error}",
            f"{same} writes it again",
        )
    if (target := _extension_target(run, config.plan)) is not None:
        text = f"being made longer, to {format_count(target)} images: {seen}; its model is the one of before"
        return Fact("state", text, f"{same} goes on with it")
    return Fact("state", f"finished: {seen}; its model is whole", f"noisette sample {run} --out pictures")


def _extension_target(run: Path, plan: dict[str, Any]) -> int | None:
    """The images of a run that was finished, was made longer, and has not come to its new end; else None."""
    with suppress(InputError):
        newest = checkpoint.find_latest(run)
        if isinstance(since := plan.get("extended_at"), int) and newest is not None:
            total = plan["images"] if newest.images <= since else newest.meta["knots"][-1][0]
            return int(total) if newest.images < total else None
    return None


def _describe_checkpoints(run: Path) -> list[Fact]:
    try:
        newest = checkpoint.find_latest(run)
    except InputError as error:
        return [Fact("checkpoints", str(error))]
    if newest is None:
        return [Fact("checkpoints", "none yet", "one is written every --save-every, and at the end")]
    text = f"the newest undamaged one is from {format_count(newest.images)} images"
    return [Fact("checkpoints", text), *(Fact("damaged", reason) for reason in newest.skipped_reasons)]


def _describe_snapshot(run: Path) -> list[Fact]:
    """Which snapshot the model is, if it is not the last."""
    from ..training.snapshots import describe_selection

    selection = describe_selection(run)
    return [Fact("snapshot", selection, f"noisette sample {run} --snapshot last")] if selection else []


def describe_trends(rows: Sequence[dict[str, Any]]) -> list[Fact]:
    """Whether the held-out loss falls, rises or is flat in the last quarter of the run, by noise level."""
    from ..training.diagnosis import MIN_LOSSES, relative_fall

    validations = [r["held_out"] for r in rows if "held_out" in r]
    if len(validations) < MIN_LOSSES:
        return [Fact("held-out loss", f"measured {len(validations)} times: too few for a trend")]
    words = {
        name: _describe_trend(relative_fall([v[name] for v in validations]))
        for name in NOISE_LEVELS
        if all(name in v for v in validations)
    }
    trends = ", ".join(f"{word} at {name} noise" for name, word in words.items())
    return [Fact("held-out loss", f"{validations[-1]['all']:.3g}; {trends}")]


def _describe_trend(decrease: float) -> str:
    return "rising" if decrease < -TREND_THRESHOLD else "still falling" if decrease > TREND_THRESHOLD else "flat"


def describe_last_evaluation(rows: Sequence[dict[str, Any]]) -> list[Fact]:
    """The result of the last evaluation during training."""
    from .progress import format_evaluation

    last = next((r["evaluation"] for r in reversed(rows) if "evaluation" in r), None)
    return [] if last is None else [Fact("last evaluation", format_evaluation(last))]


def describe_problems(run: Path, plan: dict[str, Any], rows: Sequence[dict[str, Any]]) -> list[Fact]:
    """What went wrong, each problem with its figure and what to do."""
    from ..data.manifest import Manifest
    from ..training.diagnosis import find_problems
    from ..training.run_log import RunLog

    data = Manifest.read(run / "data.json") if (run / "data.json").is_file() else None
    problems = find_problems(RunLog(plan, rows, data))
    if not problems:
        return [Fact("problems", "none found", "a larger preset, more pictures or more time may still improve it")]
    return [Fact(p.name, p.measurement, p.advice.replace("RUN", str(run))) for p in problems]
