"""Letters for captions. Pillow brings a font of plain Latin letters, matplotlib, where it is there, a fuller one."""

import unicodedata
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageDraw, ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


class Letters:
    """A size of letters that can show every one of some texts, as well as this machine can."""

    def __init__(self, size: int, texts: str) -> None:
        wide = None if texts.isascii() else _wide()
        self.font: Font = ImageFont.load_default(size) if wide is None else ImageFont.truetype(wide, size)
        self.plain = wide is None

    def width(self, text: str) -> int:
        return round(self.font.getlength(self.legible(text)))

    def write(self, draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, ink: object, anchor: str) -> None:
        draw.text(at, self.legible(text), ink, self.font, anchor=anchor)  # type: ignore[arg-type]

    def legible(self, text: str) -> str:
        """Without accents where the font has none, and with ? for other alphabets."""
        if not self.plain:
            return text
        letters = (c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
        return "".join(c if c.isascii() else "?" for c in letters)


def _wide() -> str | None:
    """DejaVu Sans, from matplotlib's own files; matplotlib itself is not imported."""
    found = find_spec("matplotlib")
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    return str(path) if path.is_file() else None
