"""Chapter: quality, diversity and speed of sampler settings, as measured by `noisette steps`."""

from collections.abc import Callable
from pathlib import Path

from ...evaluation.steps import Measurement, StepsReport, recommend
from ..viz.chart import DASHES, NUM_COLORS, Axis, Line, chart, charts
from ..viz.page import paragraph
from .subject import Subject

REPORT_FILES = ("steps.json", "steps-quick.json")


def load_report(folder: Path, model_hash: str) -> StepsReport | None:
    """The report of `noisette steps` in `folder` for the model with that hash; None if there is none."""
    for name in REPORT_FILES:
        if not (path := folder / name).is_file():
            continue
        report = StepsReport.parse(path)
        if report.settings.model == model_hash and report.rows:
            return report
    return None


def render_chapter(subject: Subject) -> str:
    """The chapter as HTML."""
    report = load_report(subject.path, subject.model.hash)
    if report is None:
        return paragraph("This has not been measured yet. Run `noisette steps MODEL`, then create this page again.")
    return "\n".join(render_tradeoff(report))


def render_tradeoff(report: StepsReport) -> tuple[str, str]:
    """The recommended setting as a paragraph, and the measurements as charts; HTML both."""
    best = recommend(report.rows)
    calls, low = Axis("network evaluations", is_log=True), min(row.kid.value for row in report.rows)
    floor = "" if report.floor is None else f" KID of real training pictures: {report.floor.value:.1f}."
    return (
        paragraph(
            "Quality, diversity and speed cannot all be best at the same time. Each setting was measured with the "
            f"same seeds, against {report.settings.held_out} held-out pictures. The recommended setting is the "
            f"fastest one that is not measurably worse than the best: {best.setting.sampler} on the "
            f"{best.setting.grid} grid in {best.setting.steps} steps. It takes {best.calls} network evaluations and "
            f"{1000 * best.seconds:.1f} ms per picture, and has KID {best.kid.value:.1f}. KID is a distance between "
            "samples and real pictures."
        ),
        charts(
            chart(
                calls, Axis("KID × 10³ (lower is better)", is_log=low > 0),
                _lines(report.best_rows, best, lambda row: row.kid.value),
                "KID over network evaluations, for each sampler and grid",
            ),
            chart(
                calls, Axis("coverage (higher is better)", low=0, high=1),
                _lines(report.best_rows, best, lambda row: row.fidelity.coverage),
                "Coverage over network evaluations, for each sampler and grid",
            ),
            caption=f"{report.settings.n} samples per setting; the large dot is the recommended setting.{floor} KID: "
            "$E[k(x,x')] + E[k(y,y')] − 2E[k(x,y)]$, the kernel inception distance; x are feature vectors of "
            "samples, y of held-out pictures, and k is a cubic kernel (Bińkowski et al. 2018). Coverage: the share "
            "of held-out pictures that have a sample among their nearest neighbors (Naeem et al. 2020). Trade-off "
            "between the three: Xiao et al. 2022.",
        ),
    )  # fmt: skip


def _lines(rows: tuple[Measurement, ...], best: Measurement, value: Callable[[Measurement], float]) -> list[Line]:
    samplers, grids = (list(dict.fromkeys(getattr(r.setting, name) for r in rows)) for name in ("sampler", "grid"))
    lines = []
    for sampler, grid in dict.fromkeys((r.setting.sampler, r.setting.grid) for r in rows):
        points = sorted(
            (r for r in rows if (r.setting.sampler, r.setting.grid) == (sampler, grid)), key=lambda r: r.calls
        )
        color, dash = samplers.index(sampler) % NUM_COLORS, grids.index(grid) % len(DASHES)
        lines.append(
            Line(
                f"{sampler}, {grid}",
                [r.calls for r in points],
                [value(r) for r in points],
                color,
                dash,
                has_markers=True,
            )
        )
    return [*lines, Line("recommended", [best.calls], [value(best)], NUM_COLORS - 1, is_bold=True, has_markers=True)]
