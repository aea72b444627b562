"""Output: results to stdout, errors and progress bars to stderr; of several processes only the first one writes."""

import json
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..io.launcher import launched_processes
from .streams import CONTROL, visible

if TYPE_CHECKING:
    from rich.console import Console


LINE_OR_CONTROL = re.compile(r"\n|" + CONTROL.pattern)


def is_main_process() -> bool:
    """Whether this is the main process, under torchrun and accelerate launch too."""
    return launched_processes()[0] == 0


def get_console(to_stderr: bool = False) -> "Console":
    """The rich console for tables and bars. Silent in all processes but the first."""
    from .console import make_console

    return make_console(sys.stderr if to_stderr else sys.stdout, quiet=not is_main_process())


def print_error(message: str) -> None:
    """Write one sentence to stderr, after the program's name."""
    rank, _ = launched_processes()
    sender = "noisette" if rank == 0 else f"noisette, process {rank}"
    sys.stderr.write(f"{sender}: {visible(message, LINE_OR_CONTROL)}\n")


def print_json(value: Any) -> None:
    """Write one line of JSON to stdout."""
    if not is_main_process():
        return
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # the stream's encoding lacks a character, or a file's name is not text
        text = json.dumps(value)
    typer.echo(CONTROL.sub(lambda control: f"\\u{ord(control[0]):04x}", text))


def print_paths(paths: Iterable[Path]) -> None:
    """Write the absolute paths of the files that a command wrote, one per line, never wrapped."""
    if is_main_process():
        typer.echo("wrote")
        for path in paths:
            typer.echo(f"  {path.resolve()}")


class ProgressLines:
    """What a command is doing, on stderr: one line that changes on a terminal; a line for each part elsewhere."""

    def __enter__(self) -> Callable[[str], None]:
        self.console = get_console(to_stderr=True)
        self.status = self.console.status("")
        if not self.console.is_terminal:
            return self._print
        self.status.start()
        return self.status.update

    def __exit__(self, *error: object) -> None:
        self.status.stop()

    def _print(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)


class ProgressBar:
    """A progress bar on a terminal, removed at the end; nothing elsewhere."""

    def __init__(self, description: str) -> None:
        self.description = description

    def __enter__(self) -> "ProgressBar":
        from rich.progress import Progress

        screen = get_console(to_stderr=True)
        self.progress = Progress(console=screen, transient=True, disable=not screen.is_terminal)
        self.progress.start()
        self.task = self.progress.add_task(self.description, total=None)
        return self

    def __call__(self, description: str, done: int, total: int) -> None:
        self.progress.update(self.task, description=description, completed=done, total=total)

    def __exit__(self, *_: object) -> None:
        self.progress.stop()
