"""Curves as SVG inside a page: sharp at every size, readable in light and in dark, and nothing is needed to see them.

A chart is drawn 360 units wide with letters of 11, so that it is legible on a telephone, and two stand side by side on
a desk. Its names stand below it as text.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from .page import inline

WIDE, TALL = 360, 230
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 36
COLOURS = 8
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
""" + "".join(f".k{i} {{ stroke: var(--c{i}); }} .d{i} {{ fill: var(--c{i}); }}\n" for i in range(COLOURS))


@dataclass(frozen=True)
class Line:
    """A curve, or, with `dots` alone, a cloud of points. Points that are not finite are left out."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: int = 0
    dash: int = 0
    marked: bool = False  # thicker than others
    dots: bool = False
    joined: bool = True


@dataclass(frozen=True)
class Axis:
    """What is measured, and how. Bounds that are not given are those of the data."""

    name: str
    log: bool = False
    low: float | None = None
    high: float | None = None

    def position(self, value: float) -> float:
        return math.log10(value) if self.log else value

    def bounds(self, values: Sequence[float]) -> tuple[float, float]:
        """The two ends, as positions."""
        good = [v for v in values if math.isfinite(v) and (v > 0 or not self.log)] or [1.0]
        low = self.position(self.low if self.low is not None else min(good))
        high = self.position(self.high if self.high is not None else max(good))
        if self.log:
            low, high = math.floor(low * 4) / 4, math.ceil(high * 4) / 4
        return (low, high) if high > low else (low - 0.5, low + 0.5)

    def ticks(self, low: float, high: float) -> list[float]:
        """Round values between two positions: powers of ten where the axis is logarithmic and long enough."""
        if self.log:
            every = max(1, math.ceil((high - low) / 6))
            if high - low > 1.8:
                powers = range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1)
                return [10.0**e for e in powers if e % every == 0]
            tens = range(math.floor(low), math.ceil(high) + 1)
            return [m * 10.0**e for e in tens for m in (1, 2, 5) if low <= math.log10(m) + e <= high]
        stride = _round((high - low) / 5)
        return [k * stride for k in range(math.ceil(low / stride - 1e-9), math.floor(high / stride + 1e-9) + 1)]


def chart(x: Axis, y: Axis, lines: Sequence[Line], alt: str, keys: bool = True) -> str:
    """A chart with its keys below; `alt` says in words what is to be seen."""
    (x0, x1), (y0, y1) = (a.bounds([v for line in lines for v in getattr(line, n)]) for a, n in ((x, "x"), (y, "y")))

    def at(px: float, py: float) -> tuple[float, float]:
        across, up = (x.position(px) - x0) / (x1 - x0), (y.position(py) - y0) / (y1 - y0)
        return LEFT + across * (WIDE - LEFT - RIGHT), TALL - BOTTOM - up * (TALL - TOP - BOTTOM)

    parts = []
    for tick in x.ticks(x0, x1):
        px, _ = at(tick, y.low if y.low is not None else 10**y0 if y.log else y0)
        parts.append(f'<path class="grid" d="M{px:.1f} {TOP}V{TALL - BOTTOM}"/>')
        parts.append(f'<text x="{px:.1f}" y="{TALL - BOTTOM + 14}" text-anchor="middle">{said(tick)}</text>')
    for tick in y.ticks(y0, y1):
        _, py = at(10**x0 if x.log else x0, tick)
        parts.append(f'<path class="grid" d="M{LEFT} {py:.1f}H{WIDE - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 5}" y="{py + 4:.1f}" text-anchor="end">{said(tick)}</text>')
    parts.append(f'<path class="axis" d="M{LEFT} {TALL - BOTTOM}H{WIDE - RIGHT}"/>')
    middle = (LEFT + WIDE - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{TALL - 6}" text-anchor="middle">{escape(x.name)}</text>')
    for line in lines:
        good = [
            at(a, b)
            for a, b in zip(line.x, line.y, strict=True)
            if math.isfinite(a) and math.isfinite(b) and (a > 0 or not x.log) and (b > 0 or not y.log)
        ]
        parts.append(_curve(line, [(a, min(max(b, TOP), TALL - BOTTOM)) for a, b in good]))
    svg = f'<svg viewBox="0 0 {WIDE} {TALL}" role="img" aria-label="{escape(alt)}">{"".join(parts)}</svg>'
    return f'<div class="chart"><div class="faint">{inline(y.name)}</div>{svg}{_keys(lines) if keys else ""}</div>'


def charts(*parts: str, caption: str) -> str:
    """Charts side by side, where there is room, under one caption."""
    return f'<figure><div class="charts">{"".join(parts)}</div><figcaption>{inline(caption)}</figcaption></figure>'


def said(number: float) -> str:
    """A number at an axis: 0.05, 12, 20,000, 1e-4, 1e5."""
    if number == 0:
        return "0"
    if not 1e-3 <= abs(number) < 1e5:
        return f"{number:.0e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{number:,.0f}" if abs(number) >= 10_000 else f"{number:.4g}"


def _curve(line: Line, points: Sequence[tuple[float, float]]) -> str:
    drawn = ""
    if line.joined and points:
        path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in points)
        dash = f' stroke-dasharray="{DASHES[line.dash]}"' if line.dash else ""
        drawn = f'<path class="curve k{line.colour}{" mark" if line.marked else ""}" d="{path}"{dash}/>'
    if line.dots:
        drawn += "".join(
            f'<circle class="d{line.colour}" cx="{a:.1f}" cy="{b:.1f}" r="{5 if line.marked else 3}"/>'
            for a, b in points
        )
    return drawn


def _keys(lines: Sequence[Line]) -> str:
    def key(line: Line) -> str:
        drawn = _curve(line, [(1, 5), (25, 5)])
        return f'<li><svg viewBox="0 0 26 10" aria-hidden="true">{drawn}</svg>{inline(line.name)}</li>'

    return f'<ul class="keys">{"".join(key(line) for line in lines if line.name)}</ul>'


def _round(stride: float) -> float:
    """1, 2 or 5 times a power of ten, at least this."""
    power = 10.0 ** math.floor(math.log10(stride))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= stride * 0.999)
