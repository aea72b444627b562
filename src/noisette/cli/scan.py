"""noisette scan: report what a source holds, before training."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..errors import InputError
from .option_groups import OptionGroup, expand_option_groups
from .terminal import ProgressBar, get_console, print_json
from .units import parse_cell, parse_percentiles

if TYPE_CHECKING:
    from ..data import ScanResult

MAX_LISTED = 12  # maximum length of a printed list

FollowLinks = Annotated[
    bool, typer.Option("--follow-links", help="Follow links in SOURCE that lead out of it, and read those files.")
]
NearDuplicates = Annotated[
    float | None,
    typer.Option(
        help="Threshold of near duplicates: RMS difference of two 8×8 thumbnails, as a fraction of their standard "
        "deviation, 0 (only exact copies) to 1. Default: 0.15, or less if most pictures would form one group.",
        show_default=False,
    ),
]

Percentiles = Annotated[
    str | None,
    typer.Option(
        help="For gray pictures of 9 to 16 bits or floating-point numbers: percentiles of all samples that become "
        "black and white, like 0.1,99.9. Default: 0 and the highest 16-bit number.",
        show_default=False,
    ),
]


@dataclass(frozen=True)
class SheetOptions(OptionGroup):
    """How a sprite sheet is cut."""

    cell: Annotated[
        str | None,
        typer.Option(
            help="Size of the cells of a sprite sheet in pixels: 16, or 32x24 (width x height); auto: found by the "
            "empty rows and columns between them.",
            show_default=False,
        ),
    ] = None
    spacing: Annotated[
        int | None,
        typer.Option(
            help="Pixels between cells. Default: recognized if they are empty. With --cell auto: the smallest gap that "
            "separates pictures; 1.",
            show_default=False,
        ),
    ] = None
    margin: Annotated[
        int | None,
        typer.Option(help="Pixels around all cells. Default: recognized if they are empty.", show_default=False),
    ] = None

    @property
    def size(self) -> tuple[int, int] | Literal["auto"] | None:
        """The parsed --cell."""
        return None if self.cell is None else parse_cell(self.cell)


DEFAULT_SHEET_OPTIONS = SheetOptions()


@expand_option_groups
def scan(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder, zip, array, tar, Parquet file, sprite sheet, Aseprite file, atlas (.json) or tile set "
            "(.tsx), or a built-in set: emoji, icons, digits.",
            show_default=False,
        ),
    ],
    sheet: SheetOptions = DEFAULT_SHEET_OPTIONS,
    labels: Annotated[str | None, typer.Option(help="For an .npy array: the .npy file with its labels.")] = None,
    follow_links: FollowLinks = False,
    near_duplicates: NearDuplicates = None,
    percentiles: Percentiles = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON, with complete lists.")] = False,
) -> None:
    """Read every picture and report sizes, alpha, colors, labels, copies, and files that cannot be used.

    Nothing is written.
    """
    from ..data.scan import scan as scan_pictures
    from ..data.sprite_sheet import make_cells

    cells = make_cells(sheet.size, sheet.spacing, sheet.margin)

    with ProgressBar("reading") as bar:
        result = scan_pictures(
            source, labels=labels, cell=cells, follow_links=follow_links, near_duplicates=near_duplicates,
            percentiles=None if percentiles is None else parse_percentiles(percentiles),
            progress=lambda done, total: bar("reading", done, total),
        )  # fmt: skip
    if as_json:
        print_json(result.to_json() | plan_split(result))
        return
    print_scan(result)


def plan_split(result: "ScanResult") -> dict[str, object]:
    """What training does with these pictures by default, as JSON: the number held out and the base model that it starts
    from, or why it refuses the set."""
    from ..data.split import split_scan

    try:
        return {"held_out": sum(split_scan(result)[0]), "start_from": find_start(result), "refused": None}
    except InputError as error:
        return {"held_out": 0, "start_from": None, "refused": str(error)}


def print_scan(result: "ScanResult") -> None:
    """Print the report as tables."""
    from rich.markup import escape
    from rich.table import Table

    from ..data.split import split_scan

    out = get_console()
    out.print(f"[bold]{escape(result.source)}[/bold], {result.kind}")
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in describe_scan(result):
        table.add_row(name, escape(value))
    out.print(table)
    if result.labels:
        out.print(make_label_table(result))
    if result.quarantined:
        out.print("\n[bold]left out[/bold]")
        for bad in result.quarantined[:MAX_LISTED]:
            out.print(f"  {bad.name} {bad.reason}", markup=False, soft_wrap=True)
        if (more := len(result.quarantined) - MAX_LISTED) > 0:
            out.print(f"  and {more} more; --json lists all of them")
    try:
        is_held_out, split_notes = split_scan(result)
    except InputError as error:
        out.print(f"\n[bold]training refuses this set:[/bold] {escape(str(error))}")
        return
    held_out = sum(is_held_out)
    for note in [*split_notes, *note_few(result, len(is_held_out) - held_out)]:
        out.print(f"note: {note}", markup=False)
    out.print(f"\n[bold]by default training uses[/bold] {escape(describe_defaults(result, held_out))}")


def describe_scan(result: "ScanResult") -> Iterator[tuple[str, str]]:
    """The lines of the report: name and value."""
    yield from _describe_pictures(result)
    yield from _describe_colors(result)
    if near := result.near_duplicates:
        yield (
            "near duplicates",
            f"{len(near)} groups, each kept on one side of the split; the largest: {format_list(near[0], 4)}",
        )
    if result.mirror_share is not None:
        yield (
            "mirroring",
            "mirrored pictures fit the set: --flip can improve training"
            if result.is_flip_safe
            else "left and right differ in this set: do not use --flip",
        )
    if texts := result.with_text:
        yield "texts", f"{texts} of {len(result.pictures)}"
    attributes, attribute_notes = result.attributes
    if attributes:
        yield "attributes", format_list(attributes, MAX_LISTED)
    for note in (*result.notes, *attribute_notes):
        yield "note", note


def _describe_pictures(result: "ScanResult") -> Iterator[tuple[str, str]]:
    """Number, sizes, formats and animation."""
    counts = [f"{len(result.distinct)} distinct"]
    if copies := len(result.pictures) - len(result.distinct):
        counts.append(f"{copies} exact copies, not used for training")
    if result.quarantined:
        counts.append(f"{len(result.quarantined)} left out")
    yield "pictures", "; ".join(counts)
    yield "sizes", format_counts(result.count_by(lambda p: f"{p.width}×{p.height}"))
    yield "stored as", format_counts(result.count_by(lambda p: f"{p.format} {p.stored_mode}, {p.bits} bit"))
    if animated := result.animated:
        yield "animated", f"{len(animated)} (only the first frame is used): {format_list(animated, 3)}"


def _describe_colors(result: "ScanResult") -> Iterator[tuple[str, str]]:
    """Alpha, grayscale, and numbers of colors."""
    yield "alpha", format_counts(result.count_by(lambda p: {"none": "opaque"}.get(p.alpha, str(p.alpha))))
    if grayscale := result.grayscale:
        yield "grayscale", f"{grayscale} of {len(result.pictures)}"
    details = f"; per picture: {format_counts(result.colors_per_picture)}"
    yield "colors", ("too many to count" if result.colors is None else f"{result.colors} in all pictures") + details
    if hidden := result.hidden_colors:
        yield "hidden colors", f"{len(hidden)} (where alpha is 0; set to 0 for training): {format_list(hidden, 3)}"


def make_label_table(result: "ScanResult") -> object:
    """A table of labels with their counts and bars."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(show_header=False, box=None, pad_edge=False, title="labels", title_justify="left", title_style="bold")
    most = max(result.labels.values())
    for label, number in list(result.labels.items())[: 4 * MAX_LISTED]:
        table.add_row(f"  {escape(label)}", str(number), "[cyan]" + "━" * max(1, round(30 * number / most)) + "[/cyan]")
    if (more := len(result.labels) - 4 * MAX_LISTED) > 0:
        table.add_row(f"  and {more} more")
    if unlabeled := result.unlabeled:
        table.add_row("  (no label)", str(unlabeled), "")
    return table


def find_start(result: "ScanResult") -> str | None:
    """The base model that `noisette train` starts from by default; None: from scratch."""
    from ..data.prepare import default_size
    from ..models.shipped import find_base

    return find_base(*default_size(result.distinct)[0])


def note_few(result: "ScanResult", training: int) -> Iterator[str]:
    """If there are few pictures to train on: what then helps."""
    from ..data.scan_notes import FEW_PICTURES

    if training >= FEW_PICTURES:
        return
    start = find_start(result)
    yield f"{training} training pictures are few: " + (
        "start from a model of many pictures (--from), if there is one"
        if start is None
        else f"training starts from {start}, a model of many pictures (with --from none: from scratch)"
    )


def describe_defaults(result: "ScanResult", held_out: int) -> str:
    """The mode, size, number of held-out pictures and base model that `noisette train` uses by default."""
    from ..data.prepare import default_size

    (height, width), reason = default_size(result.distinct)
    count = f"{held_out} picture{'s' if held_out > 1 else ''}"
    start = find_start(result)
    return f"{result.mode} of {width}×{height} ({reason}; change it with --size) and holds out {count}" + (
        "" if start is None else f"; it starts from {start}"
    )


def format_counts(counts: dict[str, int]) -> str:
    """The most frequent values: 16×16 in 1800, 32×32 in 12, and 3 others in 5."""
    if len(counts) == 1:
        return f"{next(iter(counts))} in all"
    frequent, others = list(counts.items())[:5], list(counts.values())[5:]
    text = ", ".join(f"{value} in {number}" for value, number in frequent)
    return text + (f", and {len(others)} others in {sum(others)}" if others else "")


def format_list(names: Sequence[str], limit: int) -> str:
    """The first names: a, b, c and 4 more."""
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")
