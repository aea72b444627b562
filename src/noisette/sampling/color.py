"""Colors as log-probabilities whose gradient guides samples (`GradientGuided`): they pull, and guarantee nothing.

One color is a target for the mean of a picture's visible pixels; several are a palette, and each pixel is pulled to the
nearest of it. Values are 0 … 1, premultiplied by alpha, so that transparent pixels do not count.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from ..data.input_picture import read_palette
from ..data.pictures import Pictures
from ..diffusion.guidance import LogProbFn
from ..errors import InputError
from ..shapes import Images, PerImage, Time

Colors = Float[Tensor, "k c"]  # 0 … 1, with the color channels of the pictures
Alpha = Float[Tensor, "b 1 h w"]
MAX_COLORS = 256  # colors of a palette
LUMA_WEIGHTS = (0.299, 0.587, 0.114)  # ITU-R BT.601


def read_colors(source: str | Path | Sequence[str]) -> tuple[str, ...]:
    """Colors as "#ff8000" each: of "#ff8000,#000000", of a sequence of them, or of the visible pixels of a PNG."""
    if isinstance(source, str) and source.startswith("#"):
        source = source.split(",")
    if not isinstance(source, str | Path):
        return tuple(color.strip().lower() for color in source)
    colors = read_palette(source)
    if len(colors) > MAX_COLORS:
        raise InputError(f"{source} has {len(colors)} colors: a palette has at most {MAX_COLORS}")
    return format_colors(colors)


def parse_colors(hex_codes: Sequence[str], pictures: Pictures) -> Colors:
    """Colors written like #ff8000 as numbers, for pictures of this mode: gray pictures get the luminance."""
    rows = []
    for text in hex_codes:
        if not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
            raise InputError(f"{text!r} is no color: write it like #ff8000")
        rows.append([int(text[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    if not 1 <= len(rows) <= MAX_COLORS:
        raise InputError(f"a palette must have 1 to {MAX_COLORS} colors, got {len(rows)}")
    rgb = torch.tensor(rows, dtype=torch.float32, device="cpu")
    return rgb if pictures.mode.startswith("RGB") else rgb @ rgb.new_tensor(LUMA_WEIGHTS)[:, None]


def format_colors(pixels: Float[Tensor, "n 3"]) -> tuple[str, ...]:
    """Pixels, 0 … 255, as text like #ff8000: each color once, sorted by its numbers."""
    return tuple(f"#{r:02x}{g:02x}{b:02x}" for r, g, b in sorted({tuple(map(int, row)) for row in pixels.tolist()}))


def color_log_prob(targets: Colors, pictures: Pictures) -> LogProbFn:
    """The log-probability of one mean color, or of a palette of several."""
    measure = mean_color_log_prob if len(targets) == 1 else palette_log_prob

    def log_prob(x: Images, x0: Images, t: Time) -> PerImage:
        values = (x0 + 1) / 2
        alpha = values[:, -1:] if pictures.has_alpha else torch.ones_like(values[:, :1])
        return measure(values[:, :-1] if pictures.has_alpha else values, alpha.clamp(min=0), targets.to(x0))

    return log_prob


def mean_color_log_prob(values: Images, alpha: Alpha, targets: Colors) -> PerImage:
    """−|mean color − target|²: up to a constant, times a scale s, a Gaussian of standard deviation 1/√(2s)."""
    mean = values.sum((2, 3)) / alpha.sum((2, 3)).clamp(min=1.0)
    return -(mean - targets[0]).square().sum(1)


def palette_log_prob(values: Images, alpha: Alpha, targets: Colors) -> PerImage:
    """−Σ |color − nearest palette color|² over the pixels, weighted by alpha, over the side √(h w).

    No gradient flows through alpha: a picture could else approach every palette by fading.
    """
    premultiplied = alpha.detach()[:, None] * targets[None, :, :, None, None]
    distance = (values[:, None] - premultiplied).square().sum(2)  # (b, k, h, w)
    return -distance.min(1).values.sum((1, 2)) / (values.shape[2] * values.shape[3]) ** 0.5
