"""Pictures in Python: their pixels and names, and a contact sheet of them."""

from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image

from ..data.contact_sheet import contact_sheet
from ..data.png import encode_png, write_png
from ..display import Displayed
from ..shapes import UInt8Images


@dataclass(frozen=True, eq=False)
class Gallery(Displayed):
    """Pictures (B, C, H, W), 8-bit with straight alpha. A notebook shows them enlarged, every pixel a square."""

    pixels: UInt8Images
    names: tuple[str, ...] = ()  # one for each picture, or none at all

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int | slice) -> "Gallery":
        """A gallery of one of the pictures, or of a slice of them."""
        rows = range(len(self))[index]
        some = [rows] if isinstance(rows, int) else list(rows)
        return Gallery(self.pixels[some], tuple(self.names[i] for i in some) if self.names else ())

    def __add__(self, other: "Gallery") -> "Gallery":
        """The pictures of both galleries; without names where one of them has none."""
        names = self.names + other.names if self.names and other.names else ()
        return Gallery(torch.cat([self.pixels, other.pixels]), names)

    def image(self, columns: int | None = None, scale: int | None = None) -> Image.Image:
        """All pictures on one sheet, each pixel enlarged to scale × scale. None: about a square."""
        return contact_sheet(self.pixels, columns, scale)

    def save(self, path: str | Path, columns: int | None = None, scale: int | None = None) -> None:
        """Write the sheet as a PNG."""
        write_png(Path(path), self.image(columns, scale))

    def _repr_png_(self) -> bytes:
        return encode_png(self.image())
