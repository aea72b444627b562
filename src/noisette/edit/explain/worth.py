"""Chapter: quality, diversity, speed: what `noisette steps` measured of this model."""

from collections.abc import Callable
from pathlib import Path

from ...config import from_json
from ...errors import InputError
from ...files import read_json
from ...viz.chart import COLOURS, DASHES, Axis, Line, chart, charts
from ...viz.page import paragraph
from ..steps import Measured, Report, recommended
from .subject import Subject

FILES = ("steps.json", "steps-quick.json")


def measurements(folder: Path, model: str) -> Report | None:
    """What was measured of the model with that hash, if it was."""
    for name in FILES:
        if not (path := folder / name).is_file():
            continue
        data = read_json(path)
        if not isinstance(data, dict):
            raise InputError(f"{path} holds no figures: move it away")
        found = from_json(Report, {k: v for k, v in data.items() if k not in ("recommended", "rule")}, str(path))
        if found.about.model == model and found.rows:
            return found
    return None


def chapter(subject: Subject) -> str:
    found = measurements(subject.path, subject.model.hash)
    if found is None:
        return paragraph("This has not been measured yet: `noisette steps MODEL` does, and then this page shows it.")
    return "\n".join(worth(found))


def worth(found: Report) -> tuple[str, str]:
    """What the figures say, in words and as charts."""
    best = recommended(found.rows)
    calls, low = Axis("evaluations of the network", log=True), min(row.kid.value for row in found.rows)
    floor = "" if found.floor is None else f" Training pictures themselves get {found.floor.value:.1f}."
    return (
        paragraph(
            "Good, varied, fast: one of the three has to give way. Every way of drawing was measured from the same "
            f"seeds against {found.about.held_out} held-out pictures; of this model's, {best.way.sampler} on the "
            f"{best.way.grid} grid in {best.way.steps} steps is the cheapest that cannot be told from the best: "
            f"{best.calls} evaluations, {1000 * best.seconds:.1f} ms a picture, KID {best.kid.value:.1f}."
        ),
        charts(
            chart(
                calls, Axis("KID × 10³: lower is nearer to real pictures", log=low > 0),
                _lines(found.rows, best, lambda row: row.kid.value),
                "Distance from real pictures over evaluations, for each sampler and grid",
            ),
            chart(
                calls, Axis("coverage: real pictures with a drawn one near", low=0, high=1),
                _lines(found.rows, best, lambda row: row.fidelity.coverage),
                "Coverage of real pictures over evaluations, for each sampler and grid",
            ),
            caption=f"{found.about.n} pictures each way; the thick point is the recommended way.{floor} KID: "
            "$E[k(x,x')] + E[k(y,y')] − 2E[k(x,y)]$ of a cubic kernel (Bińkowski et al. 2018); coverage: Naeem et al. "
            "2020; the trilemma: Xiao et al. 2022.",
        ),
    )  # fmt: skip


def _lines(rows: tuple[Measured, ...], best: Measured, value: Callable[[Measured], float]) -> list[Line]:
    samplers, grids = (list(dict.fromkeys(getattr(r.way, name) for r in rows)) for name in ("sampler", "grid"))
    lines = []
    for sampler, grid in dict.fromkeys((r.way.sampler, r.way.grid) for r in rows):
        own = sorted((r for r in rows if (r.way.sampler, r.way.grid) == (sampler, grid)), key=lambda r: r.calls)
        colour, dash = samplers.index(sampler) % COLOURS, grids.index(grid) % len(DASHES)
        lines.append(
            Line(f"{sampler}, {grid}", [r.calls for r in own], [value(r) for r in own], colour, dash, dots=True)
        )
    return [*lines, Line("recommended", [best.calls], [value(best)], COLOURS - 1, marked=True, dots=True)]
