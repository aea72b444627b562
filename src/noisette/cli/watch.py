"""What a person sees of a run: a bar with images/s and time left, and what the held-out loss does."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .terminal import console, is_first, machine
from .units import compact, spoken

if TYPE_CHECKING:
    from ..train import Progress

    Watcher = Callable[[Progress], None]

EVERY = {"lines": 20.0, "json": 5.0}  # seconds between two reports where there is no bar


@contextmanager
def watch(out: Path, as_json: bool) -> Iterator["Watcher"]:
    """Shows progress while the block runs. Processes other than the first one show nothing."""
    if not is_first():
        yield lambda progress: None
    elif as_json:
        yield Machine()
    elif console().is_terminal:
        with bar() as show:
            yield show
    else:
        yield Lines(out)


class Machine:
    """A line of JSON now and then, and for every held-out loss."""

    def __init__(self) -> None:
        self.last = 0.0

    def __call__(self, progress: "Progress") -> None:
        now = time.monotonic()
        if (
            progress.fixed is None
            and progress.checkup is None
            and not progress.notes
            and now - self.last < EVERY["json"]
        ):
            return
        self.last = now
        told: dict[str, Any] = {"event": "progress"}
        told |= {name: getattr(progress, name) for name in ("images", "total", "seconds", "rate", "left", "loss")}
        told |= {"held_out": progress.fixed, "checkup": progress.checkup}
        machine(told | {"notes": list(progress.notes)})


class Lines:
    """For logs: a line now and then, and for every held-out loss."""

    def __init__(self, out: Path) -> None:
        self.last, self.console = 0.0, console()

    def __call__(self, progress: "Progress") -> None:
        for note in progress.notes:
            self.console.print(note, soft_wrap=True, markup=False)
        now = time.monotonic()
        if progress.fixed is None and progress.checkup is None and now - self.last < EVERY["lines"]:
            return
        self.last = now
        line = f"{share(progress):>4}  {standing(progress)}"
        if progress.fixed is not None:
            line += f"  held-out {held_out(progress.fixed)}"
        if progress.checkup is not None:
            line += f"  check-up: {checkup(progress.checkup)}"
        self.console.print(line, soft_wrap=True, markup=False)


@contextmanager
def bar() -> Iterator["Watcher"]:
    """A bar, and above it a line for every held-out loss."""
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    with Bar(TextColumn("{task.description:>4}"), BarColumn(), TextColumn("{task.fields[standing]}"), console=console(),
             refresh_per_second=4) as shown:  # fmt: skip
        task = shown.add_task("0 %", total=1.0, standing="reading the pictures, measuring this machine")

        def show(progress: "Progress") -> None:
            for note in progress.notes:
                shown.console.print(note, markup=False)
            if progress.fixed is not None:
                line = f"{share(progress):>4}  held-out loss {held_out(progress.fixed)}"
                shown.console.print(line, markup=False)
            if progress.checkup is not None:
                shown.console.print(f"{share(progress):>4}  check-up: {checkup(progress.checkup)}", markup=False)
            done = progress.images / progress.total
            shown.update(task, completed=done, description=share(progress), standing=standing(progress))

        yield show


def share(progress: "Progress") -> str:
    return f"{100 * progress.images // progress.total} %"


def standing(progress: "Progress") -> str:
    return (
        f"{compact(progress.images)} of {compact(progress.total)} images  {progress.rate:.0f}/s  "
        f"{spoken(progress.left)} left  loss {progress.loss:.3g}"
    )


def held_out(fixed: Mapping[str, float]) -> str:
    """0.412: by noise, low 0.2, middle 0.3, …"""
    levels = ", ".join(f"{name} {loss:.3g}" for name, loss in fixed.items() if name != "all")
    return f"{fixed['all']:.3g} (by noise: {levels})"


def checkup(found: Mapping[str, Any]) -> str:
    """KID × 10³ 210 [180, 240], real 3, copies 0 % (64 samples)"""
    kid, floor = found["kid"], found["floor"]
    parts = [f"copies {100 * found['copies']['value']:.0f} %"]
    if kid is not None:
        parts.insert(
            0, f"KID × 10³ {kid['value']:.0f} [{kid['low']:.0f}, {kid['high']:.0f}], real {floor['value']:.0f}"
        )
    return ", ".join(parts) + f" ({found['samples']} samples)"
