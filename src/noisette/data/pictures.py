"""The kind of pictures of a data set and a model: mode, size, and conversion between 8-bit files and model space.

Files hold straight alpha, 0 to 255. Model space is [-1, 1] with colors premultiplied by alpha: a fully transparent
pixel is -1 in every channel whatever its hidden color, and the mean of two pixels is their correct blend.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import torch

from ..errors import InputError
from ..shapes import MAX_SIDE, Images, UInt8Images
from .levels import Levels

Mode = Literal["L", "LA", "RGB", "RGBA"]
DataLayer = Literal["picture", "mask"]  # the two kinds of images that a data set may hold
DEFAULT_ALPHA_SNAP = (4, 251)  # of generated pictures, where the data's `alpha_snap` is not known
MODE_CHANNELS: dict[Mode, int] = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
MODE_BY_CHANNELS: dict[int, Mode] = {channels: mode for mode, channels in MODE_CHANNELS.items()}


@dataclass(frozen=True)
class TextEncoderInfo:
    """The text encoder that a model was trained with."""

    name: str  # as `open_encoder` takes it
    sha256: str  # of its weights
    width: int  # size of an embedding
    max_tokens: int  # maximum embeddings per text: one for the whole text, then one per token
    files_sha256: str | None = None  # of its config and tokenizer; None: stored by a version that did not hash them

    def __post_init__(self) -> None:
        for name, most in (("width", 16384), ("max_tokens", 4096)):
            if not 1 <= getattr(self, name) <= most:
                raise InputError(f"the text encoder's {name} must be 1 to {most}, got {getattr(self, name)}")

    def is_same_encoder(self, other: "TextEncoderInfo") -> bool:
        """Whether both have the same weights and, where both are known, the same config and tokenizer."""
        files = {self.files_sha256, other.files_sha256} - {None}
        return self.sha256 == other.sha256 and len(files) < 2


@dataclass(frozen=True)
class LatentSpace:
    """The size of an autoencoder's latents, and whose they are."""

    channels: int
    factor: int  # pixels per latent pixel and side
    autoencoder: str = ""  # its hash: latents of another one mean something else

    def __post_init__(self) -> None:
        for name, most in (("channels", 64), ("factor", 32)):
            if not 1 <= getattr(self, name) <= most:
                raise InputError(f"{name} of the latents must be 1 to {most}, got {getattr(self, name)}")


@dataclass(frozen=True)
class Pictures:
    """The kind of pictures that a data set holds and a model generates. Stored in config.json and data.json."""

    mode: Mode = "RGB"
    height: int = 16
    width: int = 16
    labels: tuple[str, ...] = ()  # class names; the position is the class number
    attributes: tuple[str, ...] = ()  # names of the condition vector's entries, such as "hue" or "shape=round"
    pixel_art: bool = False  # training pictures were resized by whole factors, without averaging colors
    binary_alpha: bool = False  # alpha of the training pictures is only 0 or 255; decoding rounds to that
    alpha_snap: tuple[int, ...] = ()  # decoding sets alpha up to the first to 0, from the second on to 255; (): unknown
    means: tuple[float, ...] = ()  # of each attribute, in its own unit; 0 for a word
    scales: tuple[float, ...] = ()  # standard deviation of each attribute; 1 for a word
    text_encoder: TextEncoderInfo | None = None  # None: captions are not used
    levels: Levels | None = None  # of gray pictures of more than 8 bits, what was scaled to 0 and 255; None: nothing
    latent: LatentSpace | None = None  # what a latent model's network works on; None: the pixels

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise InputError(f"mode must be one of {', '.join(get_args(Mode))}, got {self.mode!r}")
        if not 8 <= min(self.height, self.width) <= max(self.height, self.width) <= MAX_SIDE:
            raise InputError(f"height and width must be 8 to {MAX_SIDE} pixels, got {self.height}×{self.width}")
        if self.levels is not None and self.mode != "L":
            raise InputError(
                f"pictures with levels have the mode L, got {self.mode}: percentiles are for gray pictures"
            )
        if self.alpha_snap and not (len(self.alpha_snap) == 2 and 0 <= self.alpha_snap[0] < self.alpha_snap[1] <= 255):
            raise InputError(f"alpha_snap must be two levels from 0 to 255, increasing, got {list(self.alpha_snap)}")
        if len(self.means) != len(self.scales) or (self.scales and len(self.scales) != len(self.attributes)):
            raise InputError(
                f"{len(self.attributes)} attributes have {len(self.means)} means and {len(self.scales)} scales: "
                "give one mean and one scale per attribute, or none"
            )

    @property
    def token_dim(self) -> int:
        """Size of a text embedding; 0 if captions are not used."""
        return 0 if self.text_encoder is None else self.text_encoder.width

    @property
    def channels(self) -> int:
        """Number of channels, 1 to 4."""
        return MODE_CHANNELS[self.mode]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.channels, self.height, self.width

    @property
    def model_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of what the diffusion process and the network work on: pictures, or their latents."""
        if self.latent is None:
            return self.shape
        return self.latent.channels, -(-self.height // self.latent.factor), -(-self.width // self.latent.factor)

    @property
    def model_channels(self) -> int:
        """The first number of `model_shape`."""
        return self.model_shape[0]

    @property
    def has_alpha(self) -> bool:
        """Whether the last channel is alpha."""
        return self.mode in ("LA", "RGBA")

    def encode(self, pixels: UInt8Images) -> Images:
        """uint8 pixels with straight alpha to model space, float32 in [-1, 1] premultiplied; (B, C, H, W)."""
        x = pixels.float() / 255
        if self.has_alpha:
            x = torch.cat([x[:, :-1] * x[:, -1:], x[:, -1:]], dim=1)
        return 2 * x - 1

    def decode(self, x: Images) -> UInt8Images:
        """Model space (clipped to [-1, 1]) to uint8 with straight alpha; (B, C, H, W). The inverse of `encode`.

        Color is 0 where alpha is 0. Alpha is set to 0 or 255 as `binary_alpha` and `alpha_snap` say: a model reproduces
        exactly transparent and exactly opaque pixels only approximately.
        """
        x = ((x.float() + 1) / 2).clamp(0, 1)
        if not self.has_alpha:
            return (x * 255).round().to(torch.uint8)
        # the color was premultiplied by the generated alpha, so divide by that, not by the rounded one
        color = torch.where(x[:, -1:] > 0.5 / 255, x[:, :-1] / x[:, -1:].clamp(min=1e-6), 0).clamp(0, 1)
        alpha = ((x[:, -1:].round() if self.binary_alpha else x[:, -1:]) * 255).round()
        low, high = self.alpha_snap or (0, 255)
        alpha = alpha.masked_fill(alpha <= low, 0).masked_fill(alpha >= high, 255)
        color = (color * 255).round().masked_fill(alpha == 0, 0)
        return torch.cat([color, alpha], dim=1).to(torch.uint8)

    def decode_samples(self, x: Images) -> UInt8Images:
        """`decode` for generated pictures: with DEFAULT_ALPHA_SNAP, if the data's is not known."""
        return (self if self.alpha_snap else replace(self, alpha_snap=DEFAULT_ALPHA_SNAP)).decode(x)


def find_mode(channels: int, where: str | Path) -> Mode:
    """The picture mode (L, LA, RGB, RGBA) with that number of channels."""
    if channels not in MODE_BY_CHANNELS:
        raise InputError(f"{where}: the network has {channels} picture channels; 1 to 4 are supported")
    return MODE_BY_CHANNELS[channels]
