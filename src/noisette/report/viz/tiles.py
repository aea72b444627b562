"""HTML for small pictures: tables, pictures that follow a slider ("scrubber"), and scatter plots of pictures.

Pictures are embedded at native size and enlarged by the browser by whole numbers, so that each pixel stays a square.
Wide tables scroll sideways, also with the keyboard.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import torch
from jaxtyping import UInt8
from torch import Tensor

from ...data.contact_sheet import contact_sheet
from ...data.png import to_image
from ...shapes import UInt8Images
from .page import data_url, render_inline

TILE_SIZE = 64  # approximate size of a picture's longer side in CSS pixels

STYLE = """
table.tiles { border-spacing: .3rem; border-collapse: separate; }
table.tiles td, table.tiles th { border: 0; padding: 0; }
table.tiles th { font-weight: 400; font-size: .85rem; color: var(--faint); text-align: center; padding: 0 .2rem;
  white-space: normal; max-width: 8.5rem; } table.tiles th[scope=row] { text-align: left; min-width: 5rem; }
table.tiles td { text-align: center; font-size: .85rem; vertical-align: middle; }
img.px { max-width: none; display: block; margin: auto; }
.views { display: flex; flex-wrap: wrap; gap: .8rem; } .views > div { text-align: center; font-size: .85rem; }
.film { width: var(--w); height: var(--h); margin: 0 auto .2rem; image-rendering: pixelated;
  background: var(--sheet) calc(var(--i) * var(--w) * -1) calc(var(--row) * var(--h) * -1) /
    calc(var(--n) * var(--w)) auto,
    repeating-conic-gradient(#fff 0 25%, #e1e3e6 0 50%) 0 0 / 16px 16px; }
.ring { position: relative; width: min(100%, 25rem); aspect-ratio: 1; }
.ring > div, .field > div { position: absolute; }
.ring > div { transform: translate(-50%, -50%); }
.ring::before { content: ""; position: absolute; inset: 9%; border: 1px dashed var(--faint); border-radius: 50%; }
.field { position: relative; min-width: 33rem; height: 26rem; border: 1px solid var(--line); }
.controls { display: flex; flex-wrap: wrap; gap: .2rem .8rem; align-items: center; margin: .6rem 0; }
.controls input { flex: 1 1 12rem; max-width: 30rem; min-width: 8rem; accent-color: var(--c0, #0b67a3); height: 2rem; }
.controls output { flex: 1 0 100%; font-variant-numeric: tabular-nums; font-size: .92rem; min-height: 1.5em; }
.controls button { font: inherit; padding: .15rem .9rem; border: 1px solid var(--faint); border-radius: .4rem;
  background: none; color: inherit; cursor: pointer; }
:focus-visible { outline: 3px solid var(--c1, #c2500a); outline-offset: 2px; }
"""

SCRIPT = """
for (const figure of document.querySelectorAll("[data-captions]")) {
  const range = figure.querySelector("input"), captions = JSON.parse(figure.dataset.captions);
  const output = figure.querySelector("output"), button = figure.querySelector("button");
  let timer = 0;
  const show = () => {
    figure.style.setProperty("--i", range.value);
    output.textContent = captions[range.value];
    range.setAttribute("aria-valuetext", captions[range.value]);
  };
  const stop = () => { clearInterval(timer); timer = 0; if (button) button.textContent = "Play"; };
  const step = () => {
    if (Number(range.value) >= Number(range.max)) return stop();
    range.value = Number(range.value) + 1;
    show();
  };
  range.addEventListener("input", () => { stop(); show(); });
  if (button) button.addEventListener("click", () => {
    if (timer) return stop();
    if (range.value === range.max) { range.value = 0; show(); }
    button.textContent = "Pause";
    timer = setInterval(step, Math.max(60, 4000 / captions.length));
  });
  show();
}
"""


def tile_scale(height: int, width: int, side: int = TILE_SIZE) -> int:
    """The integer factor, at least 1, that enlarges a picture to about `side` CSS pixels."""
    return max(1, round(side / max(height, width)))


def render_tile(pixels: UInt8Images, alt: str, side: int = TILE_SIZE) -> str:
    """One picture (1, C, H, W) as an <img>, enlarged to about `side` CSS pixels."""
    height, width = pixels.shape[2:]
    scale, clear = tile_scale(height, width, side), " clear" if pixels.shape[1] in (2, 4) else ""
    return (
        f'<img class="px{clear}" alt="{escape(alt)}" width="{scale * width}" height="{scale * height}" '
        f'src="{data_url(to_image(pixels))}">'
    )


@dataclass(frozen=True)
class TileRow:
    """A row of a table: its label, and its cells, either pictures (B, C, H, W) or texts."""

    label: str
    cells: UInt8Images | Sequence[str]


def render_tiles(
    rows: Sequence[TileRow], headers: Sequence[str] = (), caption: str = "", side: int = TILE_SIZE, corner: str = ""
) -> str:
    """A table of pictures with column headers and a caption; `corner` is the text of the top left cell."""
    head = "".join(f'<th scope="col">{render_inline(name)}</th>' for name in headers)
    first = f"<td>{render_inline(corner)}</td>" if any(row.label for row in rows) else ""
    lines = [f"<tr>{first}{head}</tr>"] if headers else []
    for row in rows:
        names = headers or [f"number {i + 1}" for i in range(len(row.cells))]
        cells = "".join(f"<td>{_render_cell(row, i, names[i], side)}</td>" for i in range(len(row.cells)))
        name = f'<th scope="row">{render_inline(row.label)}</th>' if first else ""
        lines.append(f"<tr>{name}{cells}</tr>")
    label = _attribute_text(caption or "pictures")
    words = f"<figcaption>{render_inline(caption)}</figcaption>" if caption else ""
    return (
        f'<figure><div class="wide" tabindex="0" role="region" aria-label="{label}"><table class="tiles">'
        f"{''.join(lines)}</table></div>{words}</figure>"
    )


def _render_cell(row: TileRow, i: int, header: str, side: int) -> str:
    if isinstance(row.cells, Tensor):
        return render_tile(row.cells[i : i + 1], ", ".join(filter(None, (row.label, header))).replace("$", ""), side)
    return render_inline(row.cells[i])


@dataclass(frozen=True)
class ScrubberView:
    """One of the pictures that follow a slider: its label, and its frame at each of N slider positions."""

    label: str
    frames: UInt8[Tensor, "n c h w"]


def render_scrubber(
    label: str,
    views: Sequence[ScrubberView],
    captions: Sequence[str],
    caption: str,
    initial: int = 0,
    side: int = 2 * TILE_SIZE,
    play: bool = True,
    positions: Sequence[tuple[float, float]] = (),
) -> str:
    """Pictures that follow a slider with the name `label`; `captions` has a text for each slider position.

    All frames are one sheet with a column per slider position and a row per view; CSS moves the sheet behind windows.
    `positions` (left, top), as fractions of a square, places the windows in that square instead of side by side.
    """
    count, _, height, width = views[0].frames.shape
    assert all(view.frames.shape == views[0].frames.shape for view in views) and len(captions) == count
    sheet = torch.cat([view.frames for view in views])
    scale = tile_scale(height, width, side)
    style = (
        f"--sheet: url({data_url(contact_sheet(sheet, columns=count, scale=1, gap=0))}); --n: {count}; --i: {initial}; "
        f"--w: {scale * width}px; --h: {scale * height}px"
    )
    windows = []
    for i, view in enumerate(views):
        position = f"left: {100 * positions[i][0]:.2f}%; top: {100 * positions[i][1]:.2f}%" if positions else ""
        name = f"<span>{render_inline(view.label)}</span>" if view.label and not positions else ""
        alt = escape((view.label or f"picture {i + 1}").replace("$", ""))
        windows.append(
            f'<div style="{position}"><div class="film" role="img" aria-label="{alt}, where the slider is" '
            f'style="--row: {i}"></div>{name}</div>'
        )
    captions_json = escape(json.dumps(list(captions), ensure_ascii=False))
    button = '<button type="button">Play</button>' if play else ""
    return (
        f'<figure class="scrubber" data-captions="{captions_json}" style="{style}">'
        f'<div class="{"ring" if positions else "views"}">{"".join(windows)}</div>'
        f'<div class="controls">{button}<span>{render_inline(label)}</span>'
        f'<input type="range" aria-label="{_attribute_text(label)}" min="0" max="{count - 1}" step="1" '
        f'value="{initial}">'
        f"<output>{escape(captions[initial])}</output></div><figcaption>{render_inline(caption)}</figcaption></figure>"
    )


def render_scatter(
    pictures: UInt8Images, positions: Sequence[Sequence[float]], names: Sequence[str], caption: str, side: int = 32
) -> str:
    """Pictures (N, C, H, W) at `positions` (x, y), y upwards, scaled to fit; `names` are their alternative texts."""
    scale = tile_scale(pictures.shape[2], pictures.shape[3], side)
    tile_width, tile_height = (scale * n for n in (pictures.shape[3], pictures.shape[2]))
    columns = list(zip(*positions, strict=True))
    low, span = [min(c) for c in columns], [max(max(c) - min(c), 1e-9) for c in columns]
    tiles = []
    for i, (x, y) in enumerate(positions):
        left, top = (x - low[0]) / span[0], 1 - (y - low[1]) / span[1]
        x_style = f"left: calc({100 * left:.1f}% - {left * tile_width:.0f}px)"
        y_style = f"top: calc({100 * top:.1f}% - {top * tile_height:.0f}px)"
        alt = f"{names[i] or 'sample'} at {x:.1f}, {y:.1f}"
        tiles.append(f'<div style="{x_style}; {y_style}">{render_tile(pictures[i : i + 1], alt, side)}</div>')
    return (
        f'<figure><div class="wide" tabindex="0" role="region" aria-label="{_attribute_text(caption)}">'
        f'<div class="field">{"".join(tiles)}</div></div><figcaption>{render_inline(caption)}</figcaption></figure>'
    )


def _attribute_text(text: str) -> str:
    """Text for an HTML attribute: without formula markup, at most about 90 characters, escaped."""
    text = text.replace("$", "").replace("_", "").replace("{", "").replace("}", "")
    return escape(text if len(text) < 90 else text[:90].rsplit(" ", 1)[0] + " …")
