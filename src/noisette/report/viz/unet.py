"""A diagram of a U-Net to scale: the height of a box is the resolution of a feature map, its width the channels."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from .page import render_inline

BOX_GAP = 5.0
MAX_BOX_HEIGHT, TOTAL_BOX_WIDTH = 92.0, 520.0  # of the tallest box, and of all boxes together, in SVG units
LEVEL_GAP = 20.0  # between levels

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
class UNetStage:
    """One feature map of a U-Net."""

    name: str
    section: str  # "in", "down", "mid", "up" or "out"
    level: int  # 0 is the finest
    channels: int
    height: int
    width: int
    has_attention: bool = False
    skip_target: int | None = None  # index of the stage that gets it through a skip connection


def unet_diagram(stages: Sequence[UNetStage], alt: str, caption: str) -> str:
    """The diagram as an HTML figure: stages from left to right, coarser levels lower."""
    per_channel = TOTAL_BOX_WIDTH / sum(s.channels for s in stages)
    per_pixel = MAX_BOX_HEIGHT / max(s.height for s in stages)
    boxes, x = [], 46.0
    tops = _level_tops(stages, per_pixel)
    for stage in stages:
        width, height = max(2.0, stage.channels * per_channel), max(2.0, stage.height * per_pixel)
        boxes.append((x, tops[stage.level], width, height))
        x += width + BOX_GAP
    bottom = max(y + height for _, y, _, height in boxes) + 24
    parts = [_render_skip(boxes[i], boxes[s.skip_target]) for i, s in enumerate(stages) if s.skip_target is not None]
    parts += [_render_arrow(a, b) for a, b in itertools.pairwise(boxes)]
    parts += [_render_box(stage, *box) for stage, box in zip(stages, boxes, strict=True)]
    for level, y in tops.items():
        size = next(s for s in stages if s.level == level)
        parts.append(f'<text x="0" y="{y + 10:.1f}">{size.width}×{size.height}</text>')
    svg = f'<svg viewBox="0 0 {x + 4:.0f} {bottom:.0f}" role="img" aria-label="{escape(alt)}">{"".join(parts)}</svg>'
    return (
        f'<figure class="unet"><div class="wide" tabindex="0" role="region" aria-label="The network, to scale">{svg}'
        f"</div><figcaption>{render_inline(caption)}</figcaption></figure>"
    )


Box = tuple[float, float, float, float]  # left, top, width, height


def _level_tops(stages: Sequence[UNetStage], per_pixel: float) -> dict[int, float]:
    tops, y = {}, 22.0
    for level in sorted({s.level for s in stages}):
        tops[level] = y
        y += max(s.height for s in stages if s.level == level) * per_pixel + LEVEL_GAP
    return tops


def _render_box(stage: UNetStage, x: float, y: float, width: float, height: float) -> str:
    kind = {"in": "end", "out": "end", "mid": "mid"}.get(stage.section, "attends" if stage.has_attention else "")
    title = f"{stage.name}: {stage.channels} channels of {stage.width}×{stage.height}"
    return (
        f'<g><title>{escape(title)}</title><rect class="box {kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
        f'height="{height:.1f}"/><text x="{x + width / 2:.1f}" y="{y + height + 11:.1f}" text-anchor="middle">'
        f"{stage.channels}</text></g>"
    )


def _render_skip(start: Box, end: Box) -> str:
    """A dashed arc above the boxes."""
    x0, x1, y = start[0] + start[2] / 2, end[0] + end[2] / 2, start[1]
    return f'<path class="skip" d="M{x0:.1f} {y:.1f}C{x0:.1f} {y - 18:.1f} {x1:.1f} {y - 18:.1f} {x1:.1f} {y:.1f}"/>'


def _render_arrow(start: Box, end: Box) -> str:
    """A line from one box to the next."""
    x0, x1 = start[0] + start[2], end[0]
    y0, y1 = start[1] + min(start[3], end[3]) / 2, end[1] + min(start[3], end[3]) / 2
    return f'<path class="way" d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}"/>'
