"""Matplotlib plots for notebooks and papers (`pip install 'noisette[plots]'`).

Each function returns a figure, which a notebook displays and `figure.savefig("plot.pdf")` saves.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from ...data.contact_sheet import contact_sheet, enlarge, flatten_alpha
from ...data.png import to_image
from ...diffusion.schedule import Schedule
from ...shapes import Grid, UInt8Images
from .chart import schedule_curves
from .figure import new_figure
from .trilemma import COLORS, DASHES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .figure import Plot

PICTURE_INCHES = 0.55  # width of a small picture


def plot_schedules(*schedules: Schedule) -> "Plot":
    """ᾱ and ln SNR over t for each schedule."""
    figure = new_figure(9, 3.6)
    signal, snr = figure.subplots(1, 2)
    for i, schedule in enumerate(schedules):
        t, alpha_bar, log_snr = (c.numpy() for c in schedule_curves(schedule))
        style: dict[str, Any] = {"color": COLORS[i % len(COLORS)], "linestyle": DASHES[i // len(COLORS) % 4]}
        signal.plot(t, alpha_bar, label=type(schedule).__name__, **style)
        snr.plot(t, log_snr, **style)
    _style_axes(signal, "t", "signal, ᾱ")
    _style_axes(snr, "t", "ln SNR")
    snr.set_ylim(-14, 14)
    figure.legend(loc="outside right center", frameon=False, fontsize=8)
    return figure


def plot_grids(schedule: Schedule, grids: Mapping[str, Grid]) -> "Plot":
    """The noise levels σ/α of each time grid, one row per grid, by name."""
    figure = new_figure(9, 0.7 + 0.45 * len(grids))
    axes = figure.subplots()
    for i, grid in enumerate(grids.values()):
        ratios = schedule.ratio(grid[:-1])
        axes.plot(ratios.numpy(), [i] * len(ratios), "|-", ms=11, lw=0.7, color=COLORS[i % len(COLORS)])
    axes.set_yticks(range(len(grids)), [f"{name}, {len(grid) - 1} steps" for name, grid in grids.items()])
    axes.set_ylim(len(grids) - 0.5, -0.5)
    axes.set_xscale("log")
    axes.invert_xaxis()
    _style_axes(axes, "noise level σ/α; sampling goes from left to right", "")
    return figure


def plot_losses(*runs: Sequence[Mapping[str, Any]], names: Sequence[str] = ()) -> "Plot":
    """Training and held-out loss of runs over the images seen. Each of `runs` is `Run(…).metrics`."""
    figure = new_figure(9, 3.6)
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    training, held_out = figure.subplots(1, 2)
    for i, metrics in enumerate(runs):
        loss = [(row["images"], row["loss"]) for row in metrics if "loss" in row]
        held = [(row["images"], row["held_out"]["all"]) for row in metrics if "held_out" in row]
        label = names[i] if names else None
        for axes, points in ((training, loss), (held_out, held)):
            if points:
                axes.plot(*zip(*points, strict=True), color=COLORS[i % len(COLORS)], lw=1.4, label=label)
    for axes, title in ((training, "training loss"), (held_out, "held-out loss")):
        _style_axes(axes, "images seen", title)
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter("{x:,.0f}")
    if names:
        training.legend(frameon=False, fontsize=8)
    return figure


def plot_samples(pixels: UInt8Images, columns: int | None = None) -> "Plot":
    """Pictures (N, C, H, W) as one sheet of `columns`; about square by default."""
    image = flatten_alpha(enlarge(contact_sheet(pixels, columns, 1), 4), 8)
    figure = new_figure(
        min(10, PICTURE_INCHES * image.width / 64),
        min(10, PICTURE_INCHES * image.width / 64) * image.height / image.width,
    )
    _show_picture(figure.subplots(), image)
    return figure


def plot_strip(frames: Sequence[UInt8Images], headers: Sequence[str] = (), names: Sequence[str] = ()) -> "Plot":
    """Frames (B, C, H, W) of a film side by side, one row per picture; `headers` name columns, `names` rows."""
    rows = len(frames[0])
    figure = new_figure(PICTURE_INCHES * len(frames) + 1.2 * bool(names), PICTURE_INCHES * rows + 0.3 * bool(headers))
    axes = figure.subplots(rows, len(frames), squeeze=False)
    for j, frame in enumerate(frames):
        for i in range(rows):
            _show_picture(axes[i, j], flatten_alpha(enlarge(to_image(frame[i : i + 1]), 4), 8))
            if j == 0 and names:
                axes[i, j].set_ylabel(names[i], rotation=0, ha="right", va="center", fontsize=8)
        if headers:
            axes[0, j].set_title(headers[j], fontsize=8)
    return figure


def plot_features(maps: Mapping[str, Float[Tensor, "1 _ _ _"]], channels: int = 8) -> "Plot":
    """The channels with the largest standard deviation of each feature map, by name.

    Each channel has its own gray scale around its mean.
    """
    figure = new_figure(PICTURE_INCHES * channels + 1.6, PICTURE_INCHES * len(maps))
    grid = figure.subplots(len(maps), channels, squeeze=False)
    for row, (name, values) in zip(grid, maps.items(), strict=True):
        picked = values[0].float().flatten(1).std(1).topk(min(channels, values.shape[1])).indices
        for axes, channel in zip(row, values[0, picked].float(), strict=False):
            centered = channel - channel.mean()
            limit = max(float(centered.abs().max()), 1e-12)
            axes.imshow(centered.numpy(), cmap="gray", vmin=-limit, vmax=limit, interpolation="nearest")
        for axes in row:
            axes.set_axis_off()
        height, width = values.shape[2:]
        row[0].text(-0.2, 0.5, f"{name}\n{width}×{height}", transform=row[0].transAxes, ha="right", va="center",
                    fontsize=7)  # fmt: skip
    return figure


def plot_scatter(pixels: UInt8Images, positions: Float[Tensor, "b 2"]) -> "Plot":
    """Pictures (B, C, H, W) at `positions` (B, 2), such as samples projected on two directions of h-space."""
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    figure = new_figure(8, 6)
    axes = figure.subplots()
    for picture, (x, y) in zip(pixels, positions.tolist(), strict=True):
        array = np.asarray(enlarge(to_image(picture[None]), 4))
        image = OffsetImage(array, zoom=6 / picture.shape[2], cmap="gray", interpolation="nearest")
        axes.add_artist(AnnotationBbox(image, (x, y), frameon=False))
    axes.set_xlim(float(positions[:, 0].min()) - 0.3, float(positions[:, 0].max()) + 0.3)
    axes.set_ylim(float(positions[:, 1].min()) - 0.3, float(positions[:, 1].max()) + 0.3)
    _style_axes(axes, "first direction", "second direction")
    return figure


def _style_axes(axes: "Axes", x: str, y: str) -> None:
    axes.set_xlabel(x)
    axes.set_title(y, fontsize=10, loc="left")
    axes.grid(visible=True, alpha=0.25, lw=0.6)
    axes.spines[["right", "top"]].set_visible(False)


def _show_picture(axes: "Axes", image: Any) -> None:
    axes.imshow(image, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


STYLES = {  # name of a curve → (label, color, line style)
    "training": ("model, training pictures", "#0072b2", "-"),
    "held_out": ("model, held-out pictures", "#d55e00", "-"),
    "finite_training": ("optimum of the training set, training pictures", "#0072b2", ":"),
    "finite_held_out": ("optimum of the training set, held-out pictures", "#d55e00", ":"),
    "output_distance": ("difference of model and optimum, held-out", "#888888", "--"),
}


def plot_optimum(path: Path, ratios: Sequence[float], errors: Mapping[str, Sequence[float]], title: str) -> None:
    """Write denoising errors over σ/α as a PNG. `errors`: for each name in STYLES, one value per ratio."""
    figure = new_figure(8, 5)
    axes = figure.subplots()
    for name, (label, color, dash) in STYLES.items():
        axes.plot(ratios, errors[name], color=color, linestyle=dash, marker="o", ms=3.5, lw=1.6, label=label)
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
