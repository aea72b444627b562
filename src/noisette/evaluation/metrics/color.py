"""The colors of a set of pictures: drift of brightness and contrast, palette sizes, transparency."""

from dataclasses import dataclass
from statistics import mean

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from ...data.pictures import MODE_CHANNELS
from ...errors import InputError
from ...shapes import UInt8Images
from .features import premultiply, require_uint8

CHANNEL_NAMES = {"L": ("gray",), "LA": ("gray", "alpha"), "RGB": ("red", "green", "blue")}
CHANNEL_NAMES["RGBA"] = (*CHANNEL_NAMES["RGB"], "alpha")


@dataclass(frozen=True)
class MeanDifference:
    """A difference of two means and its standard error."""

    value: float
    error: float

    @property
    def is_significant(self) -> bool:
        """Whether it exceeds three standard errors, and 2 of 255 levels, which is about what an eye can see."""
        return abs(self.value) > max(3 * self.error, 2 / 255)


@dataclass(frozen=True)
class ColorDrift:
    """Mean of the samples minus mean of the reference, premultiplied, 0 … 1, for each channel."""

    brightness: dict[str, MeanDifference]  # of a picture's mean
    contrast: dict[str, MeanDifference]  # of its standard deviation over pixels


def measure_color_drift(samples: UInt8Images, reference: UInt8[Tensor, "n _ _ _"]) -> ColorDrift:
    """Differences of brightness and contrast, by channel, with their standard errors.

    samples, reference: uint8 (b, c, h, w) and (n, c, h, w). Raises InputError for fewer than 2 of either.
    """
    if min(len(samples), len(reference)) < 2:
        raise InputError(
            f"colors are compared between at least 2 pictures of each set, got {len(samples)} and {len(reference)}"
        )
    mode = next(mode for mode, count in MODE_CHANNELS.items() if count == samples.shape[1])

    def differences(x: Float[Tensor, "b c"], y: Float[Tensor, "n c"]) -> dict[str, MeanDifference]:
        off = x.mean(0) - y.mean(0)
        error = (x.var(0) / len(x) + y.var(0) / len(y)).sqrt()
        pairs = zip(CHANNEL_NAMES[mode], off.tolist(), error.tolist(), strict=True)
        return {name: MeanDifference(value, spread) for name, value, spread in pairs}

    x, y = (premultiply(pixels).flatten(2).double() for pixels in (samples, reference))
    return ColorDrift(differences(x.mean(2), y.mean(2)), differences(x.std(2), y.std(2)))


@dataclass(frozen=True)
class PaletteStats:
    """Colors and transparency, averages over pictures."""

    colors: float  # different visible colors in a picture, alpha included
    transparent: float | None  # share of pixels with alpha 0; None where there is no alpha
    semi_transparent: float | None  # share of pixels with alpha between 0 and 255


def measure_palette(pixels: UInt8Images) -> PaletteStats:
    """Count the colors and transparent pixels of uint8 pictures. Pixel art has few colors and a binary alpha."""
    require_uint8(pixels)
    alpha = pixels[:, -1:] if pixels.shape[1] in (2, 4) else None
    seen = pixels if alpha is None else torch.where(alpha > 0, pixels, 0)
    code = torch.zeros(len(seen), seen[0, 0].numel(), dtype=torch.int64)
    for channel in seen.flatten(2).long().unbind(1):
        code = code * 256 + channel
    colors = mean(len(row.unique()) for row in code)
    if alpha is None:
        return PaletteStats(colors, None, None)
    clear, full = (alpha == 0).double().mean().item(), (alpha == 255).double().mean().item()
    return PaletteStats(colors, clear, 1 - clear - full)
