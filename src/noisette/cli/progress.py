"""How the progress of a run is shown: a bar, lines for logs, or lines of JSON."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .terminal import get_console, is_main_process, print_json
from .units import format_count, format_duration

if TYPE_CHECKING:
    from ..training import Progress

    ProgressCallback = Callable[[Progress], None]

REPORT_INTERVALS = {"lines": 20.0, "json": 5.0}  # seconds between two reports, without a bar


@contextmanager
def show_progress(out: Path, as_json: bool) -> Iterator["ProgressCallback"]:
    """Gives a function that shows progress. In processes other than the first one it shows nothing."""
    if not is_main_process():
        yield lambda progress: None
    elif as_json:
        yield JsonReporter()
    elif get_console().is_terminal:
        with progress_bar() as show:
            yield show
    else:
        yield LineReporter(out)


class JsonReporter:
    """Prints a line of JSON every five seconds, and for each held-out loss, evaluation and note."""

    def __init__(self) -> None:
        self.last_time = 0.0

    def __call__(self, progress: "Progress") -> None:
        now = time.monotonic()
        if (
            progress.held_out_loss is None
            and progress.evaluation is None
            and not progress.notes
            and now - self.last_time < REPORT_INTERVALS["json"]
        ):
            return
        self.last_time = now
        row: dict[str, Any] = {"event": "progress"}
        row |= {
            name: getattr(progress, name) for name in ("images", "total", "seconds", "rate", "seconds_left", "loss")
        }
        row |= {"held_out": progress.held_out_loss, "evaluation": progress.evaluation}
        print_json(row | {"notes": list(progress.notes)})


class LineReporter:
    """Prints a line every 20 seconds, and for each held-out loss, evaluation and note."""

    def __init__(self, out: Path) -> None:
        self.last_time, self.console = 0.0, get_console()

    def __call__(self, progress: "Progress") -> None:
        for note in progress.notes:
            self.console.print(note, soft_wrap=True, markup=False)
        now = time.monotonic()
        if (
            progress.held_out_loss is None
            and progress.evaluation is None
            and now - self.last_time < REPORT_INTERVALS["lines"]
        ):
            return
        self.last_time = now
        line = f"{format_percent(progress):>4}  {format_progress(progress)}"
        if progress.held_out_loss is not None:
            line += f"  held-out {format_held_out(progress.held_out_loss)}"
        if progress.evaluation is not None:
            line += f"  evaluation: {format_evaluation(progress.evaluation)}"
        self.console.print(line, soft_wrap=True, markup=False)


@contextmanager
def progress_bar() -> Iterator["ProgressCallback"]:
    """A progress bar, and above it a line for each held-out loss, evaluation and note."""
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = TextColumn("{task.description:>4}"), BarColumn(), TextColumn("{task.fields[state]}")
    with Bar(*columns, console=get_console(), refresh_per_second=4) as shown:
        task = shown.add_task("0 %", total=1.0, state="reading the pictures, measuring this machine")

        def show(progress: "Progress") -> None:
            for note in progress.notes:
                shown.console.print(note, markup=False)
            if progress.held_out_loss is not None:
                line = f"{format_percent(progress):>4}  held-out loss {format_held_out(progress.held_out_loss)}"
                shown.console.print(line, markup=False)
            if progress.evaluation is not None:
                shown.console.print(
                    f"{format_percent(progress):>4}  evaluation: {format_evaluation(progress.evaluation)}", markup=False
                )
            done = progress.images / progress.total
            shown.update(task, completed=done, description=format_percent(progress), state=format_progress(progress))

        yield show


def format_percent(progress: "Progress") -> str:
    """12 %"""
    return f"{100 * progress.images // progress.total} %"


def format_progress(progress: "Progress") -> str:
    """12.5k of 200.0k images  340/s  9 min 11 s left  loss 0.25"""
    return (
        f"{format_count(progress.images)} of {format_count(progress.total)} images  {progress.rate:.0f}/s  "
        f"{format_duration(progress.seconds_left)} left  loss {progress.loss:.3g}"
    )


def format_held_out(losses: Mapping[str, float]) -> str:
    """0.412 (by noise: low 0.2, middle 0.3, …)"""
    levels = ", ".join(f"{name} {loss:.3g}" for name, loss in losses.items() if name != "all")
    return f"{losses['all']:.3g} (by noise: {levels})"


def format_evaluation(evaluation: Mapping[str, Any]) -> str:
    """KID × 10³ 210 [180, 240], real 3, copies 0 % (64 samples)"""
    kid, real_kid = evaluation["kid"], evaluation["real_kid"]
    parts = [f"copies {100 * evaluation['copies']['value']:.0f} %"]
    if kid is not None:
        parts.insert(
            0, f"KID × 10³ {kid['value']:.0f} [{kid['low']:.0f}, {kid['high']:.0f}], real {real_kid['value']:.0f}"
        )
    return ", ".join(parts) + f" ({evaluation['samples']} samples)"
