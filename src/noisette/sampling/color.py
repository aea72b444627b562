"""Colors as log-probabilities whose gradient guides samples (`GradientGuided`): they pull, and guarantee nothing.

One color is a target for the mean of a picture's visible pixels; several are a palette, and each pixel is pulled to the
nearest of it. Values are 0 … 1, premultiplied by alpha, so that transparent pixels do not count.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ..data.palette import check_colors, parse_color
from ..data.palette_lock import PaletteLock
from ..data.pictures import Pictures
from ..diffusion.guidance import LogProbFn
from ..errors import InputError
from ..models.codec import Codec
from ..shapes import Images, PerImage, Time

Colors = Float[Tensor, "k c"]  # 0 … 1, with the color channels of the pictures
Alpha = Float[Tensor, "b 1 h w"]
LUMA_WEIGHTS = (0.299, 0.587, 0.114)  # ITU-R BT.601


def parse_colors(hex_codes: Sequence[str], pictures: Pictures) -> Colors:
    """Colors written like #ff8000 as numbers, (k, 3) or (k, 1) in [0, 1], for pictures of this mode.

    Gray pictures get the luminance. Raises InputError for a code that is no color.
    """
    colors = [color.lower() for color in hex_codes]
    check_colors(colors)
    rgb = torch.tensor([parse_color(color) for color in colors], dtype=torch.float32, device="cpu") / 255
    return rgb if pictures.mode.startswith("RGB") else rgb @ rgb.new_tensor(LUMA_WEIGHTS)[:, None]


def color_log_prob(targets: Colors, codec: Codec) -> LogProbFn:
    """The log-probability of one mean color, or of a palette of several, as a function (x_t, x0, t) → (B,).

    targets: (k, C) from `parse_colors`, in [0, 1]. One color pulls the mean color of a picture, several pull each
    pixel to the nearest of them.
    """
    pictures = codec.pictures
    measure = mean_color_log_prob if len(targets) == 1 else palette_log_prob

    def log_prob(x: Images, x0: Images, t: Time) -> PerImage:
        values = (codec.to_images(x0) + 1) / 2
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


def make_palette_lock(
    colors: Sequence[str], lock: bool, dither: float | None = None, binary_alpha: bool = False
) -> PaletteLock | None:
    """The lock to these colors; None without `lock`. Raises InputError for options that need others."""
    if not lock:
        for name, given in (("dither", dither is not None), ("binary_alpha", binary_alpha)):
            if given:
                raise InputError(f"{name} is an option of lock: give lock, too, or leave it out")
        return None
    if not colors:
        raise InputError("lock needs a palette: give one, or leave lock out")
    return PaletteLock(tuple(colors), 0.0 if dither is None else dither, binary_alpha)
