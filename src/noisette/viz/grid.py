"""Contact sheets: many small pictures side by side, enlarged by a whole number so that every pixel stays a square.

Two kinds. `sheet` is made for tools: nothing is drawn but the pictures, and alpha is kept. `labelled` is made for
people: rows with a caption each, on paper, and a checkerboard where a picture is transparent.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image, ImageDraw

from ..shapes import Bytes
from .caption import Letters
from .png import to_image

WIDTH, WIDE = 768, 960  # pixels that a sheet and the pictures of a labelled one are enlarged to, about
LARGEST = 16  # times that a pixel is enlarged at most

PAPER, INK, FAINT = (250, 250, 249), (41, 37, 36), (120, 113, 108)
CHECKS = ((255, 255, 255), (225, 227, 230))
TEXT = 15  # size of a caption in pixels
MARGIN = 12


def fitting(columns: int, width: int, within: int = WIDTH) -> int:
    """The whole number by which `columns` pictures `width` pixels wide are enlarged to fill `within` pixels."""
    return max(1, min(LARGEST, within // (columns * (width + 1))))


def enlarged(image: Image.Image, scale: int) -> Image.Image:
    """Every pixel a square of scale × scale."""
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)


def sheet(pictures: Bytes, columns: int | None = None, scale: int | None = None, gap: int = 1) -> Image.Image:
    """Pictures (B, C, H, W) in rows, with `gap` of their own pixels between them: transparent, or white without alpha.

    By default about as many columns as rows, and about 768 pixels wide. Modes stay: L, LA, RGB, RGBA.
    """
    number, channels, height, width = pictures.shape
    columns = columns or max(1, min(number, round((number * height / width) ** 0.5)))
    rows = -(-number // columns)
    paper = 255 if channels in (1, 3) else 0
    canvas = pictures.new_full((channels, rows * (height + gap) - gap, columns * (width + gap) - gap), paper)
    for i, picture in enumerate(pictures):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        canvas[:, top : top + height, left : left + width] = picture
    return enlarged(to_image(canvas[None]), scale or fitting(columns, width))


def checkerboard(width: int, height: int, side: int) -> Image.Image:
    """What stands for transparency."""
    y, x = torch.meshgrid(torch.arange(height) // side, torch.arange(width) // side, indexing="ij")
    colours = torch.tensor(CHECKS, dtype=torch.uint8)
    return to_image(colours[(x + y) % 2].permute(2, 0, 1)[None])


def shown(image: Image.Image, side: int) -> Image.Image:
    """A picture as people see it, RGB: over a checkerboard of that many pixels a square where it is transparent."""
    if image.mode in ("L", "RGB"):
        return image.convert("RGB")
    under = checkerboard(image.width, image.height, side).convert("RGBA")
    return Image.alpha_composite(under, image.convert("RGBA")).convert("RGB")


@dataclass(frozen=True)
class Row:
    """Pictures (B, C, H, W) that share a caption."""

    caption: str
    pictures: Bytes


def labelled(rows: Sequence[Row], title: str = "", heads: Sequence[str] = (), scale: int | None = None) -> Image.Image:
    """Rows of pictures with a caption each, under a title and the heads of the columns. RGB."""
    height, width = rows[0].pictures.shape[2:]
    columns = max(len(row.pictures) for row in rows)
    scale = scale or fitting(columns, width, WIDE)
    text = Letters(TEXT, title + "".join(row.caption for row in rows))
    small = Letters(TEXT - 3, "".join(heads))
    side = max(text.width(row.caption) for row in rows)
    side = MARGIN + (side + MARGIN if side else 0)
    step, gap = (width + 1) * scale, max(4, scale)
    top = MARGIN + (2 * TEXT if title else 0) + (TEXT + 6 if heads else 0)
    tall = height * scale + gap
    wide = max(side + columns * step - scale + MARGIN, 2 * MARGIN + text.width(title))
    canvas = Image.new("RGB", (wide, top + len(rows) * tall - gap + MARGIN), PAPER)
    draw = ImageDraw.Draw(canvas)
    text.write(draw, (MARGIN, MARGIN - 2), title, INK, "la")
    for j, head in enumerate(heads):
        small.write(draw, (side + j * step + width * scale / 2, top - 6), head, FAINT, "ms")
    for i, row in enumerate(rows):
        y = top + i * tall
        text.write(draw, (MARGIN, y + height * scale / 2), row.caption, INK, "lm")
        for j, picture in enumerate(row.pictures):
            tile = shown(enlarged(to_image(picture[None]), scale), max(1, scale * min(height, width) // 8))
            canvas.paste(tile, (side + j * step, y))
    return canvas
