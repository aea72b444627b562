"""The one reader of a run's metrics.jsonl.

Rows hold `images` (training images seen so far) and what was measured then: `loss`, `last`, `lr`, `seconds`, `rate`;
`held_out`, `train`, `gap`, `raw_weights` (validation); `evaluation` (of samples); `diverged` (why the run ended);
`sampling` (the defaults that the end of the run chose) with `reason`.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .files import read_bytes

FORMER_KEYS = {"checkup": "evaluation", "seen": "train", "plain": "raw_weights"}
FORMER_KEYS_WITHIN = {
    "evaluation": {"floor": "real_kid", "expected": "held_out_copies"},
    "raw_weights": {"average": "ema"},
}
FORMER_CHANNELS = {"grey": "gray"}
NUMBERS = ("loss", "last", "lr", "seconds", "rate")
REQUIRED = {  # keys with several numbers → those that are always there
    "held_out": ("all",),
    "train": ("all",),
    "gap": ("value", "error"),
    "raw_weights": ("all", "ema"),
}
INTERVAL = ("value", "low", "high")


@dataclass(frozen=True)
class MetricsFile:
    """What a metrics.jsonl holds."""

    rows: list[dict[str, Any]]  # in file order, with today's keys
    damaged: tuple[int, ...] = ()  # numbers, from 1, of the lines that are no rows


def read_metrics_file(path: str | Path) -> MetricsFile:
    """The rows of a metrics.jsonl file, and which lines were skipped; no rows if the file does not exist.

    A row is a JSON object with the number of training images seen so far in "images"; which other keys it has depends
    on what was measured, and their values have the types that a run writes. Keys of earlier versions are replaced by
    today's. Every other line is skipped: a last line cut off by a crash, a damaged line, bytes that are not UTF-8, JSON
    that is no such object. A file that exists and cannot be read raises `InputError`.
    """
    path = Path(path)
    if not path.exists():
        return MetricsFile([])
    rows, damaged = [], []
    for number, line in enumerate(read_bytes(path).split(b"\n"), 1):
        if not line.strip():
            continue
        row = _parse_row(line)
        damaged.append(number) if row is None else rows.append(row)
    return MetricsFile(rows, tuple(damaged))


def read_metrics(path: str | Path) -> list[dict[str, Any]]:
    """The rows that `read_metrics_file` reads."""
    return read_metrics_file(path).rows


def _parse_row(line: bytes) -> dict[str, Any] | None:
    """A line as a row; None if it is none."""
    try:
        row = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict):
        return None
    row = _current_keys(row)
    is_row = (
        _is_number(row.get("images"))
        and math.isfinite(row["images"])
        and all(_is_number(row[key]) for key in NUMBERS if key in row)
        and all(_has_numbers(row[key], keys) for key, keys in REQUIRED.items() if key in row)
        and ("gap" not in row or {"held_out", "train"} <= row.keys())
        and ("evaluation" not in row or _is_evaluation(row["evaluation"]))
    )
    return row if is_row else None


def _is_number(value: object) -> bool:
    """A number that a float can hold; NaN and infinity are measurements, too."""
    return isinstance(value, float) or (type(value) is int and abs(value) < 10**300)


def _has_numbers(value: object, keys: tuple[str, ...]) -> bool:
    return isinstance(value, dict) and all(k in value for k in keys) and all(_is_number(v) for v in value.values())


def _is_evaluation(value: object) -> bool:
    """Whether this is what training/periodic_evaluation.py writes, as far as it is read again."""
    if not isinstance(value, dict) or not _is_number(value.get("samples")):
        return False
    drift = value.get("drift", {})
    channels = [c for part in drift.values() for c in _values(part)] if isinstance(drift, Mapping) else [None]
    return (
        all(_has_numbers(value.get(key), INTERVAL) for key in ("copies", "held_out_copies"))
        and all(value.get(key) is None or _has_numbers(value[key], INTERVAL) for key in ("kid", "real_kid"))
        and (value.get("kid") is None) == (value.get("real_kid") is None)
        and all(_has_numbers(channel, ("value", "error")) for channel in channels)
    )


def _values(part: object) -> list[object]:
    return list(part.values()) if isinstance(part, Mapping) else [None]


def _current_keys(row: dict[str, Any]) -> dict[str, Any]:
    """A row with the keys of earlier versions replaced by today's."""
    row = {FORMER_KEYS.get(key, key): value for key, value in row.items()}
    for key, names in FORMER_KEYS_WITHIN.items():
        if isinstance(row.get(key), dict):
            row[key] = {names.get(inner, inner): value for inner, value in row[key].items()}
    evaluation = row.get("evaluation")
    if isinstance(evaluation, dict) and isinstance(drift := evaluation.get("drift"), dict):
        evaluation["drift"] = {
            what: {FORMER_CHANNELS.get(c, c): value for c, value in part.items()} if isinstance(part, dict) else part
            for what, part in drift.items()
        }
    return row
