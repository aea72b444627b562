"""What a notebook shows of the things that people hold: a model, pictures, a run, an evaluation, a schedule.

Each is a card with its own paper and ink, legible in a light notebook and in a dark one, and loads nothing.
"""

from collections.abc import Mapping
from functools import singledispatch
from html import escape
from pathlib import Path
from typing import Any

import torch

from ..model import PictureModel
from ..schedule import Schedule
from ..viz import chart, page
from ..viz import tiles as drawing
from ..viz.curves import loss_charts, schedule_charts
from ..viz.evaluation import HEADS, cells
from ..viz.gallery import Gallery
from ..viz.page import paragraph, table
from ..viz.strip import evenly, short
from ..viz.tiles import Cells, tiles
from .evaluate import Evaluation
from .explain.worth import worth
from .run import Run
from .steps import Report
from .verdict import verdict

SHOWN, STAGES, NOISES = 64, 8, 6  # pictures of a gallery, stages and noises of a run
COLUMNS = 8
STYLE = (
    (page.COLOURS + chart.STYLE + drawing.STYLE).replace(":root", ".noisette")
    + """
.noisette { background: var(--paper); color: var(--ink); font: 14px/1.5 system-ui, sans-serif; padding: .7rem 1rem;
  border-radius: .5rem; max-width: 64rem; overflow-x: auto; }
.noisette h4 { margin: 0 0 .4rem; font-size: 1rem; } .noisette figure { margin: .6rem 0; }
.noisette p { margin: .3rem 0; max-width: 46rem; } .noisette .faint, .noisette figcaption { color: var(--faint); }
.noisette .wide { overflow-x: auto; } .noisette table { color: var(--ink); }
.noisette table:not(.tiles) { border-collapse: collapse; }
.noisette table:not(.tiles) :is(th, td) { padding: .2rem .6rem; border-bottom: 1px solid var(--line);
  text-align: right; background: none; } .noisette tr { background: none; }
.noisette table.words :is(th, td) { text-align: left; } .noisette tr.mark { background: var(--mark); }
.noisette img.px { image-rendering: pixelated; max-width: none; }
.noisette img.clear { background: repeating-conic-gradient(#fff 0 25%, #e1e3e6 0 50%) 0 0 / 16px 16px; }
.noisette .maths { font-style: italic; font-family: Cambria, "STIX Two Text", "DejaVu Serif", serif; }
"""
)


@singledispatch
def html(value: object) -> str:
    """A value as a part of a page."""
    return f"<pre>{escape(repr(value))}</pre>"


def card(title: str, *parts: str) -> str:
    return f'<div class="noisette"><style>{STYLE}</style><h4>{escape(title)}</h4>{"".join(parts)}</div>'


def facts(told: Mapping[str, object]) -> str:
    """Names, and what they are."""
    lines = (
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(str(value))}</td></tr>' for name, value in told.items()
    )
    return f'<table class="words"><tbody>{"".join(lines)}</tbody></table>'


@html.register
def _(model: PictureModel) -> str:
    config, pictures = model.config, model.pictures
    process = f"{_called(config.schedule)}, {_called(config.parametrization)}"
    sampling, weights = config.sampling, sum(p.numel() for p in model.parameters())
    told: dict[str, object] = {
        "Pictures": f"{pictures.mode}, {pictures.width}×{pictures.height}",
        "Labels": ", ".join(pictures.labels) or "none",
        "Attributes": ", ".join(pictures.attributes) or "none",
        "Network": f"{type(config.net).__name__.removesuffix('Config')}, {weights:,} weights",
        "Process": process,
        "Draws by": f"{sampling.sampler} on the {sampling.grid} grid in {sampling.steps} steps"
        + (f", guidance {sampling.guidance:g}" if sampling.guidance != 1 else ""),
        "Hash": model.hash[:12],
    }
    name = model.folder.resolve() if model.folder is not None else None
    title = "A model" if name is None else (name.parent if name.name == "model" else name).name
    return card(title, facts(told))


@html.register
def _(gallery: Gallery) -> str:
    number, some = len(gallery), gallery[:SHOWN]
    columns = min(COLUMNS, len(some))
    rows = []
    for first in range(0, len(some), columns):
        part = some[first : first + columns]
        rows.append(Cells("", part.pixels))
        if part.names:
            rows.append(Cells("", part.names))
    shape = f"{gallery.pixels.shape[3]}×{gallery.pixels.shape[2]}"
    more = f", the first {SHOWN} of them" if number > SHOWN else ""
    return card(f"{number} picture{'s' * (number != 1)} of {shape}{more}", tiles(rows))


@html.register
def _(run: Run) -> str:
    plan, journal = run.plan, run.journal
    training, seen = plan.get("recipe", {}).get("training", {}), max((row["images"] for row in journal), default=0)
    told = {
        "Images seen": f"{seen:,}" + (", finished" if run.finished else ""),
        "Preset": plan.get("preset", "its own"),
        "Precision": plan.get("precision", "–"),
        "Batch": training.get("batch", "–"),
        "Seed": plan.get("seed", "–"),
    }
    return card(Path(run.path).resolve().name, facts(told), loss_charts(journal), _stages(run))


def _stages(run: Run) -> str:
    found = run.grown
    if not found.images:
        return ""
    picked, names = evenly(STAGES, len(found.images)), run.pictures.labels
    rows = [
        Cells(
            names[i % len(names)] if names else f"noise {i + 1}",
            torch.stack([found.pictures[stage][i] for stage in picked]),
        )
        for i in range(min(NOISES, len(found.pictures[0])))
    ]
    heads = [short(found.images[stage]) for stage in picked]
    return tiles(rows, heads, "What the same noises became; above, the images seen.", corner="")


@html.register
def _(evaluation: Evaluation) -> str:
    words = [paragraph(sentence) for sentence in verdict(evaluation)]
    return card("An evaluation", *words, table(HEADS, [cells(score) for score in evaluation.scores], 1))


@html.register
def _(report: Report) -> str:
    return card("Quality, variety, speed", *(worth(report) if report.rows else ["Nothing was measured yet."]))


@html.register
def _(schedule: Schedule) -> str:
    ratios = torch.tensor([0.05, 0.4, 1.5, 20.0], dtype=torch.float64)
    times = schedule.time(ratios).tolist()
    words = ", ".join(f"{ratio:g} at t = {t:.4f}" for ratio, t in zip(ratios.tolist(), times, strict=True))
    about = schedule_charts({type(schedule).__name__: schedule}, f"$x_t = α_t x_0 + σ_t ε$. Noise σ/α: {words}.")
    return card(_called(schedule), about)


def _called(value: Any) -> str:
    """Its repr, in short."""
    words = repr(value)
    return words if len(words) < 100 else f"{type(value).__name__}(…)"
