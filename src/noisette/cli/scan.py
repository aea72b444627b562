"""noisette scan: what is in a source, before anything is trained on it."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from .terminal import Bar, console, machine
from .units import size

if TYPE_CHECKING:
    from ..data import Scan

SHOWN = 12  # of a list that may be long


def scan(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder, zip, array or sprite sheet, or a built-in set: emoji, digits.", show_default=False
        ),
    ],
    cell: Annotated[str | None, typer.Option(help="The size of a sprite sheet's cells: 16, or 32x24.")] = None,
    labels: Annotated[str | None, typer.Option(help="The array of labels that belongs to an .npy array.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Read every picture and say what is there: sizes, alpha, colours, labels, copies, and what cannot be used.

    Nothing is written.
    """
    cells = None if cell is None else size(cell)
    from ..data.scan import scan as scan_

    with Bar("reading") as bar:
        found = scan_(source, labels=labels, cell=cells, progress=lambda done, total: bar("reading", done, total))
    if as_json:
        machine(found.to_json())
        return
    show(found)


def show(found: "Scan") -> None:
    """A report for people."""
    from rich.markup import escape
    from rich.table import Table

    out = console()
    out.print(f"[bold]{escape(found.source)}[/bold], {found.kind}")
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in findings(found):
        table.add_row(name, escape(value))
    out.print(table)
    if found.labels:
        out.print(label_table(found))
    if found.quarantined:
        out.print("\n[bold]left out[/bold]")
        for bad in found.quarantined[:SHOWN]:
            out.print(f"  {bad.name} {bad.reason}", markup=False, soft_wrap=True)
        if (more := len(found.quarantined) - SHOWN) > 0:
            out.print(f"  and {more} more: --json lists them all")
    out.print(f"\n[bold]training would use[/bold] {escape(proposal(found))}")


def findings(found: "Scan") -> Iterator[tuple[str, str]]:
    """What is worth a line, in plain words."""
    pictures, copies = found.pictures, len(found.pictures) - len(found.distinct)
    also = [f"{copies} exact copies of others, trained on once"] if copies else []
    also += [f"{len(found.quarantined)} left out"] if found.quarantined else []
    yield "pictures", "; ".join([f"{len(found.distinct)} that differ", *also])
    yield "sizes", some(found.count(lambda p: f"{p.width}×{p.height}"))
    yield "stored as", some(found.count(lambda p: f"{p.format} {p.stored}, {p.bits} bit"))
    yield "alpha", some(found.count(lambda p: {"none": "opaque"}.get(p.alpha, str(p.alpha))))
    if grey := sum(p.grey for p in pictures):
        yield "grey", f"{grey} of {len(pictures)}"
    palettes = found.to_json()["colours_of_each"]
    each = f"; in each picture: {some(palettes)}" if isinstance(palettes, dict) else ""
    yield "colours", ("too many to count" if found.colours is None else f"{found.colours} in all") + each
    for name, names in (
        ("animated", [p.name for p in pictures if p.animated]),
        ("hidden colours", [p.name for p in pictures if p.hidden]),
    ):
        if names:
            what = "only the first frame is used" if name == "animated" else "under alpha 0, never shown to the model"
            yield name, f"{len(names)} ({what}): {listed(names, 3)}"
    if near := found.near:
        yield (
            "near duplicates",
            f"{len(near)} groups, kept together when pictures are held out; the largest: {listed(near[0], 4)}",
        )
    if found.mirror is not None:
        yield (
            "mirrored",
            "looks as good in a mirror: --flip makes more of it"
            if found.flips
            else "has a left and a right: --flip would do harm",
        )
    if texts := sum(p.text is not None for p in pictures):
        yield "texts", f"{texts} of {len(pictures)}"
    if attributes := sorted({a for p in pictures for a in p.attributes}):
        yield "attributes", listed(attributes, SHOWN)
    for note in found.notes:
        yield "note", note


def label_table(found: "Scan") -> object:
    """Labels with their counts, as bars."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(show_header=False, box=None, pad_edge=False, title="labels", title_justify="left", title_style="bold")
    most = max(found.labels.values())
    for label, number in list(found.labels.items())[: 4 * SHOWN]:
        table.add_row(f"  {escape(label)}", str(number), "[cyan]" + "━" * max(1, round(30 * number / most)) + "[/cyan]")
    if (more := len(found.labels) - 4 * SHOWN) > 0:
        table.add_row(f"  and {more} more")
    if unlabelled := sum(p.label is None for p in found.pictures):
        table.add_row("  (without)", str(unlabelled), "")
    return table


def proposal(found: "Scan") -> str:
    """Mode and size that `noisette train` takes unless it is told otherwise."""
    from ..data.prepare import default_size

    (height, width), why = default_size(found.distinct)
    held = max(1, round(0.1 * len(found.distinct)))
    return f"{found.mode} of {width}×{height} ({why}); --size says otherwise; about {held} pictures are held out"


def some(counts: dict[str, int]) -> str:
    """The most frequent values: 16×16 in 1800, 32×32 in 12, and 3 others in 5."""
    if len(counts) == 1:
        return f"{next(iter(counts))} in all"
    shown = list(counts.items())[:5]
    told = ", ".join(f"{value} in {number}" for value, number in shown)
    rest = list(counts.values())[5:]
    return told + (f", and {len(rest)} others in {sum(rest)}" if rest else "")


def listed(names: Sequence[str], most: int) -> str:
    """a, b, c and 4 more."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
