"""Line charts as SVG inside a page, for light and dark color schemes, without scripts.

A chart is 360 units wide with text of size 11, which is legible on a telephone; on wide screens two charts stand side
by side. The legend is HTML text below the chart.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import torch
from torch import Tensor

from ...diffusion.schedule import Schedule
from .page import render_inline

WIDTH, HEIGHT = 360, 230
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 36
NUM_COLORS = 8
DASHES = ("", "7 3", "2 3", "9 3 2 3")

STYLE = """
:root { --c0: #0b67a3; --c1: #c2500a; --c2: #0a7f5c; --c3: #a8458b; --c4: #946200; --c5: #3987b8; --c6: #8c4a3d;
  --c7: #57534e; }
@media (prefers-color-scheme: dark) {
  :root { --c0: #5cb3f0; --c1: #ff9450; --c2: #3fcf9f; --c3: #e58fc6; --c4: #f0b43c; --c5: #9ad4f5; --c6: #d99a8c;
    --c7: #a8a29e; }
}
.charts { display: flex; flex-wrap: wrap; gap: .5rem 2rem; } .charts > * { flex: 1 1 330px; max-width: 470px; }
.chart svg { width: 100%; height: auto; display: block; } .chart { margin: .6rem 0; }
.chart text { font: 11px system-ui, sans-serif; fill: var(--faint); }
.chart .grid { stroke: var(--line); stroke-width: .6; } .chart .axis { stroke: var(--faint); stroke-width: .8; }
.chart .curve { fill: none; stroke-width: 1.5; stroke-linejoin: round; } .chart .curve.mark { stroke-width: 3.2; }
.keys { display: flex; flex-wrap: wrap; gap: .1rem 1rem; list-style: none; margin: 0; padding: 0 0 0 .4rem;
  font-size: .85rem; } .keys svg { width: 26px; display: inline-block; vertical-align: middle; margin-right: .35rem; }
""" + "".join(f".k{i} {{ stroke: var(--c{i}); }} .d{i} {{ fill: var(--c{i}); }}\n" for i in range(NUM_COLORS))


@dataclass(frozen=True)
class Line:
    """A curve; without `is_connected`, a set of points. Points that are not finite are left out."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    color: int = 0  # index of a color, below NUM_COLORS
    dash: int = 0  # index into DASHES
    is_bold: bool = False  # thicker than the others
    has_markers: bool = False
    is_connected: bool = True


@dataclass(frozen=True)
class Axis:
    """An axis: its title, linear or logarithmic scale, and bounds (None: those of the data)."""

    name: str
    is_log: bool = False
    low: float | None = None
    high: float | None = None

    def position(self, value: float) -> float:
        """The position of a value: its log10 for a logarithmic axis."""
        return math.log10(value) if self.is_log else value

    def bounds(self, values: Sequence[float]) -> tuple[float, float]:
        """The positions of both ends, for data `values`."""
        finite = [v for v in values if math.isfinite(v) and (v > 0 or not self.is_log)] or [1.0]
        low = self.position(self.low if self.low is not None else min(finite))
        high = self.position(self.high if self.high is not None else max(finite))
        if self.is_log:
            low, high = math.floor(low * 4) / 4, math.ceil(high * 4) / 4
        return (low, high) if high > low else (low - 0.5, low + 0.5)

    def ticks(self, low: float, high: float) -> list[float]:
        """Round tick values between two positions; powers of ten on a logarithmic axis over several decades."""
        if self.is_log:
            every = max(1, math.ceil((high - low) / 6))
            if high - low > 1.8:
                powers = range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1)
                return [10.0**e for e in powers if e % every == 0]
            tens = range(math.floor(low), math.ceil(high) + 1)
            return [m * 10.0**e for e in tens for m in (1, 2, 5) if low <= math.log10(m) + e <= high]
        stride = _round_stride((high - low) / 5)
        return [k * stride for k in range(math.ceil(low / stride - 1e-9), math.floor(high / stride + 1e-9) + 1)]


def chart(x: Axis, y: Axis, lines: Sequence[Line], alt: str, legend: bool = True) -> str:
    """A chart as HTML with a legend; `alt` describes it for screen readers."""
    (x0, x1), (y0, y1) = (a.bounds([v for line in lines for v in getattr(line, n)]) for a, n in ((x, "x"), (y, "y")))

    def at(px: float, py: float) -> tuple[float, float]:
        across, up = (x.position(px) - x0) / (x1 - x0), (y.position(py) - y0) / (y1 - y0)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    parts = []
    for tick in x.ticks(x0, x1):
        px, _ = at(tick, y.low if y.low is not None else 10**y0 if y.is_log else y0)
        parts.append(f'<path class="grid" d="M{px:.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text x="{px:.1f}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{format_tick(tick)}</text>')
    for tick in y.ticks(y0, y1):
        _, py = at(10**x0 if x.is_log else x0, tick)
        parts.append(f'<path class="grid" d="M{LEFT} {py:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 5}" y="{py + 4:.1f}" text-anchor="end">{format_tick(tick)}</text>')
    parts.append(f'<path class="axis" d="M{LEFT} {HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x.name)}</text>')
    for line in lines:
        points = [
            at(a, b)
            for a, b in zip(line.x, line.y, strict=True)
            if math.isfinite(a) and math.isfinite(b) and (a > 0 or not x.is_log) and (b > 0 or not y.is_log)
        ]
        parts.append(_curve(line, [(a, min(max(b, TOP), HEIGHT - BOTTOM)) for a, b in points]))
    svg = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(alt)}">{"".join(parts)}</svg>'
    keys = _legend(lines) if legend else ""
    return f'<div class="chart"><div class="faint">{render_inline(y.name)}</div>{svg}{keys}</div>'


def charts(*parts: str, caption: str) -> str:
    """Charts as one figure with a caption, side by side if there is room."""
    return (
        f'<figure><div class="charts">{"".join(parts)}</div><figcaption>{render_inline(caption)}</figcaption></figure>'
    )


def format_tick(number: float) -> str:
    """A tick value as text: 0.05, 12, 20,000, 1e-4, 1e5."""
    if number == 0:
        return "0"
    if not 1e-3 <= abs(number) < 1e5:
        return f"{number:.0e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{number:,.0f}" if abs(number) >= 10_000 else f"{number:.4g}"


def _curve(line: Line, points: Sequence[tuple[float, float]]) -> str:
    svg = ""
    if line.is_connected and points:
        path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in points)
        dash = f' stroke-dasharray="{DASHES[line.dash]}"' if line.dash else ""
        svg = f'<path class="curve k{line.color}{" mark" if line.is_bold else ""}" d="{path}"{dash}/>'
    if line.has_markers:
        svg += "".join(
            f'<circle class="d{line.color}" cx="{a:.1f}" cy="{b:.1f}" r="{5 if line.is_bold else 3}"/>'
            for a, b in points
        )
    return svg


def _legend(lines: Sequence[Line]) -> str:
    def key(line: Line) -> str:
        sample = _curve(line, [(1, 5), (25, 5)])
        return f'<li><svg viewBox="0 0 26 10" aria-hidden="true">{sample}</svg>{render_inline(line.name)}</li>'

    return f'<ul class="keys">{"".join(key(line) for line in lines if line.name)}</ul>'


def _round_stride(stride: float) -> float:
    """The smallest of 1, 2 or 5 times a power of ten that is at least `stride`."""
    power = 10.0 ** math.floor(math.log10(stride))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= stride * 0.999)


POINTS = 201


def schedule_curves(schedule: Schedule, points: int = POINTS) -> tuple[Tensor, Tensor, Tensor]:
    """t, ᾱ_t and ln SNR_t at `points` − 1 times in (0, 1]; ᾱ = α² / (α² + σ²)."""
    t = torch.linspace(0, 1, points, dtype=torch.float64)[1:]
    alpha, sigma = schedule(t)
    return t, alpha**2 / (alpha**2 + sigma**2), 2 * (alpha / sigma).log()


def schedule_charts(schedules: Mapping[str, Schedule], caption: str) -> str:
    """Charts of ᾱ and ln SNR over t, by name; the first schedule has a thick line."""
    lines = []
    for i, (name, schedule) in enumerate(schedules.items()):
        t, alpha_bar, log_snr = (c.tolist() for c in schedule_curves(schedule))
        style: dict[str, Any] = {"color": i % NUM_COLORS, "dash": i // 4 % len(DASHES), "is_bold": i == 0}
        lines.append((Line(name, t, alpha_bar, **style), Line(name, t, log_snr, **style)))
    return charts(
        chart(
            Axis("t"), Axis("signal, $ᾱ_t$", low=0, high=1), [a for a, _ in lines],
            "Signal over time: from 1 at t = 0 down to about 0 at t = 1",
        ),
        chart(
            Axis("t"), Axis("ln SNR", low=-12, high=12), [b for _, b in lines],
            "Log signal-to-noise ratio over time; it falls monotonically",
        ),
        caption=caption,
    )  # fmt: skip


def loss_charts(metrics: Sequence[Mapping[str, Any]]) -> str:
    """Charts of the training loss, and of the held-out loss by noise level, over the images seen; "" without data.

    `metrics` are the rows of a run's metrics.jsonl.
    """
    loss = [row for row in metrics if "loss" in row]
    held = [row for row in metrics if "held_out" in row]
    images, parts = Axis("images seen"), []
    if len(loss) > 1:
        line = Line("", [r["images"] for r in loss], [r["loss"] for r in loss])
        parts.append(chart(images, Axis("loss", is_log=True), [line], "Training loss over images seen", legend=False))
    if len(held) > 1:
        seen = [r["images"] for r in held]
        lines = [
            Line(level, seen, [r["held_out"][level] for r in held], i, is_bold=level == "all")
            for i, level in enumerate(held[0]["held_out"])
        ]
        parts.append(
            chart(
                images,
                Axis("held-out loss, by noise level", is_log=True),
                lines,
                "Held-out loss over images seen, by noise level",
            )
        )
    last = f", {loss[-1]['loss']:.3g} at the end" if loss else ""
    caption = f"Training loss{last}, and the loss on held-out pictures, which are not used in training."
    return charts(*parts, caption=caption) if parts else ""
