"""What a run writes down while it trains: metrics.jsonl always, and a tracker (TensorBoard, Trackio) on request.

metrics.jsonl is read by io/metrics_log.py, which lists its keys.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from ..io.files import atomic_write, explain_os_errors
from ..io.metrics_log import MetricsFile, read_metrics_file
from .callbacks import TrainingCallback, TrainingStep

MetricsRow = Mapping[str, object]
MAX_NAMED_LINES = 8  # damaged lines that a note names


class MetricsLog:
    """Appends rows to metrics.jsonl and passes each one on to `on_row`."""

    def __init__(self, path: Path, images: int, on_row: Callable[[MetricsRow], None] = lambda row: None) -> None:
        """Open the file for a run that continues from `images` training images: later rows are removed from it."""
        self.path, self.on_row = path, on_row
        found = read_metrics_file(path) if images else MetricsFile([])
        kept = [row for row in found.rows if row["images"] <= images]
        self.notes = _describe_damage(path, found.damaged)
        is_whole = len(kept) == len(found.rows) and not found.damaged
        if not kept or not is_whole or path.read_bytes()[-1:] != b"\n":  # a file that needs no change stays as it is
            atomic_write(path, "".join(f"{json.dumps(row)}\n" for row in kept).encode())

    def write(self, row: MetricsRow) -> None:
        """Append a row. Raises InputError if the file cannot be written."""
        with explain_os_errors(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        self.on_row(row)


def _describe_damage(path: Path, lines: Sequence[int]) -> tuple[str, ...]:
    """A note that names the lines that were left out; () if there are none."""
    if not lines:
        return ()
    shown = ", ".join(map(str, lines[:MAX_NAMED_LINES])) + (", …" if len(lines) > MAX_NAMED_LINES else "")
    return (f"{path}: {'line' if len(lines) == 1 else 'lines'} {shown} could not be read and was left out",)


def make_tracker(accelerator: Accelerator, log: str) -> Callable[[MetricsRow], None]:
    """A function that passes the numbers of a row on to the tracker `log`; for "jsonl", one that does nothing."""
    if log == "jsonl":
        return lambda row: None
    accelerator.init_trackers("noisette")
    return lambda row: accelerator.log(
        {k: v for k, v in row.items() if isinstance(v, int | float)}, step=int(str(row["images"]))
    )


class CallbackRunner:
    """Runs the callbacks of a training run and logs what they measure. Only the main process has one."""

    def __init__(self, metrics_log: MetricsLog, callbacks: Sequence[TrainingCallback]) -> None:
        self.metrics_log, self.callbacks = metrics_log, callbacks

    @property
    def final_seconds(self) -> float:
        """Seconds that the callbacks are expected to take after the last step."""
        return sum(callback.final_seconds for callback in self.callbacks)

    def run_callbacks(self, step: TrainingStep) -> dict[str, Any]:
        """Call each callback; the metrics of all of them together. Each one's metrics become a row of metrics.jsonl."""
        merged: dict[str, Any] = {}
        for callback in self.callbacks:
            if metrics := callback(step):
                self.metrics_log.write({"images": step.images} | metrics)
                merged |= metrics
        return merged
