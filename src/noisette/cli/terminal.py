"""What is said, to whom: results to stdout, complaints to stderr, and of many processes only the first one speaks."""

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console


def is_first() -> bool:
    """Whether this is the main process, under torchrun and accelerate launch too."""
    return os.environ.get("RANK", "0") == "0"


def console(to_stderr: bool = False) -> "Console":
    """Where tables and bars go. Silent in all processes but the first."""
    from rich.console import Console

    return Console(stderr=to_stderr, quiet=not is_first(), highlight=False)


def complain(sentence: str) -> None:
    """One sentence to stderr."""
    who = "noisette" if is_first() else f"noisette, process {os.environ['RANK']}"
    sys.stderr.write(f"{who}: {sentence}\n")


def machine(value: Any) -> None:
    """One line of JSON to stdout."""
    if is_first():
        typer.echo(json.dumps(value, ensure_ascii=False))


def wrote(paths: Iterable[Path]) -> None:
    """The absolute paths of what a command made, one a line and never folded."""
    if is_first():
        typer.echo("wrote")
        for path in paths:
            typer.echo(f"  {path.resolve()}")


class Bar:
    """What is being done, and how much of it is: on a terminal alone, and gone when it is done."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> "Bar":
        from rich.progress import Progress

        screen = console(to_stderr=True)
        self.shown = Progress(console=screen, transient=True, disable=not screen.is_terminal)
        self.shown.start()
        self.task = self.shown.add_task(self.what, total=None)
        return self

    def __call__(self, what: str, done: int, total: int) -> None:
        self.shown.update(self.task, description=what, completed=done, total=total)

    def __exit__(self, *_: object) -> None:
        self.shown.stop()
