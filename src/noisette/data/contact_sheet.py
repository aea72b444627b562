"""Contact sheets: many small pictures in one image, each pixel enlarged to a square by a whole factor.

`contact_sheet` arranges pictures in a grid and keeps alpha. `labeled_sheet` adds a title, column headers and a caption
for each row, and shows transparency as a checkerboard.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont

from ..shapes import UInt8Images
from .png import to_image

SHEET_WIDTH, LABELED_WIDTH = 768, 960  # default width of the pictures together, in pixels of the sheet (a maximum)
MAX_SCALE = 16  # maximum side of the square that a pixel becomes

BACKGROUND, TEXT_COLOR, FAINT_COLOR = (250, 250, 249), (41, 37, 36), (120, 113, 108)
CHECKER_COLORS = ((255, 255, 255), (225, 227, 230))
TEXT_SIZE = 15  # height of caption text in pixels
MARGIN = 12  # pixels around the sheet

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


class CaptionFont:
    """A font of `size` pixels for `texts`: DejaVu Sans if they are not ASCII and it is installed, else Pillow's own."""

    def __init__(self, size: int, texts: str) -> None:
        path = None if texts.isascii() else _find_unicode_font()
        self.font: Font = ImageFont.load_default(size) if path is None else ImageFont.truetype(path, size)
        self.ascii_only = path is None

    def width(self, text: str) -> int:
        """The width of a text in pixels."""
        return round(self.font.getlength(self.to_legible(text)))

    def draw_text(
        self, draw: ImageDraw.ImageDraw, position: tuple[float, float], text: str, color: object, anchor: str
    ) -> None:
        """Draw a text at (x, y); `anchor` as in Pillow."""
        draw.text(position, self.to_legible(text), color, self.font, anchor=anchor)  # type: ignore[arg-type]

    def to_legible(self, text: str) -> str:
        """The text as this font can show it: an ASCII-only font drops accents and replaces other letters with "?"."""
        if not self.ascii_only:
            return text
        letters = (c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
        return "".join(c if c.isascii() else "?" for c in letters)


def fit_scale(columns: int, width: int, max_width: int = SHEET_WIDTH) -> int:
    """The scale, 1 to MAX_SCALE, at which `columns` pictures of `width` pixels best fill at most `max_width` pixels."""
    return max(1, min(MAX_SCALE, max_width // (columns * (width + 1))))


def enlarge(image: Image.Image, scale: int) -> Image.Image:
    """The image with every pixel repeated as a square of scale × scale."""
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)


def contact_sheet(
    pictures: UInt8Images, columns: int | None = None, scale: int | None = None, gap: int = 1
) -> Image.Image:
    """Arrange pictures, uint8 (B, C, H, W), in a grid. The image has their mode: L, LA, RGB or RGBA.

    columns: by default such that the sheet is about square. scale: side of a pixel; by default the sheet is at most
    about SHEET_WIDTH wide. gap: space between pictures in their own pixels, transparent, or white without alpha.
    """
    number, channels, height, width = pictures.shape
    columns = columns or max(1, min(number, round((number * height / width) ** 0.5)))
    rows = -(-number // columns)
    background = 255 if channels in (1, 3) else 0
    canvas = pictures.new_full((channels, rows * (height + gap) - gap, columns * (width + gap) - gap), background)
    for i, picture in enumerate(pictures):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        canvas[:, top : top + height, left : left + width] = picture
    return enlarge(to_image(canvas[None]), scale or fit_scale(columns, width))


def checkerboard(width: int, height: int, cell_size: int) -> Image.Image:
    """An RGB checkerboard, the background that stands for transparency. Sizes in pixels."""
    y, x = torch.meshgrid(torch.arange(height) // cell_size, torch.arange(width) // cell_size, indexing="ij")
    colors = torch.tensor(CHECKER_COLORS, dtype=torch.uint8)
    return to_image(colors[(x + y) % 2].permute(2, 0, 1)[None])


def flatten_alpha(image: Image.Image, cell_size: int) -> Image.Image:
    """The image as RGB, composited on a checkerboard with cells of `cell_size` pixels if it has alpha."""
    if image.mode in ("L", "RGB"):
        return image.convert("RGB")
    background = checkerboard(image.width, image.height, cell_size).convert("RGBA")
    return Image.alpha_composite(background, image.convert("RGBA")).convert("RGB")


@dataclass(frozen=True)
class LabeledRow:
    """One row of a labeled sheet: pictures, uint8 (B, C, H, W), and their caption."""

    caption: str
    pictures: UInt8Images


def labeled_sheet(
    rows: Sequence[LabeledRow], title: str = "", headers: Sequence[str] = (), scale: int | None = None
) -> Image.Image:
    """Draw rows of pictures of one size, each with its caption at the left, under a title and column headers. RGB.

    scale: side of a pixel; by default the pictures are at most about LABELED_WIDTH wide together.
    """
    height, width = rows[0].pictures.shape[2:]
    columns = max(len(row.pictures) for row in rows)
    scale = scale or fit_scale(columns, width, LABELED_WIDTH)
    caption_font = CaptionFont(TEXT_SIZE, title + "".join(row.caption for row in rows))
    header_font = CaptionFont(TEXT_SIZE - 3, "".join(headers))
    caption_width = max(caption_font.width(row.caption) for row in rows)
    left = MARGIN + (caption_width + MARGIN if caption_width else 0)
    column_step, gap = (width + 1) * scale, max(4, scale)
    top = MARGIN + (2 * TEXT_SIZE if title else 0) + (TEXT_SIZE + 6 if headers else 0)
    row_step = height * scale + gap
    sheet_width = max(left + columns * column_step - scale + MARGIN, 2 * MARGIN + caption_font.width(title))
    canvas = Image.new("RGB", (sheet_width, top + len(rows) * row_step - gap + MARGIN), BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    caption_font.draw_text(draw, (MARGIN, MARGIN - 2), title, TEXT_COLOR, "la")
    for j, header in enumerate(headers):
        header_font.draw_text(draw, (left + j * column_step + width * scale / 2, top - 6), header, FAINT_COLOR, "ms")
    for i, row in enumerate(rows):
        y = top + i * row_step
        caption_font.draw_text(draw, (MARGIN, y + height * scale / 2), row.caption, TEXT_COLOR, "lm")
        for j, picture in enumerate(row.pictures):
            tile = flatten_alpha(enlarge(to_image(picture[None]), scale), max(1, scale * min(height, width) // 8))
            canvas.paste(tile, (left + j * column_step, y))
    return canvas


def _find_unicode_font() -> str | None:
    """The path of DejaVu Sans in matplotlib's package, which is not imported; None if it is not installed."""
    spec = find_spec("matplotlib")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    return str(path) if path.is_file() else None
