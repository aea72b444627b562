"""noisette steps: measure which sampler, grid and number of steps suit a model."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .bounds import check_minimum
from .terminal import get_console, print_json, print_paths

if TYPE_CHECKING:
    from ..evaluation.steps import Measurement, SamplerBenchmark, SamplerSetting, StepsReport

DEFAULT_SAMPLES, QUICK_SAMPLES = 500, 100  # samples per setting


def steps(
    model: Annotated[Path, typer.Argument(help="A run folder, or a model folder.", show_default=False)],
    data: Annotated[
        str | None,
        typer.Option(
            help="Pictures to compare with, which the model was not trained on; or a run folder. Default: the held-out "
            "pictures of MODEL's run."
        ),
    ] = None,
    n: Annotated[
        int | None,
        typer.Option(
            "-n", "--number", help=f"Samples per setting. Default: {DEFAULT_SAMPLES}; {QUICK_SAMPLES} with --quick."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the first sample; each further one adds 1.")] = 0,
    sampler: Annotated[list[str] | None, typer.Option(help="Measure only this sampler. Repeatable.")] = None,
    grid: Annotated[list[str] | None, typer.Option(help="Measure only this time grid. Repeatable.")] = None,
    number: Annotated[
        list[int] | None, typer.Option("--steps", help="Measure only this number of steps. Repeatable.")
    ] = None,
    temperature: Annotated[list[float] | None, typer.Option(help="Measure only this temperature. Repeatable.")] = None,
    guidance: Annotated[
        float | None,
        typer.Option(help="Guidance scale of all settings; stored with the recommended one. Default: the model's."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Measure fewer settings with fewer samples.")] = False,
    keep: Annotated[bool, typer.Option("--keep-default", help="Do not change the model's default.")] = False,
    out: Annotated[Path | None, typer.Option(help="Output folder. Default: MODEL.")] = None,
    batch: Annotated[int | None, typer.Option(help="Samples per batch. Default: 16 on a CPU, else 256.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure quality and time of sampler settings, and make the recommended one the model's default.

    A setting is a sampler, a time grid, a number of steps and a temperature. All use the same seeds and are compared
    with the same held-out pictures. Writes steps.json and steps.png (steps-quick.* with --quick). Settings that are in
    steps.json are not measured again, so an interrupted measurement continues, and it can be done in parts.
    """
    from ..errors import InputError
    from ..evaluation.held_out import load_held_out
    from ..evaluation.metrics.features import EfficientNetExtractor
    from ..evaluation.steps import QUICK_SEARCH, SamplerBenchmark, SearchSpace, recommend
    from ..io.json_files import read_json
    from ..models.picture_model import load
    from ..sampling.draw import to_accelerator
    from ..sampling.files import ensure_writable

    for name, value, least in (("-n", n, 2), ("--batch", batch, 1), ("--seed", seed, 0)):
        check_minimum(name, value, least)
    loaded, folder = to_accelerator(load(model)), out or model
    if not model.is_dir() and (out is None or not keep):
        raise InputError(
            f"{model} is not a folder on this machine that the report can be written to: give --out and --keep-default"
        )
    before = loaded.config.sampling
    space = QUICK_SEARCH if quick else SearchSpace()
    settings = SearchSpace(
        tuple(sampler or space.samplers), tuple(grid or space.grids), tuple(number or space.steps),
        tuple(temperature or space.temperatures), space.reference,
    ).list_settings(loaded)  # fmt: skip
    real = load_held_out(loaded.pictures, model, data)
    extractor = EfficientNetExtractor()
    ensure_writable(folder)
    bench = SamplerBenchmark(
        loaded, real, extractor, n=n or (QUICK_SAMPLES if quick else DEFAULT_SAMPLES), seed=seed, guidance=guidance,
        batch=batch or (16 if next(loaded.parameters()).device.type == "cpu" else 256),
    )  # fmt: skip
    path = folder / ("steps-quick.json" if quick else "steps.json")
    report = _measure_with_progress(bench, settings, path)
    best = recommend(report.rows)
    if not keep:
        grids = {len(times): times for times in (*before.fitted, *report.fitted)}  # former ones are kept
        fitted = tuple(grids[length] for length in sorted(grids))
        loaded.save_sampling(model, replace(report.recommended_sampling, fitted=fitted))
    paths = [path, *_write_plot(report, best, path.with_suffix(".png"))]
    if as_json:
        print_json(read_json(path))
    else:
        _print_table(report, best)
        _print_recommendation(report, best, keep)
        print_paths(paths)


def _measure_with_progress(bench: "SamplerBenchmark", settings: "list[SamplerSetting]", path: Path) -> "StepsReport":
    """Measure all settings, with a progress bar."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from ..evaluation.steps import StepsReport, compare_settings

    done = StepsReport.read(path, bench.settings)
    batches = -(-len(bench.seeds) // bench.batch)
    total = sum(setting.steps * batches for setting in settings if done.find(setting) is None)
    screen = get_console(to_stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("sampling and measuring", total=total)
        for report in compare_settings(bench, settings, path, lambda: bar.advance(task)):
            done = report
    return done


def _print_table(report: "StepsReport", best: "Measurement") -> None:
    """A row per setting, the cheapest first."""
    from rich.table import Table

    shared = report.settings
    table = Table(
        title=f"{shared.n} samples per setting, against {shared.held_out} held-out pictures", title_justify="left",
        title_style="bold", box=None, pad_edge=False, padding=(0, 1),
    )  # fmt: skip
    for head in ("sampler", "grid"):
        table.add_column(head, no_wrap=True)
    for head in ("steps", "temp.", "calls", "KID × 10³", "95 %", "recall", "coverage", "ms"):
        table.add_column(head, justify="right", no_wrap=True)
    for row in sorted(report.rows, key=lambda row: (row.calls, row.kid.value)):
        setting, kid = row.setting, row.kid
        table.add_row(
            setting.sampler, setting.grid, str(setting.steps), f"{temperature_of(setting, report):g}", str(row.calls),
            f"{kid.value:.1f}", f"{kid.low:.1f} … {kid.high:.1f}",
            f"{row.fidelity.recall:.2f}", f"{row.fidelity.coverage:.2f}", f"{1000 * row.seconds:.1f}",
            style="bold green" if row is best else None,
        )  # fmt: skip
    get_console().print(table)


def temperature_of(setting: "SamplerSetting", report: "StepsReport") -> float:
    """The temperature of a setting; that of the model where it has none of its own."""
    return report.settings.temperature if setting.temperature is None else setting.temperature


def _print_recommendation(report: "StepsReport", best: "Measurement", keep_default: bool) -> None:
    """The recommendation, in words."""
    from ..evaluation.steps import RECOMMENDATION_RULE

    lines = [
        f"\nrecommended: --sampler {best.setting.sampler} --grid {best.setting.grid} --steps {best.setting.steps} "
        f"--temperature {temperature_of(best.setting, report):g}",
        f"rule: {RECOMMENDATION_RULE}",
    ]
    if report.floor is not None:
        lines.append(f"KID × 10³ of as many training pictures: {report.floor:.1f}")
    if (reference := next((row for row in report.rows if row.setting.steps == 100), None)) is not None:
        lines.append(f"KID × 10³ of 100 steps of {reference.setting.sampler}: {reference.kid:.1f}")
    lines.append(
        "the model's default settings are unchanged" if keep_default else "these are now the model's default settings"
    )
    for line in lines:
        typer.echo(line)


def _write_plot(report: "StepsReport", best: "Measurement", path: Path) -> list[Path]:
    """Write the plot; without matplotlib, print how to install it."""
    from ..errors import InputError
    from ..report.viz.trilemma import plot_steps
    from .terminal import print_error

    try:
        plot_steps(report).write(path)
    except InputError as error:
        print_error(str(error))
        return []
    return [path]
