"""Small pictures in rows and columns that have names, and picture sheets that one scrubs through, inside a page.

Every pixel stays a square: a picture is kept at native size and enlarged by a whole number. What is too wide for the
screen scrolls by itself, by keyboard too.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import torch
from jaxtyping import UInt8
from torch import Tensor

from ..shapes import Bytes
from .grid import sheet
from .page import address, inline
from .png import to_image

SIDE = 64  # pixels of the screen that a picture's longer side is enlarged to, about

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
for (const figure of document.querySelectorAll("[data-said]")) {
  const range = figure.querySelector("input"), said = JSON.parse(figure.dataset.said);
  const output = figure.querySelector("output"), button = figure.querySelector("button");
  let timer = 0;
  const show = () => {
    figure.style.setProperty("--i", range.value);
    output.textContent = said[range.value];
    range.setAttribute("aria-valuetext", said[range.value]);
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
    timer = setInterval(step, Math.max(60, 4000 / said.length));
  });
  show();
}
"""


def scale(height: int, width: int, side: int = SIDE) -> int:
    """The whole number by which a picture is enlarged to about `side` pixels."""
    return max(1, round(side / max(height, width)))


def tile(pixels: Bytes, alt: str, side: int = SIDE) -> str:
    """One picture, (1, C, H, W)."""
    height, width = pixels.shape[2:]
    times, clear = scale(height, width, side), " clear" if pixels.shape[1] in (2, 4) else ""
    return (
        f'<img class="px{clear}" alt="{escape(alt)}" width="{times * width}" height="{times * height}" '
        f'src="{address(to_image(pixels))}">'
    )


@dataclass(frozen=True)
class Cells:
    """A row: its name, and pictures (B, C, H, W), or words, for its cells."""

    name: str
    cells: Bytes | Sequence[str]


def tiles(
    rows: Sequence[Cells], heads: Sequence[str] = (), caption: str = "", side: int = SIDE, corner: str = ""
) -> str:
    """A table of pictures under the heads of its columns, with a caption."""
    head = "".join(f'<th scope="col">{inline(name)}</th>' for name in heads)
    first = f"<td>{inline(corner)}</td>" if any(row.name for row in rows) else ""
    lines = [f"<tr>{first}{head}</tr>"] if heads else []
    for row in rows:
        names = heads or [f"number {i + 1}" for i in range(len(row.cells))]
        cells = "".join(f"<td>{_cell(row, i, names[i], side)}</td>" for i in range(len(row.cells)))
        name = f'<th scope="row">{inline(row.name)}</th>' if first else ""
        lines.append(f"<tr>{name}{cells}</tr>")
    label = _plain(caption or "pictures")
    words = f"<figcaption>{inline(caption)}</figcaption>" if caption else ""
    return (
        f'<figure><div class="wide" tabindex="0" role="region" aria-label="{label}"><table class="tiles">'
        f"{''.join(lines)}</table></div>{words}</figure>"
    )


def _cell(row: Cells, i: int, head: str, side: int) -> str:
    if isinstance(row.cells, Tensor):
        return tile(row.cells[i : i + 1], ", ".join(filter(None, (row.name, head))).replace("$", ""), side)
    return inline(row.cells[i])


@dataclass(frozen=True)
class View:
    """One of the pictures that change together: its name, and what it is at every place, (N, C, H, W)."""

    name: str
    frames: UInt8[Tensor, "n c h w"]


def scrubber(
    what: str,
    views: Sequence[View],
    said: Sequence[str],
    caption: str,
    start: int = 0,
    side: int = 2 * SIDE,
    play: bool = True,
    places: Sequence[tuple[float, float]] = (),
) -> str:
    """Pictures that follow a slider, named `what`; `said` is what there is to tell at each place.

    All pictures are one sheet, a column a place and a row a view, which is moved behind windows. `places` puts the
    windows at (left, top) of a square, in shares of its side, instead of side by side.
    """
    count, _, height, width = views[0].frames.shape
    assert all(view.frames.shape == views[0].frames.shape for view in views) and len(said) == count
    every = torch.cat([view.frames for view in views])
    times = scale(height, width, side)
    look = (
        f"--sheet: url({address(sheet(every, columns=count, scale=1, gap=0))}); --n: {count}; --i: {start}; "
        f"--w: {times * width}px; --h: {times * height}px"
    )
    shown = []
    for i, view in enumerate(views):
        at = f"left: {100 * places[i][0]:.2f}%; top: {100 * places[i][1]:.2f}%" if places else ""
        name = f"<span>{inline(view.name)}</span>" if view.name and not places else ""
        alt = escape((view.name or f"picture {i + 1}").replace("$", ""))
        shown.append(
            f'<div style="{at}"><div class="film" role="img" aria-label="{alt}, where the slider is" '
            f'style="--row: {i}"></div>{name}</div>'
        )
    button = '<button type="button">Play</button>' if play else ""
    return (
        f'<figure class="scrubber" data-said="{escape(json.dumps(list(said), ensure_ascii=False))}" style="{look}">'
        f'<div class="{"ring" if places else "views"}">{"".join(shown)}</div>'
        f'<div class="controls">{button}<span>{inline(what)}</span>'
        f'<input type="range" aria-label="{_plain(what)}" min="0" max="{count - 1}" step="1" value="{start}">'
        f"<output>{escape(said[start])}</output></div><figcaption>{inline(caption)}</figcaption></figure>"
    )


def scatter(pictures: Bytes, at: Sequence[Sequence[float]], names: Sequence[str], caption: str, side: int = 32) -> str:
    """Pictures where (x, y) says, y upwards, in a field that shows all of them."""
    times = scale(pictures.shape[2], pictures.shape[3], side)
    wide, tall = (times * n for n in (pictures.shape[3], pictures.shape[2]))
    columns = list(zip(*at, strict=True))
    low, span = [min(c) for c in columns], [max(max(c) - min(c), 1e-9) for c in columns]
    shown = []
    for i, (x, y) in enumerate(at):
        left, top = (x - low[0]) / span[0], 1 - (y - low[1]) / span[1]
        place = f"left: calc({100 * left:.1f}% - {left * wide:.0f}px); top: calc({100 * top:.1f}% - {top * tall:.0f}px)"
        alt = f"{names[i] or 'sample'} at {x:.1f}, {y:.1f}"
        shown.append(f'<div style="{place}">{tile(pictures[i : i + 1], alt, side)}</div>')
    return (
        f'<figure><div class="wide" tabindex="0" role="region" aria-label="{_plain(caption)}">'
        f'<div class="field">{"".join(shown)}</div></div><figcaption>{inline(caption)}</figcaption></figure>'
    )


def _plain(words: str) -> str:
    """Words for an attribute: without formulas' marks, and not too many."""
    words = words.replace("$", "").replace("_", "").replace("{", "").replace("}", "")
    return escape(words if len(words) < 90 else words[:90].rsplit(" ", 1)[0] + " …")
