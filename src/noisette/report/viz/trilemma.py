"""A plot of quality, diversity and speed of sampler settings.

Two panels over the number of network evaluations per picture: KID, and coverage. The upper axis shows the same in
milliseconds on this machine.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...evaluation.steps import StepsReport, recommend
from .figure import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .figure import Plot

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c564b", "#000000")  # Okabe & Ito's
DASHES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D")
LOG_SCALE_RATIO = 4.0  # if the largest KID is more than so many times the smallest, the axis is logarithmic


@dataclass(frozen=True)
class TrilemmaPoint:
    """The measurements of one sampler setting."""

    sampler: str
    grid: str
    calls: int  # network evaluations per picture
    seconds: float  # per picture
    kid: tuple[float, float, float]  # value, lower and upper bound; × 1000
    coverage: float


def plot_steps(report: StepsReport) -> "Plot":
    """The plot for a report of `noisette steps`: each setting at its best temperature, the recommended one circled."""
    recommended = recommend(report.rows)
    points = {
        row.setting: TrilemmaPoint(
            row.setting.sampler, row.setting.grid, row.calls, row.seconds,
            (row.kid.value, row.kid.low, row.kid.high), row.fidelity.coverage,
        )
        for row in dict.fromkeys((*report.best_rows, recommended))
    }  # fmt: skip
    title = f"Quality, diversity, speed: {report.settings.n} samples each, {report.settings.held_out} held-out pictures"
    floor = None if report.floor is None else report.floor.value
    return plot_trilemma(list(points.values()), points[recommended.setting], title, floor)


def plot_trilemma(
    points: Sequence[TrilemmaPoint], best: TrilemmaPoint, title: str, floor: float | None = None
) -> "Plot":
    """The plot for `points`. `best` is circled; `floor` is the KID of real pictures."""
    figure = new_figure(11, 5.2)
    from matplotlib.ticker import LogLocator, NullFormatter

    quality, diversity = figure.subplots(1, 2)
    samplers, grids = (list(dict.fromkeys(getattr(p, name) for p in points)) for name in ("sampler", "grid"))
    for sampler, grid in dict.fromkeys((p.sampler, p.grid) for p in points):
        line = sorted((p for p in points if (p.sampler, p.grid) == (sampler, grid)), key=lambda p: p.calls)
        style: dict[str, Any] = {
            "color": COLORS[samplers.index(sampler) % len(COLORS)],
            "linestyle": DASHES[grids.index(grid) % len(DASHES)],
            "marker": MARKERS[grids.index(grid) % len(MARKERS)],
            "label": f"{sampler}, {grid}",
        }
        _plot_line(quality, diversity, line, style)
    _style_axes(quality, "KID × 10³ (lower is better)", points)
    _style_axes(diversity, "coverage (higher is better)", points)
    values = [p.kid[0] for p in points]
    if min(values) > 0 and max(values) > LOG_SCALE_RATIO * min(values):
        quality.set_yscale("log")
        quality.yaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0)))
        quality.yaxis.set_major_formatter("{x:g}")
        quality.yaxis.set_minor_formatter(NullFormatter())
        quality.set_ylim(bottom=0.7 * max(min(p.kid[1] for p in points), min(values) / 3))
    if floor is not None and (floor > 0 or quality.get_yscale() == "linear"):
        quality.axhline(floor, color="#888888", linewidth=1, zorder=0)
        quality.annotate("training pictures", (1, floor), (-4, 3), color="#666666", fontsize=8, ha="right",
                         xycoords=("axes fraction", "data"), textcoords="offset points")  # fmt: skip
    for axes, y in ((quality, best.kid[0]), (diversity, best.coverage)):
        axes.plot(best.calls, y, "o", ms=17, mfc="none", mec="#222222", mew=1.6, zorder=5)
    quality.annotate("recommended", (best.calls, best.kid[0]), (14, -26), textcoords="offset points", fontsize=9,
                     fontweight="bold", arrowprops={"arrowstyle": "-", "color": "#222222"})  # fmt: skip
    figure.suptitle(title, fontsize=11)
    figure.legend(*quality.get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=8)
    return figure


def _plot_line(quality: "Axes", diversity: "Axes", line: list[TrilemmaPoint], style: dict[str, Any]) -> None:
    """The same sampler and grid in both panels."""
    calls = [p.calls for p in line]
    quality.plot(calls, [p.kid[0] for p in line], ms=4.5, lw=1.5, **style)
    quality.vlines(calls, [p.kid[1] for p in line], [p.kid[2] for p in line], color=style["color"], lw=0.8, alpha=0.35)
    diversity.plot(calls, [p.coverage for p in line], ms=4.5, lw=1.5, **style)


def _style_axes(axes: "Axes", label: str, points: Sequence[TrilemmaPoint]) -> None:
    """Network evaluations below, milliseconds above; both logarithmic."""
    axes.set_xscale("log", base=2)
    ticks = _thin_ticks(sorted({p.calls for p in points}))
    axes.set_xticks(ticks, [str(t) for t in ticks])
    axes.minorticks_off()
    axes.set_xlabel("network evaluations per picture")
    axes.set_title(label, fontsize=10, loc="left", pad=26)
    axes.grid(visible=True, alpha=0.25, lw=0.6)
    axes.spines[["right", "top"]].set_visible(False)
    ms_per_call = statistics.median(p.seconds / p.calls for p in points) * 1000
    above = axes.secondary_xaxis(
        "top", functions=(lambda c: np.multiply(c, ms_per_call), lambda ms: np.divide(ms, ms_per_call))
    )
    above.set_xticks([t * ms_per_call for t in ticks], [f"{t * ms_per_call:.3g}" for t in ticks], fontsize=7)
    above.minorticks_off()
    above.tick_params(length=2, colors="#666666")
    above.set_xlabel("ms per picture", fontsize=7, color="#666666", labelpad=2)


def _thin_ticks(calls: list[int]) -> list[int]:
    """Tick values that are far enough apart to be legible on a log2 axis."""
    kept = calls[:1]
    for call in calls[1:]:
        if math.log2(call / kept[-1]) > 0.25:
            kept.append(call)
    return kept
