"""Do the samples have the colours of the pictures? What a shifted mean or a grey veil does to a set."""

from dataclasses import dataclass
from statistics import mean

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from ..errors import InputError
from ..pictures import CHANNELS
from ..shapes import Bytes
from .features import light

CHANNEL_NAMES = {"L": ("grey",), "LA": ("grey", "alpha"), "RGB": ("red", "green", "blue")}
CHANNEL_NAMES["RGBA"] = (*CHANNEL_NAMES["RGB"], "alpha")


@dataclass(frozen=True)
class Difference:
    """A difference of two means and its standard error."""

    value: float
    error: float

    @property
    def sure(self) -> bool:
        """Beyond three standard errors, since there are several, and large enough to be seen: 2 of 255 levels."""
        return abs(self.value) > max(3 * self.error, 2 / 255)


@dataclass(frozen=True)
class Drift:
    """Samples less reference pictures, premultiplied light of 0 … 1, by channel."""

    brightness: dict[str, Difference]  # of a picture's mean
    contrast: dict[str, Difference]  # of its standard deviation over pixels


def drift(samples: Bytes, reference: UInt8[Tensor, "n _ _ _"]) -> Drift:
    """How far the samples' colours have moved from the reference pictures'."""
    if min(len(samples), len(reference)) < 2:
        raise InputError("colours of sets are compared: give at least 2 pictures of each")
    mode = next(mode for mode, count in CHANNELS.items() if count == samples.shape[1])

    def differences(x: Float[Tensor, "b c"], y: Float[Tensor, "n c"]) -> dict[str, Difference]:
        off = x.mean(0) - y.mean(0)
        error = (x.var(0) / len(x) + y.var(0) / len(y)).sqrt()
        pairs = zip(CHANNEL_NAMES[mode], off.tolist(), error.tolist(), strict=True)
        return {name: Difference(value, spread) for name, value, spread in pairs}

    x, y = (light(pixels).flatten(2).double() for pixels in (samples, reference))
    return Drift(differences(x.mean(2), y.mean(2)), differences(x.std(2), y.std(2)))


@dataclass(frozen=True)
class Palette:
    """What a picture's pixels are made of, on average over pictures."""

    colours: float  # different visible colours in a picture, alpha included
    clear: float | None  # share of pixels with alpha 0; None where there is no alpha
    partial: float | None  # share of pixels with alpha between 0 and 255


def palette(pixels: Bytes) -> Palette:
    """Colours and transparency: pixel art has few of the one and only two kinds of the other."""
    alpha = pixels[:, -1:] if pixels.shape[1] in (2, 4) else None
    seen = pixels if alpha is None else torch.where(alpha > 0, pixels, 0)
    code = torch.zeros(len(seen), seen[0, 0].numel(), dtype=torch.int64)
    for channel in seen.flatten(2).long().unbind(1):
        code = code * 256 + channel
    colours = mean(len(row.unique()) for row in code)
    if alpha is None:
        return Palette(colours, None, None)
    clear, full = (alpha == 0).double().mean().item(), (alpha == 255).double().mean().item()
    return Palette(colours, clear, 1 - clear - full)
