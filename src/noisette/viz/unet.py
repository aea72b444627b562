"""A U-Net drawn to scale: every feature map is a box as high as its rows of pixels and as wide as its channels."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from .page import inline

GAP = 5.0
PIXEL_ROOM, CHANNEL_ROOM = 92.0, 520.0  # units for the tallest box, and for all channels beside each other
DROP = 20.0  # between levels

STYLE = """
.unet svg { min-width: 560px; width: 100%; max-width: 860px; height: auto; display: block; }
.unet text { font: 10px system-ui, sans-serif; fill: var(--faint); }
.unet .box { fill: var(--c0); fill-opacity: .3; stroke: var(--c0); stroke-width: 1; }
.unet .box.attends { fill: var(--c1); stroke: var(--c1); fill-opacity: .35; }
.unet .box.mid { fill: var(--c2); stroke: var(--c2); fill-opacity: .5; }
.unet .box.end { fill: none; stroke: var(--faint); }
.unet .skip { fill: none; stroke: var(--faint); stroke-width: .8; stroke-dasharray: 3 3; }
.unet .way { fill: none; stroke: var(--faint); stroke-width: 1; }
"""


@dataclass(frozen=True)
class Stage:
    """One feature map on the way through a U-Net."""

    name: str
    part: str  # "in", "down", "mid", "up" or "out"
    level: int  # 0 is the finest
    channels: int
    height: int
    width: int
    attends: bool = False
    skips_to: int | None = None  # the number of the stage whose input it is joined to


def diagram(stages: Sequence[Stage], alt: str, caption: str) -> str:
    """The whole network, from left to right, deeper where it is coarser."""
    per_channel = CHANNEL_ROOM / sum(s.channels for s in stages)
    per_pixel = PIXEL_ROOM / max(s.height for s in stages)
    boxes, x = [], 46.0
    tops = _tops(stages, per_pixel)
    for stage in stages:
        wide, tall = max(2.0, stage.channels * per_channel), max(2.0, stage.height * per_pixel)
        boxes.append((x, tops[stage.level], wide, tall))
        x += wide + GAP
    bottom = max(y + tall for _, y, _, tall in boxes) + 24
    parts = [_skip(boxes[i], boxes[s.skips_to]) for i, s in enumerate(stages) if s.skips_to is not None]
    parts += [_way(a, b) for a, b in itertools.pairwise(boxes)]
    parts += [_box(stage, *box) for stage, box in zip(stages, boxes, strict=True)]
    for level, y in tops.items():
        size = next(s for s in stages if s.level == level)
        parts.append(f'<text x="0" y="{y + 10:.1f}">{size.width}×{size.height}</text>')
    svg = f'<svg viewBox="0 0 {x + 4:.0f} {bottom:.0f}" role="img" aria-label="{escape(alt)}">{"".join(parts)}</svg>'
    return (
        f'<figure class="unet"><div class="wide" tabindex="0" role="region" aria-label="The network, to scale">{svg}'
        f"</div><figcaption>{inline(caption)}</figcaption></figure>"
    )


Box = tuple[float, float, float, float]  # left, top, width, height


def _tops(stages: Sequence[Stage], per_pixel: float) -> dict[int, float]:
    tops, y = {}, 22.0
    for level in sorted({s.level for s in stages}):
        tops[level] = y
        y += max(s.height for s in stages if s.level == level) * per_pixel + DROP
    return tops


def _box(stage: Stage, x: float, y: float, wide: float, tall: float) -> str:
    kind = (
        "end" if stage.part in ("in", "out") else "mid" if stage.part == "mid" else "attends" if stage.attends else ""
    )
    told = f"{stage.name}: {stage.channels} channels of {stage.width}×{stage.height}"
    return (
        f'<g><title>{escape(told)}</title><rect class="box {kind}" x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" '
        f'height="{tall:.1f}"/><text x="{x + wide / 2:.1f}" y="{y + tall + 11:.1f}" text-anchor="middle">'
        f"{stage.channels}</text></g>"
    )


def _skip(start: Box, end: Box) -> str:
    """Over the top of the boxes of its level."""
    x0, x1, y = start[0] + start[2] / 2, end[0] + end[2] / 2, start[1]
    return f'<path class="skip" d="M{x0:.1f} {y:.1f}C{x0:.1f} {y - 18:.1f} {x1:.1f} {y - 18:.1f} {x1:.1f} {y:.1f}"/>'


def _way(start: Box, end: Box) -> str:
    """From one box to the next: along, or to another level."""
    x0, x1 = start[0] + start[2], end[0]
    y0, y1 = start[1] + min(start[3], end[3]) / 2, end[1] + min(start[3], end[3]) / 2
    return f'<path class="way" d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}"/>'
