"""noisette doctor: the machine, and what state a run is in."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .terminal import console, machine

if TYPE_CHECKING:
    from .machine import Fact


def doctor(
    run: Annotated[Path | None, typer.Argument(help="A run folder.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what this machine can do and, given a run, what state it is in: in plain words, with what to do."""
    from .diagnosis import diagnosis
    from .machine import facts

    report = {"machine": facts(run or Path())} if run is None else {"run": diagnosis(run), "machine": facts(run)}
    if as_json:
        machine({part: [vars(fact) for fact in found] for part, found in report.items()})
        return
    for part, found in report.items():
        show(f"This {part}", found)


def show(title: str, found: "list[Fact]") -> None:
    """A table of facts, with advice under them."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", show_header=False, box=None, pad_edge=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for fact in found:
        advice = f"\n[yellow]→ {escape(fact.advice)}[/yellow]" if fact.advice else ""
        table.add_row(fact.name, escape(fact.value) + advice)
    console().print(table)
    console().print()
