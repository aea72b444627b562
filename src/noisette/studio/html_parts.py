"""HTML of the studio: pictures at native size as data URLs, enlarged by whole numbers in the browser."""

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape

import gradio as gr
from PIL import Image

from ..data.png import encode_png
from ..shapes import UInt8Images
from .session import Board, BoardSample

TILE_SIZE = 160  # approximate size of a picture in CSS pixels
SINGLE_SIZE = 320  # of a single picture


def render_tiles(pictures: UInt8Images, captions: Sequence[str], aria_label: str, side: int | None = None) -> str:
    """A list of pictures (N, C, H, W); `aria_label` describes it for screen readers."""
    side = side or (SINGLE_SIZE if len(pictures) == 1 else TILE_SIZE)
    rows = (
        f"<li><figure>{render_image(row, caption, side)}<figcaption>{escape(caption)}</figcaption></figure></li>"
        for row, caption in zip(pictures.split(1), captions, strict=True)
    )
    return f'<ul class="n-tiles" aria-label="{escape(aria_label)}">{"".join(rows)}</ul>'


def render_image(picture: UInt8Images | Image.Image, alt: str, side: int = TILE_SIZE) -> str:
    """One picture, (1, C, H, W) or an image, as an <img> of about `side` CSS pixels."""
    width, height = picture.size if isinstance(picture, Image.Image) else (picture.shape[3], picture.shape[2])
    scale = max(1, side // max(width, height))
    data = base64.b64encode(encode_png(picture, origin="other")).decode("ascii")
    return (
        f'<img class="n-pixels" alt="{escape(alt)}" width="{width * scale}" height="{height * scale}" '
        f'src="data:image/png;base64,{data}">'
    )


def format_caption(label: str | None, seed: int, num_rotations: int = 0) -> str:
    """A caption such as "sword, seed 3"; one " ~" for each rotation of the noise."""
    return f"{label + ', ' if label else ''}seed {seed}{' ~' * num_rotations}"


def render_board(board: Board) -> str:
    """The grid of pictures, each with the buttons Keep, Reject and More."""
    if not board.samples:
        return '<p class="n-faint">No pictures yet. Pictures that you draw appear here.</p>'
    rows = [
        _render_sample(i, cell, board.is_kept(cell), i in board.rejected, board.generation)
        for i, cell in enumerate(board.samples)
    ]
    return f'<ul class="n-tiles" aria-label="Pictures to choose from">{"".join(rows)}</ul>'


def _render_sample(index: int, sample: BoardSample, is_kept: bool, is_rejected: bool, generation: int) -> str:
    caption = format_caption(sample.prompt, sample.record.seed, len(sample.record.rotations))
    state = " n-kept" if is_kept else " n-rejected" if is_rejected else ""
    buttons = (
        _render_button("keep", index, "Keep", f"Keep {caption}", is_kept, generation)
        + _render_button("reject", index, "Reject", f"Reject {caption}", is_rejected, generation)
        + _render_button("more", index, "More", f"More like {caption}", None, generation)
    )
    return (
        f'<li class="n-cell{state}"><figure>{render_image(sample.pixels, caption)}'
        f'<figcaption>{escape(caption)}</figcaption></figure><div class="n-buttons">{buttons}</div></li>'
    )


def render_results(pictures: Sequence[UInt8Images], captions: Sequence[str]) -> str:
    """Edited pictures, each with a button to edit it further."""
    rows = (
        f'<li class="n-cell"><figure>{render_image(picture, caption)}'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
        f'<div class="n-buttons">{_render_button("edit", i, "Edit", f"Edit {caption}")}</div></li>'
        for i, (picture, caption) in enumerate(zip(pictures, captions, strict=True))
    )
    return f'<ul class="n-tiles" aria-label="Edited pictures">{"".join(rows)}</ul>'


def render_kept(board: Board) -> str:
    """The kept pictures, each with the buttons Edit and Remove."""
    if not board.kept:
        return '<p class="n-faint">No pictures kept yet.</p>'
    rows = (
        f'<li class="n-cell"><figure>{render_image(cell.pixels, caption, TILE_SIZE // 2)}</figure>'
        f"{_render_button('edit', i, 'Edit', f'Edit {caption}')}"
        f"{_render_button('drop', i, 'Remove', f'Remove {caption}')}</li>"
        for i, cell in enumerate(board.kept)
        for caption in [format_caption(cell.prompt, cell.record.seed, len(cell.record.rotations))]
    )
    return f'<ul class="n-tiles n-small" aria-label="Kept pictures">{"".join(rows)}</ul>'


def _render_button(
    action: str, index: int, text: str, aria_label: str, pressed: bool | None = None, generation: int | None = None
) -> str:
    state = "" if pressed is None else f' aria-pressed="{str(pressed).lower()}"'
    state += "" if generation is None else f' data-of="{generation}"'
    return (
        f'<button type="button" data-do="{action}" data-i="{index}" aria-label="{escape(aria_label)}"{state}>'
        f"{text}</button>"
    )


TOGGLE_SCRIPT = """
const button = element.querySelector('button');
button.addEventListener('click', () => {
  const open = document.getElementById(button.getAttribute('aria-controls')).classList.toggle('n-open');
  button.setAttribute('aria-expanded', String(open));
});
"""


@contextmanager
def collapsible(title: str, element_id: str) -> Iterator[None]:
    """A context whose components are in a section that a button opens and closes; `element_id` is its HTML id."""
    gr.HTML(
        f'<button type="button" class="n-fold" aria-expanded="false" aria-controls="{element_id}">'
        f"{escape(title)}</button>",
        js_on_load=TOGGLE_SCRIPT, elem_classes="n-folding",
    )  # fmt: skip
    with gr.Column(elem_id=element_id, elem_classes="n-under"):
        yield
