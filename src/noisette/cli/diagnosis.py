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

MOVES = 0.01  # the share by which a loss moves that is said to move
LEVELS = ("low", "middle", "high", "highest")


def diagnosis(run: Path) -> list[Fact]:
    """Is it finished, is it whole, what went wrong?"""
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
    return [
        *_plan(plan), _state(run, rows), *_checkpoints(run), *_snapshot(run), *trends(rows), *checked(rows),
        *wrong(run, plan, rows),
    ]  # fmt: skip


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


def _snapshot(run: Path) -> list[Fact]:
    """Which one the model is, if it is not the last."""
    from ..snapshots import told

    return [Fact("snapshot", said, f"noisette sample {run} --snapshot last")] if (said := told(run)) else []


def trends(rows: Sequence[dict[str, Any]]) -> list[Fact]:
    """How the held-out loss moves lately, by noise level."""
    from ..train.faults import ENOUGH, falls

    exams = [r["held_out"] for r in rows if isinstance(r.get("held_out"), dict)]
    if len(exams) < ENOUGH:
        return [Fact("held-out loss", f"taken {len(exams)} times: too few to tell where it goes")]
    words = {name: _moves(falls([e[name] for e in exams])) for name in LEVELS if name in exams[0]}
    told = ", ".join(f"{word} at {name} noise" for name, word in words.items())
    return [Fact("held-out loss", f"{exams[-1]['all']:.3g}; {told}")]


def _moves(fall: float) -> str:
    return "rising" if fall < -MOVES else "still falling" if fall > MOVES else "flat"


def checked(rows: Sequence[dict[str, Any]]) -> list[Fact]:
    """What the last check-up found."""
    from .watch import checkup

    found = next((r["checkup"] for r in reversed(rows) if isinstance(r.get("checkup"), dict)), None)
    return [] if found is None else [Fact("last check-up", checkup(found))]


def wrong(run: Path, plan: dict[str, Any], rows: Sequence[dict[str, Any]]) -> list[Fact]:
    """What went wrong, each with its figure and what to do."""
    from ..data.manifest import Manifest
    from ..train.evidence import Evidence
    from ..train.faults import faults

    data = Manifest.read(run / "data.json") if (run / "data.json").is_file() else None
    found = faults(Evidence(plan, rows, data))
    if not found:
        return [Fact("faults", "none found", "a larger preset, more pictures or more time may still bring more")]
    return [Fact(fault.name, fault.figure, fault.advice.replace("RUN", str(run))) for fault in found]
