"""What one picture is: its mode and size, and the way between 8-bit files and the model's space.

Files hold straight alpha, 0 … 255. The model sees [-1, 1], with colours premultiplied by alpha: a fully transparent
pixel is -1 in every channel whatever colour it hid, and an average of two pixels is their blend as light.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch

from .errors import InputError
from .shapes import Bytes, Images

Mode = Literal["L", "LA", "RGB", "RGBA"]
Layer = Literal["picture", "mask"]  # of a data set
NEARLY = 4  # levels of alpha
CHANNELS: dict[Mode, int] = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}


@dataclass(frozen=True)
class Wording:
    """How texts become numbers for a model."""

    encoder: str  # its name: what `open_encoder` finds
    sha256: str  # of its weights
    width: int  # entries of a row
    rows: int  # that a text has: itself as a whole, and its tokens


@dataclass(frozen=True)
class Pictures:
    """The kind of pictures that a data set holds and a model draws."""

    mode: Mode = "RGB"
    height: int = 16
    width: int = 16
    labels: tuple[str, ...] = ()  # names of the classes, in the order of their numbers
    attributes: tuple[str, ...] = ()  # names of the entries of the condition vector: hue, shape=round
    pixel_art: bool = False  # resized by whole numbers only, no colour invented
    binary_alpha: bool = False  # alpha is 0 or 255, nothing between
    means: tuple[float, ...] = ()  # of each attribute's entry, in its own units; 0 for a word
    scales: tuple[float, ...] = ()  # their deviations; 1 for a word
    wording: Wording | None = None  # how their captions are read; None: nobody reads them

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise InputError(f"pictures of mode {self.mode!r} are unknown here: use one of {', '.join(get_args(Mode))}")
        if min(self.height, self.width) < 8:
            raise InputError(f"pictures of {self.height}×{self.width} are too small: 8 pixels a side at least")
        if len(self.means) != len(self.scales) or (self.scales and len(self.scales) != len(self.attributes)):
            raise InputError(
                f"{len(self.attributes)} attributes have {len(self.means)} means and {len(self.scales)} scales: "
                "each has one of both, or none has"
            )

    @property
    def tokens(self) -> int:
        """Entries of a row of the condition's tokens; 0 where captions are not read."""
        return 0 if self.wording is None else self.wording.width

    @property
    def channels(self) -> int:
        return CHANNELS[self.mode]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.channels, self.height, self.width

    @property
    def has_alpha(self) -> bool:
        return self.mode in ("LA", "RGBA")

    def encode(self, pixels: Bytes) -> Images:
        """8-bit straight alpha to [-1, 1] premultiplied."""
        x = pixels.float() / 255
        if self.has_alpha:
            x = torch.cat([x[:, :-1] * x[:, -1:], x[:, -1:]], dim=1)
        return 2 * x - 1

    def decode(self, x: Images) -> Bytes:
        """[-1, 1] premultiplied, clipped, to 8-bit straight alpha; colour under alpha 0 is 0. Exact within rounding."""
        x = ((x.float() + 1) / 2).clamp(0, 1)
        if self.has_alpha:
            alpha = x[:, -1:]
            if self.binary_alpha:
                alpha = alpha.round()
            # with a snapped alpha the true coverage is unknown: divide by what the model drew, not by what was kept
            colour = torch.where(alpha > 0.5 / 255, x[:, :-1] / x[:, -1:].clamp(min=1e-6), 0)
            x = torch.cat([colour.clamp(0, 1), alpha], dim=1)
        return (x * 255).round().to(torch.uint8)

    def finished(self, x: Images) -> Bytes:
        """`decode`, for what a model drew freely: an alpha that is all but clear or opaque is so.

        A model means clear and opaque, and hits them within some levels only.
        """
        pixels = self.decode(x)
        if not self.has_alpha:
            return pixels
        colour, alpha = pixels[:, :-1], pixels[:, -1:]
        colour = torch.where(alpha <= NEARLY, 0, colour)
        alpha = torch.where(alpha <= NEARLY, 0, torch.where(alpha >= 255 - NEARLY, 255, alpha))
        return torch.cat([colour, alpha], dim=1)
