"""noisette steps: how many steps does this model need, and of which sampler?"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .terminal import console, machine, wrote

if TYPE_CHECKING:
    from ..edit.steps import Bench, Measured, Report, Way

N, FEW = 500, 100  # pictures a way


def steps(
    model: Annotated[Path, typer.Argument(help="A run folder, or a model folder.", show_default=False)],
    data: Annotated[
        str | None,
        typer.Option(
            help="Pictures to compare with that it was not trained on. Those that its run held out unless said."
        ),
    ] = None,
    n: Annotated[
        int | None, typer.Option("-n", "--number", help=f"How many pictures each way draws: {N} unless said.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the first picture; the next has the next.")] = 0,
    sampler: Annotated[list[str] | None, typer.Option(help="Only this one; may be given several times.")] = None,
    grid: Annotated[list[str] | None, typer.Option(help="Only this one; may be given several times.")] = None,
    number: Annotated[
        list[int] | None, typer.Option("--steps", help="Only this many; may be given several times.")
    ] = None,
    guidance: Annotated[float | None, typer.Option(help="The model's own unless said.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A first look: few ways, few pictures.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the model's default as it is.")] = False,
    out: Annotated[Path | None, typer.Option(help="The folder to write into. The model's unless said.")] = None,
    batch: Annotated[int | None, typer.Option(help="How many to draw at once: 16 on a CPU, else 256.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure quality against steps against seconds for this model, and make the best way its default.

    Every sampler, grid and number of steps draws from the same seeds and is compared with the same held-out pictures.
    Writes steps.json and steps.png (steps-quick.* with --quick). What is in steps.json already is not measured again:
    a measurement that was stopped goes on, and it may be made in parts.
    """
    from ..edit.held_out import held_out
    from ..edit.steps import QUICK, Bench, Contest, recommended
    from ..errors import InputError
    from ..files import read_json
    from ..metrics.features import EfficientNetLite
    from ..model import load
    from .sample import on_device, writable

    for name, value in (("-n", n), ("--batch", batch), ("--seed", seed + 1)):
        if value is not None and value < 1:
            raise InputError(f"{name} is {value}: give more")
    loaded, folder = on_device(load(model)), out or model
    if not model.is_dir() and (out is None or not keep):
        raise InputError(
            f"{model} is no folder of yours that figures and a default could be kept in: give --out, and --keep"
        )
    before = loaded.config.sampling
    plan = QUICK if quick else Contest()
    ways = Contest(
        tuple(sampler or plan.samplers), tuple(grid or plan.grids), tuple(number or plan.steps), plan.reference
    ).ways(loaded)
    real = held_out(loaded.pictures, model, data)
    extractor = EfficientNetLite()
    writable(folder)
    bench = Bench(
        loaded, real, extractor, n=n or (FEW if quick else N), seed=seed, guidance=guidance,
        batch=batch or (16 if next(loaded.parameters()).device.type == "cpu" else 256),
    )  # fmt: skip
    path = folder / ("steps-quick.json" if quick else "steps.json")
    report = _with_bar(bench, ways, path)
    best = recommended(report.rows)
    if not keep:
        grids = {len(times): times for times in (*before.fitted, *report.fitted)}  # those that it had, too
        fitted = tuple(grids[length] for length in sorted(grids))
        loaded.keep_sampling(model, replace(report.sampling, fitted=fitted))
    paths = [path, *_plot(report, best, path.with_suffix(".png"))]
    if as_json:
        machine(read_json(path))
    else:
        _table(report, best)
        _say(report, best, keep)
        wrote(paths)


def _with_bar(bench: "Bench", ways: "list[Way]", path: Path) -> "Report":
    """Measure, and show how far it is."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from ..edit.steps import Report, compared

    there = Report.read(path, bench.about)
    batches = -(-len(bench.seeds) // bench.batch)
    total = sum(way.steps * batches for way in ways if there.of(way) is None)
    screen = console(to_stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("drawing and measuring", total=total)
        for report in compared(bench, ways, path, lambda: bar.advance(task)):
            there = report
    return there


def _table(report: "Report", best: "Measured") -> None:
    """All that was measured, the cheapest first; ms a picture."""
    from rich.table import Table

    about = report.about
    table = Table(
        title=f"{about.n} pictures each, against {about.held_out} that were held out", title_justify="left",
        title_style="bold", box=None, pad_edge=False, padding=(0, 1),
    )  # fmt: skip
    for head in ("sampler", "grid"):
        table.add_column(head, no_wrap=True)
    for head in ("steps", "calls", "KID × 10³", "95 %", "recall", "coverage", "ms"):
        table.add_column(head, justify="right", no_wrap=True)
    for row in sorted(report.rows, key=lambda row: (row.calls, row.kid.value)):
        way, kid = row.way, row.kid
        table.add_row(
            way.sampler, way.grid, str(way.steps), str(row.calls),
            f"{kid.value:.1f}", f"{kid.low:.1f} … {kid.high:.1f}",
            f"{row.fidelity.recall:.2f}", f"{row.fidelity.coverage:.2f}", f"{1000 * row.seconds:.1f}",
            style="bold green" if row is best else None,
        )  # fmt: skip
    console().print(table)


def _say(report: "Report", best: "Measured", keep: bool) -> None:
    """The recommendation, in words."""
    from ..edit.steps import RULE

    lines = [
        f"\nrecommended: --sampler {best.way.sampler} --grid {best.way.grid} --steps {best.way.steps}",
        f"the rule: {RULE}",
    ]
    if report.floor is not None:
        lines.append(f"as many training pictures get a KID × 10³ of {report.floor:.1f}")
    if (whole := next((row for row in report.rows if row.way.steps == 100), None)) is not None:
        lines.append(f"100 steps of {whole.way.sampler} get {whole.kid:.1f}")
    lines.append("the model's default is as it was" if keep else "it is the model's default now")
    for line in lines:
        typer.echo(line)


def _plot(report: "Report", best: "Measured", path: Path) -> list[Path]:
    """The sheet of the trilemma; none, and a word, where there is nothing to draw it with."""
    from ..errors import InputError
    from .terminal import complain

    try:
        report.plot().write(path)
    except InputError as error:
        complain(str(error))
        return []
    return [path]
