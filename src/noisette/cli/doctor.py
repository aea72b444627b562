"""noisette doctor: facts about this machine, and the state and problems of a run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .terminal import get_console, print_json

if TYPE_CHECKING:
    from .system_info import Fact


def doctor(
    run: Annotated[Path | None, typer.Argument(help="A run folder.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Report what this machine can do and, given a run, also its state, its problems and what to do about them."""
    from .diagnosis import diagnose_run
    from .system_info import collect_facts

    report = (
        {"machine": collect_facts(run or Path())}
        if run is None
        else {"run": diagnose_run(run), "machine": collect_facts(run)}
    )
    if as_json:
        print_json({part: [vars(fact) for fact in facts] for part, facts in report.items()})
        return
    for part, facts in report.items():
        print_facts(f"This {part}", facts)


def print_facts(title: str, facts: "list[Fact]") -> None:
    """Print a table of facts, each with its advice below it."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", show_header=False, box=None, pad_edge=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for fact in facts:
        advice = f"\n[yellow]→ {escape(fact.advice)}[/yellow]" if fact.advice else ""
        table.add_row(fact.name, escape(fact.value) + advice)
    get_console().print(table)
    get_console().print()
