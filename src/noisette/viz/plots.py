"""Plots for notebooks and papers, by matplotlib (`pip install 'noisette[plots]'`). Each returns a figure, which a
notebook shows and `figure.savefig("plot.pdf")` keeps; its axes can still be changed.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from ..schedule import Schedule
from ..shapes import Bytes, Grid
from .curves import curves
from .figure import plot
from .grid import enlarged, sheet, shown
from .png import to_image
from .trilemma import COLOURS, DASHES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .figure import Plot

INCH = 0.55  # that a small picture takes


def schedules(*shown: Schedule) -> "Plot":
    """Signal left, ᾱ, and ln SNR over time, for each schedule."""
    figure = plot(9, 3.6)
    signal, snr = figure.subplots(1, 2)
    for i, schedule in enumerate(shown):
        t, alpha_bar, log_snr = (c.numpy() for c in curves(schedule))
        style: dict[str, Any] = {"color": COLOURS[i % len(COLOURS)], "linestyle": DASHES[i // len(COLOURS) % 4]}
        signal.plot(t, alpha_bar, label=type(schedule).__name__, **style)
        snr.plot(t, log_snr, **style)
    _named(signal, "t", "signal left, ᾱ")
    _named(snr, "t", "ln SNR")
    snr.set_ylim(-14, 14)
    figure.legend(loc="outside right center", frameon=False, fontsize=8)
    return figure


def grids(schedule: Schedule, times: Mapping[str, Grid]) -> "Plot":
    """Which noise levels each grid of times visits: one row a grid, by its name."""
    figure = plot(9, 0.7 + 0.45 * len(times))
    axes = figure.subplots()
    for i, grid in enumerate(times.values()):
        ratios = schedule.ratio(grid[:-1])
        axes.plot(ratios.numpy(), [i] * len(ratios), "|-", ms=11, lw=0.7, color=COLOURS[i % len(COLOURS)])
    axes.set_yticks(range(len(times)), [f"{name}, {len(grid) - 1} steps" for name, grid in times.items()])
    axes.set_ylim(len(times) - 0.5, -0.5)
    axes.set_xscale("log")
    axes.invert_xaxis()
    _named(axes, "noise level σ/α: the walk goes to the right", "")
    return figure


def losses(*journals: Sequence[Mapping[str, Any]], names: Sequence[str] = ()) -> "Plot":
    """The losses of runs over the images seen: while training, and on held-out pictures. `Run(…).journal` is one."""
    figure = plot(9, 3.6)
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    training, held_out = figure.subplots(1, 2)
    for i, journal in enumerate(journals):
        loss = [(row["images"], row["loss"]) for row in journal if "loss" in row]
        held = [(row["images"], row["held_out"]["all"]) for row in journal if "held_out" in row]
        label = names[i] if names else None
        for axes, found in ((training, loss), (held_out, held)):
            if found:
                axes.plot(*zip(*found, strict=True), color=COLOURS[i % len(COLOURS)], lw=1.4, label=label)
    for axes, words in ((training, "training loss"), (held_out, "loss on held-out pictures")):
        _named(axes, "images seen", words)
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter("{x:,.0f}")
    if names:
        training.legend(frameon=False, fontsize=8)
    return figure


def samples(pixels: Bytes, columns: int | None = None) -> "Plot":
    """Pictures side by side."""
    image = shown(enlarged(sheet(pixels, columns, 1), 4), 8)
    figure = plot(min(10, INCH * image.width / 64), min(10, INCH * image.width / 64) * image.height / image.width)
    _picture(figure.subplots(), image)
    return figure


def strip(frames: Sequence[Bytes], heads: Sequence[str] = (), names: Sequence[str] = ()) -> "Plot":
    """Moments (B, C, H, W) side by side, one row a picture, under their heads: the frames of a film."""
    rows = len(frames[0])
    figure = plot(INCH * len(frames) + 1.2 * bool(names), INCH * rows + 0.3 * bool(heads))
    every = figure.subplots(rows, len(frames), squeeze=False)
    for j, moment in enumerate(frames):
        for i in range(rows):
            _picture(every[i, j], shown(enlarged(to_image(moment[i : i + 1]), 4), 8))
            if j == 0 and names:
                every[i, j].set_ylabel(names[i], rotation=0, ha="right", va="center", fontsize=8)
        if heads:
            every[0, j].set_title(heads[j], fontsize=8)
    return figure


def features(maps: Mapping[str, Float[Tensor, "1 _ _ _"]], channels: int = 8) -> "Plot":
    """Feature maps by name: of each the channels that vary most, each on its own scale around its mean."""
    figure = plot(INCH * channels + 1.6, INCH * len(maps))
    every = figure.subplots(len(maps), channels, squeeze=False)
    for row, (name, values) in zip(every, maps.items(), strict=True):
        picked = values[0].float().flatten(1).std(1).topk(min(channels, values.shape[1])).indices
        for axes, channel in zip(row, values[0, picked].float(), strict=False):
            off = channel - channel.mean()
            limit = max(float(off.abs().max()), 1e-12)
            axes.imshow(off.numpy(), cmap="gray", vmin=-limit, vmax=limit, interpolation="nearest")
        for axes in row:
            axes.set_axis_off()
        height, width = values.shape[2:]
        row[0].text(-0.2, 0.5, f"{name}\n{width}×{height}", transform=row[0].transAxes, ha="right", va="center",
                    fontsize=7)  # fmt: skip
    return figure


def scatter(pixels: Bytes, at: Float[Tensor, "b 2"]) -> "Plot":
    """Pictures where (x, y) says: samples in the plane of two directions of h-space."""
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    figure = plot(8, 6)
    axes = figure.subplots()
    for picture, (x, y) in zip(pixels, at.tolist(), strict=True):
        array = np.asarray(enlarged(to_image(picture[None]), 4))
        image = OffsetImage(array, zoom=6 / picture.shape[2], cmap="gray", interpolation="nearest")
        axes.add_artist(AnnotationBbox(image, (x, y), frameon=False))
    axes.set_xlim(float(at[:, 0].min()) - 0.3, float(at[:, 0].max()) + 0.3)
    axes.set_ylim(float(at[:, 1].min()) - 0.3, float(at[:, 1].max()) + 0.3)
    _named(axes, "first direction", "second direction")
    return figure


def _named(axes: "Axes", x: str, y: str) -> None:
    axes.set_xlabel(x)
    axes.set_title(y, fontsize=10, loc="left")
    axes.grid(visible=True, alpha=0.25, lw=0.6)
    axes.spines[["right", "top"]].set_visible(False)


def _picture(axes: "Axes", image: Any) -> None:
    axes.imshow(image, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
