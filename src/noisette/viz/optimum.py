"""Errors of x̂0 by noise level: a model's, and those of a perfect memory of its training pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from .figure import plot

STYLES = {
    "training": ("model, training pictures", "#0072b2", "-"),
    "held_out": ("model, held-out pictures", "#d55e00", "-"),
    "finite_training": ("perfect memory, training pictures", "#0072b2", ":"),
    "finite_held_out": ("perfect memory, held-out pictures", "#d55e00", ":"),
    "apart": ("between model and memory, held-out", "#888888", "--"),
}


def optimum(path: Path, ratios: Sequence[float], errors: Mapping[str, Sequence[float]], title: str) -> None:
    """Draw the curves as a PNG, wholly or not at all. `errors` has a value for each ratio, by the names of STYLES."""
    figure = plot(8, 5)
    axes = figure.subplots()
    for name, (label, colour, dash) in STYLES.items():
        axes.plot(ratios, errors[name], color=colour, linestyle=dash, marker="o", ms=3.5, lw=1.6, label=label)
    axes.fill_between(ratios, errors["training"], errors["held_out"], color="#d55e00", alpha=0.1, lw=0)
    axes.set_xscale("log")
    axes.set_xlabel("noise level σ/α")
    axes.set_ylabel("root mean square error of x̂0, in model space")
    axes.set_ylim(bottom=0)
    axes.grid(visible=True, alpha=0.25, lw=0.6)
    axes.spines[["right", "top"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    axes.set_title(title, fontsize=11, loc="left")
    figure.write(path)
