"""How notebooks display models, galleries, runs, evaluations, step reports and schedules.

Each is an HTML card with its own colors, legible in light and dark notebooks, without external resources. The
function `render_html` is registered with `noisette.display`.
"""

from collections.abc import Mapping
from functools import singledispatch
from html import escape
from pathlib import Path
from typing import Any

import torch

from ..diffusion.schedule import Schedule
from ..evaluation.evaluate import Evaluation
from ..evaluation.steps import StepsReport
from ..evaluation.verdict import summarize
from ..models.picture_model import PictureModel
from ..sampling.gallery import Gallery
from .explain.tradeoff import render_tradeoff
from .run import Run
from .viz import chart, page, tiles
from .viz.chart import loss_charts, schedule_charts
from .viz.evaluation import TABLE_HEADERS, score_cells
from .viz.page import paragraph, table
from .viz.strip import evenly_spaced, format_short
from .viz.tiles import TileRow, render_tiles

MAX_PICTURES, MAX_STAGES, MAX_NOISES = 64, 8, 6  # pictures of a gallery; sample sheets and noises of a run
MAX_COLUMNS = 8
STYLE = (
    (page.COLOR_STYLE + chart.STYLE + tiles.STYLE).replace(":root", ".noisette")
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
def render_html(value: object) -> str:
    """A value as HTML; for types without a view, its escaped repr."""
    return f"<pre>{escape(repr(value))}</pre>"


def render_card(title: str, *parts: str) -> str:
    """A card with a title; `parts` are HTML."""
    return f'<div class="noisette"><style>{STYLE}</style><h4>{escape(title)}</h4>{"".join(parts)}</div>'


def render_facts(items: Mapping[str, object]) -> str:
    """A table of names and values."""
    lines = (
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(str(value))}</td></tr>' for name, value in items.items()
    )
    return f'<table class="words"><tbody>{"".join(lines)}</tbody></table>'


@render_html.register
def _(model: PictureModel) -> str:
    config, pictures = model.config, model.pictures
    process = f"{_short_repr(config.schedule)}, {_short_repr(config.parametrization)}"
    sampling, weights = config.sampling, sum(p.numel() for p in model.parameters())
    facts: dict[str, object] = {
        "Pictures": f"{pictures.mode}, {pictures.width}×{pictures.height}",
        "Labels": ", ".join(pictures.labels) or "none",
        "Attributes": ", ".join(pictures.attributes) or "none",
        "Network": f"{type(config.net).__name__.removesuffix('Config')}, {weights:,} weights",
        "Process": process,
        "Sampler": f"{sampling.sampler} on the {sampling.grid} grid in {sampling.steps} steps"
        + (f", guidance {sampling.guidance:g}" if sampling.guidance != 1 else ""),
        "Hash": model.hash[:12],
    }
    name = model.folder.resolve() if model.folder is not None else None
    title = "Model" if name is None else (name.parent if name.name == "model" else name).name
    return render_card(title, render_facts(facts))


@render_html.register
def _(gallery: Gallery) -> str:
    number, shown = len(gallery), gallery[:MAX_PICTURES]
    columns = min(MAX_COLUMNS, len(shown))
    rows = []
    for first in range(0, len(shown), columns):
        part = shown[first : first + columns]
        rows.append(TileRow("", part.pixels))
        if part.names:
            rows.append(TileRow("", part.names))
    shape = f"{gallery.pixels.shape[3]}×{gallery.pixels.shape[2]}"
    more = f", the first {MAX_PICTURES}" if number > MAX_PICTURES else ""
    return render_card(f"{number} picture{'s' * (number != 1)} of {shape}{more}", render_tiles(rows))


@render_html.register
def _(run: Run) -> str:
    plan, metrics = run.plan, run.metrics
    training, seen = plan.get("recipe", {}).get("training", {}), max((row["images"] for row in metrics), default=0)
    facts = {
        "Images seen": f"{seen:,}" + (", finished" if run.is_finished else ""),
        "Preset": plan.get("preset", "custom"),
        "Precision": plan.get("precision", "–"),
        "Batch": training.get("batch", "–"),
        "Seed": plan.get("seed", "–"),
    }
    return render_card(Path(run.path).resolve().name, render_facts(facts), loss_charts(metrics), _render_history(run))


def _render_history(run: Run) -> str:
    history = run.sample_history
    if not history.images_seen:
        return ""
    picked, names = evenly_spaced(MAX_STAGES, len(history.images_seen)), run.pictures.labels
    rows = [
        TileRow(
            names[i % len(names)] if names else f"noise {i + 1}",
            torch.stack([history.pictures[stage][i] for stage in picked]),
        )
        for i in range(min(MAX_NOISES, len(history.pictures[0])))
    ]
    headers = [format_short(history.images_seen[stage]) for stage in picked]
    return render_tiles(rows, headers, "Samples of the same noises during training; above, the images seen.", corner="")


@render_html.register
def _(evaluation: Evaluation) -> str:
    sentences = [paragraph(sentence) for sentence in summarize(evaluation)]
    return render_card(
        "Evaluation", *sentences, table(TABLE_HEADERS, [score_cells(score) for score in evaluation.scores], 1)
    )


@render_html.register
def _(report: StepsReport) -> str:
    return render_card(
        "Quality, diversity and speed",
        *(render_tradeoff(report) if report.rows else ["Nothing has been measured yet."]),
    )


@render_html.register
def _(schedule: Schedule) -> str:
    ratios = torch.tensor([0.05, 0.4, 1.5, 20.0], dtype=torch.float64)
    times = schedule.time_at_ratio(ratios).tolist()
    levels = ", ".join(f"{ratio:g} at t = {t:.4f}" for ratio, t in zip(ratios.tolist(), times, strict=True))
    charts = schedule_charts({type(schedule).__name__: schedule}, f"$x_t = α_t x_0 + σ_t ε$. Noise σ/α: {levels}.")
    return render_card(_short_repr(schedule), charts)


def _short_repr(value: Any) -> str:
    """The repr of a value; if it has 100 characters or more, only the class name."""
    text = repr(value)
    return text if len(text) < 100 else f"{type(value).__name__}(…)"
