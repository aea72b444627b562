"""Pictures as one holds them in Python: the pixels, what each is called, and how they look side by side."""

from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image

from ..display import Displayed
from ..shapes import Bytes
from .grid import sheet
from .png import png, write_png


@dataclass(frozen=True, eq=False)
class Gallery(Displayed):
    """Pictures (B, C, H, W), 8-bit with straight alpha. A notebook shows them enlarged, every pixel a square."""

    pixels: Bytes
    names: tuple[str, ...] = ()  # of each, or none

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, which: int | slice) -> "Gallery":
        """Some of them, or one."""
        rows = range(len(self))[which]
        some = [rows] if isinstance(rows, int) else list(rows)
        return Gallery(self.pixels[some], tuple(self.names[i] for i in some) if self.names else ())

    def __add__(self, other: "Gallery") -> "Gallery":
        """Both, one after the other; unnamed where one of them is."""
        names = self.names + other.names if self.names and other.names else ()
        return Gallery(torch.cat([self.pixels, other.pixels]), names)

    def image(self, columns: int | None = None, scale: int | None = None) -> Image.Image:
        """All on one sheet, enlarged by a whole number."""
        return sheet(self.pixels, columns, scale)

    def save(self, path: str | Path, columns: int | None = None, scale: int | None = None) -> None:
        """The sheet as a PNG."""
        write_png(Path(path), self.image(columns, scale))

    def _repr_png_(self) -> bytes:
        return png(self.image())
