"""Pictures as parts of a page: native PNGs inside it, which the browser enlarges with every pixel a square."""

import base64
from collections.abc import Sequence
from html import escape

from PIL import Image

from ..shapes import Bytes
from ..viz.png import png
from .session import Board, Cell

SIDE = 160  # CSS pixels that a picture is enlarged to, about, by a whole number
ALONE = 320  # where it is the only one


def tiles(pictures: Bytes, captions: Sequence[str], what: str, side: int | None = None) -> str:
    """A list of pictures; `what` names it to those who do not see it."""
    side = side or (ALONE if len(pictures) == 1 else SIDE)
    rows = (
        f"<li><figure>{image(row, caption, side)}<figcaption>{escape(caption)}</figcaption></figure></li>"
        for row, caption in zip(pictures.split(1), captions, strict=True)
    )
    return f'<ul class="n-tiles" aria-label="{escape(what)}">{"".join(rows)}</ul>'


def image(picture: Bytes | Image.Image, alt: str, side: int = SIDE) -> str:
    """One picture, (1, C, H, W) or an image, as an <img>."""
    width, height = picture.size if isinstance(picture, Image.Image) else (picture.shape[3], picture.shape[2])
    scale = max(1, side // max(width, height))
    data = base64.b64encode(png(picture)).decode("ascii")
    return (
        f'<img class="n-pixels" alt="{escape(alt)}" width="{width * scale}" height="{height * scale}" '
        f'src="data:image/png;base64,{data}">'
    )


def said(label: str | None, seed: int, turns: int = 0) -> str:
    """A caption: sword, seed 3."""
    return f"{label + ', ' if label else ''}seed {seed}{' ~' * turns}"


def board(value: Board) -> str:
    """The grid to choose from: every picture with its three buttons."""
    if not value.cells:
        return '<p class="n-faint">Nothing to choose from yet: draw something, and it is here.</p>'
    rows = [
        _cell(i, cell, value.holds(cell), i in value.rejected, value.generation) for i, cell in enumerate(value.cells)
    ]
    return f'<ul class="n-tiles" aria-label="Pictures to choose from">{"".join(rows)}</ul>'


def _cell(i: int, cell: Cell, kept: bool, rejected: bool, generation: int) -> str:
    caption = said(cell.asked, cell.origin.seed, len(cell.origin.turns))
    state = " n-kept" if kept else " n-rejected" if rejected else ""
    buttons = (
        _button("keep", i, "Keep", f"Keep {caption}", kept, generation)
        + _button("reject", i, "Reject", f"Reject {caption}", rejected, generation)
        + _button("more", i, "More", f"More like {caption}", None, generation)
    )
    return (
        f'<li class="n-cell{state}"><figure>{image(cell.pixels, caption)}<figcaption>{escape(caption)}</figcaption>'
        f'</figure><div class="n-buttons">{buttons}</div></li>'
    )


def results(pictures: Sequence[Bytes], captions: Sequence[str]) -> str:
    """What came of an edit: every picture with a button to edit it in turn."""
    rows = (
        f'<li class="n-cell"><figure>{image(picture, caption)}<figcaption>{escape(caption)}</figcaption></figure>'
        f'<div class="n-buttons">{_button("edit", i, "Edit", f"Edit {caption}")}</div></li>'
        for i, (picture, caption) in enumerate(zip(pictures, captions, strict=True))
    )
    return f'<ul class="n-tiles" aria-label="Edited pictures">{"".join(rows)}</ul>'


def shelf(value: Board) -> str:
    """What was kept."""
    if not value.kept:
        return '<p class="n-faint">Nothing kept yet.</p>'
    rows = (
        f'<li class="n-cell"><figure>{image(cell.pixels, caption, SIDE // 2)}</figure>'
        f"{_button('edit', i, 'Edit', f'Edit {caption}')}{_button('drop', i, 'Remove', f'Remove {caption}')}</li>"
        for i, cell in enumerate(value.kept)
        for caption in [said(cell.asked, cell.origin.seed, len(cell.origin.turns))]
    )
    return f'<ul class="n-tiles n-small" aria-label="Kept pictures">{"".join(rows)}</ul>'


def _button(do: str, i: int, word: str, spoken: str, pressed: bool | None = None, generation: int | None = None) -> str:
    state = "" if pressed is None else f' aria-pressed="{str(pressed).lower()}"'
    state += "" if generation is None else f' data-of="{generation}"'
    return f'<button type="button" data-do="{do}" data-i="{i}" aria-label="{escape(spoken)}"{state}>{word}</button>'
