"""What state a run is in, in plain words, from its files alone."""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from .. import checkpoint
from ..errors import InputError
from ..files import read_json
from ..lock import in_use
from .machine import Fact
from .units import compact, spoken

ENOUGH = 8  # held-out losses from which a trend is told
MOVES = 0.01  # the share by which a loss moves that is said to move
LEVELS = ("low", "middle", "high", "highest")


def diagnosis(run: Path) -> list[Fact]:
    """Is it finished, is it whole, is it still learning?"""
    if not run.is_dir():
        raise InputError(f"there is no run folder {run}: give the folder that noisette train --out was given")
    if not (run / "config.json").is_file():
        raise InputError(
            f"{run} is not a run folder: it holds no config.json, which a run writes before its first step"
        )
    plan = read_json(run / "config.json").get("plan")
    if not isinstance(plan, dict):
        raise InputError(
            f"{run} is a model folder, not a run: there is nothing to diagnose, noisette sample draws with it"
        )
    rows = journal(run / "metrics.jsonl")
    return [*_plan(plan), _state(run, rows), *_checkpoints(run), *trends(rows)]


def journal(path: Path) -> list[dict[str, Any]]:
    """The rows of metrics.jsonl; lines that a crash left half-written are passed over."""
    rows = []
    with suppress(FileNotFoundError):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError):
                row = json.loads(line)
                rows += [row] if isinstance(row, dict) else []
    return rows


def _plan(plan: dict[str, Any]) -> list[Fact]:
    length = f"for {spoken(plan['seconds'])}" if plan.get("seconds") else f"for {compact(plan.get('images', 0))} images"
    return [Fact("plan", f"preset {plan.get('preset')}, {plan.get('precision')}, {length}, seed {plan.get('seed')}")]


def _state(run: Path, rows: Sequence[dict[str, Any]]) -> Fact:
    last: dict[str, Any] = next((r for r in reversed(rows) if "loss" in r), {})
    seen = f"{compact(last.get('images', 0))} images in {spoken(last.get('seconds', 0))}"
    if in_use(run):
        return Fact("state", f"training now, {seen}")
    if not (run / "model").exists():
        return Fact("state", f"not finished: {seen}", "the same noisette train command goes on with it")
    try:
        checkpoint.read_model(run / "model")
    except InputError as error:
        return Fact(
            "state",
            f"finished, but its model cannot be used: {error}",
            "the same noisette train command writes it again",
        )
    return Fact("state", f"finished: {seen}; its model is whole", f"noisette sample {run} --out pictures")


def _checkpoints(run: Path) -> list[Fact]:
    try:
        newest = checkpoint.latest(run)
    except InputError as error:
        return [Fact("checkpoints", str(error))]
    if newest is None:
        return [Fact("checkpoints", "none yet", "one is written every --save-every, and at the end")]
    found = f"the newest good one is of {compact(newest.images)} images"
    return [Fact("checkpoints", found), *(Fact("damaged", reason) for reason in newest.skipped)]


def trends(rows: Sequence[dict[str, Any]]) -> list[Fact]:
    """How the held-out loss moves lately, by noise level."""
    exams = [r["held_out"] for r in rows if isinstance(r.get("held_out"), dict)]
    if len(exams) < ENOUGH:
        return [Fact("held-out loss", f"taken {len(exams)} times: too few to tell where it goes")]
    words = {name: _moves([e[name] for e in exams]) for name in LEVELS if name in exams[0]}
    value = f"{exams[-1]['all']:.3g}; " + ", ".join(f"{word} at {name} noise" for name, word in words.items())
    return [Fact("held-out loss", value, _advice(words, [e["all"] for e in exams]))]


def _moves(losses: Sequence[float]) -> str:
    """The last quarter against the one before it."""
    k = max(1, len(losses) // 4)
    now, before = sum(losses[-k:]) / k, sum(losses[-2 * k : -k]) / k
    if now > before * (1 + MOVES):
        return "rising"
    return "still falling" if now < before * (1 - MOVES) else "flat"


def _advice(words: dict[str, str], losses: Sequence[float]) -> str:
    least = min(losses)
    if losses[-1] > least * (1 + 3 * MOVES):
        at = round(100 * (losses.index(least) + 1) / len(losses))
        return (
            f"it was lowest {at} % into the run and has risen since: the model learns its pictures by heart; "
            "train for less long, with more pictures, or with --dropout 0.2 or --flip"
        )
    if "still falling" in words.values():
        return "it still learns: a longer run would be better"
    return "it has learned what it can in this run: a larger preset or more pictures would bring more"
