"""Quality, diversity and speed of many ways of drawing, on one sheet: there is always one that has to give way.

Two panels over one axis, the evaluations of the network that a picture takes: how far the pictures are from real ones,
and how many of the real ones have a drawn one near them. The axis above them says what that is in milliseconds here.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .figure import plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .figure import Plot

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c564b", "#000000")  # Okabe & Ito's
DASHES = ("-", "--", ":", "-.")
MARKS = ("o", "s", "^", "D")
SPLIT = 4.0  # a scale becomes logarithmic where the largest value is that many times the smallest


@dataclass(frozen=True)
class Point:
    """One way of drawing."""

    sampler: str
    grid: str
    calls: int
    seconds: float  # a picture
    kid: tuple[float, float, float]  # value, low, high; × 1000
    coverage: float


def trilemma(points: Sequence[Point], best: Point, title: str, floor: float | None = None) -> "Plot":
    """The sheet. `best` is ringed; `floor` is what real pictures get."""
    figure = plot(11, 5.2)
    from matplotlib.ticker import LogLocator, NullFormatter

    quality, diversity = figure.subplots(1, 2)
    samplers, grids = (list(dict.fromkeys(getattr(p, name) for p in points)) for name in ("sampler", "grid"))
    for sampler, grid in dict.fromkeys((p.sampler, p.grid) for p in points):
        line = sorted((p for p in points if (p.sampler, p.grid) == (sampler, grid)), key=lambda p: p.calls)
        style: dict[str, Any] = {
            "color": COLOURS[samplers.index(sampler) % len(COLOURS)],
            "linestyle": DASHES[grids.index(grid) % len(DASHES)],
            "marker": MARKS[grids.index(grid) % len(MARKS)],
            "label": f"{sampler}, {grid}",
        }
        _panels(quality, diversity, line, style)
    _axes(quality, "KID × 10³: lower is nearer to real pictures", points)
    _axes(diversity, "coverage: real pictures that have a drawn one near", points)
    values = [p.kid[0] for p in points]
    if min(values) > 0 and max(values) > SPLIT * min(values):
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


def _panels(quality: "Axes", diversity: "Axes", line: list[Point], style: dict[str, Any]) -> None:
    """One line in both."""
    calls = [p.calls for p in line]
    quality.plot(calls, [p.kid[0] for p in line], ms=4.5, lw=1.5, **style)
    quality.vlines(calls, [p.kid[1] for p in line], [p.kid[2] for p in line], color=style["color"], lw=0.8, alpha=0.35)
    diversity.plot(calls, [p.coverage for p in line], ms=4.5, lw=1.5, **style)


def _axes(axes: "Axes", label: str, points: Sequence[Point]) -> None:
    """Evaluations below, milliseconds above, both logarithmic."""
    axes.set_xscale("log", base=2)
    ticks = _ticks(sorted({p.calls for p in points}))
    axes.set_xticks(ticks, [str(t) for t in ticks])
    axes.minorticks_off()
    axes.set_xlabel("evaluations of the network for a picture")
    axes.set_title(label, fontsize=10, loc="left", pad=26)
    axes.grid(visible=True, alpha=0.25, lw=0.6)
    axes.spines[["right", "top"]].set_visible(False)
    each = statistics.median(p.seconds / p.calls for p in points) * 1000
    above = axes.secondary_xaxis("top", functions=(lambda c: np.multiply(c, each), lambda ms: np.divide(ms, each)))
    above.set_xticks([t * each for t in ticks], [f"{t * each:.3g}" for t in ticks], fontsize=7)
    above.minorticks_off()
    above.tick_params(length=2, colors="#666666")
    above.set_xlabel("ms a picture", fontsize=7, color="#666666", labelpad=2)


def _ticks(calls: list[int]) -> list[int]:
    """As many of them as can be read."""
    kept = calls[:1]
    for call in calls[1:]:
        if math.log2(call / kept[-1]) > 0.25:
            kept.append(call)
    return kept
