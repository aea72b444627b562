"""Wishes about colours, as log-probabilities that `GradientGuided` follows.

One colour is what all that shows in a picture should come to, on the whole; several are a palette, one of which each
pixel should have. Both are in a picture's light, 0 … 1: premultiplied by alpha, so what is clear wishes nothing.
"""

import re
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError
from ..guidance import LogProb
from ..pictures import Pictures
from ..shapes import Images, PerImage, Time

Colours = Float[Tensor, "k c"]  # 0 … 1, of as many channels as the pictures have colours
Alpha = Float[Tensor, "b 1 h w"]
MOST = 256  # colours of a palette
LUMA = (0.299, 0.587, 0.114)  # of ITU-R BT.601, by which pictures are made grey


def colours(texts: Sequence[str], pictures: Pictures) -> Colours:
    """Colours written as #ff8000, for pictures of this mode: a grey one has their luminance."""
    rows = []
    for text in texts:
        if not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
            raise InputError(f"{text!r} is no colour: write it like #ff8000")
        rows.append([int(text[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    if not 1 <= len(rows) <= MOST:
        raise InputError(f"a wish is for 1 to {MOST} colours, not {len(rows)}")
    rgb = torch.tensor(rows)
    return rgb if pictures.mode.startswith("RGB") else rgb @ torch.tensor(LUMA)[:, None]


def written(pixels: Float[Tensor, "n 3"]) -> tuple[str, ...]:
    """Colours 0 … 255 as people write them, each once, in the order of their numbers."""
    return tuple(f"#{r:02x}{g:02x}{b:02x}" for r, g, b in sorted({tuple(map(int, row)) for row in pixels.tolist()}))


def towards(wanted: Colours, pictures: Pictures) -> LogProb:
    """The wish for one colour, or for a palette of several."""
    ask = mean_colour if len(wanted) == 1 else palette

    def log_prob(x: Images, x0: Images, t: Time) -> PerImage:
        light = (x0 + 1) / 2
        alpha = light[:, -1:] if pictures.has_alpha else torch.ones_like(light[:, :1])
        return ask(light[:, :-1] if pictures.has_alpha else light, alpha.clamp(min=0), wanted.to(x0))

    return log_prob


def mean_colour(light: Images, alpha: Alpha, wanted: Colours) -> PerImage:
    """−|mean colour − wanted|²: at scale s, the mean is wanted within 1/√(2s)."""
    mean = light.sum((2, 3)) / alpha.sum((2, 3)).clamp(min=1.0)
    return -(mean - wanted[0]).square().sum(1)


def palette(light: Images, alpha: Alpha, wanted: Colours) -> PerImage:
    """−Σ |colour − nearest of the palette|² over the pixels, as visible as each is; over the side, since neighbours
    move together. How visible it is is not for the wish to change: a picture that fades is near to every palette."""
    off = (light[:, None] - alpha.detach()[:, None] * wanted[None, :, :, None, None]).square().sum(2)  # (b, k, h, w)
    return -off.min(1).values.sum((1, 2)) / (light.shape[2] * light.shape[3]) ** 0.5
