"""Pictures in the colors of a palette alone: the nearest color in OKLab, with ordered dithering on request.

OKLab (Björn Ottosson, 2020, "A perceptual color space for image processing") is a color space in which equal distances
look about equal.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from ..errors import check_range
from ..shapes import Recolored, UInt8Images
from .palette import check_colors, parse_color

TO_LMS = (  # of linear sRGB
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
TO_LAB = (  # of the cube roots of LMS
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)
BAYER = ((0, 8, 2, 10), (12, 4, 14, 6), (3, 11, 1, 9), (15, 7, 13, 5))  # Bayer 1973
HALF = 128  # alpha from which a pixel is opaque, where alpha is made binary
BLOCK = 2**16  # colors that are compared at once


@dataclass(frozen=True)
class PaletteLock:
    """Gives each visible pixel the nearest color of a palette. InputError for values out of range.

    Partly transparent pixels get a color of the palette, too, and keep their alpha, unless `binary_alpha` makes it 0 or
    255. A pixel whose color is one of the palette keeps it.
    """

    colors: tuple[str, ...]  # #ff8000, 1 to 256
    dither: float = (
        0.0  # strength of ordered dithering, 0 to 1: in units of the palette's typical distance of lightness
    )
    binary_alpha: bool = False

    def __post_init__(self) -> None:
        check_colors(self.colors)
        check_range("dither", self.dither, 0, 1)

    def __call__(self, pixels: UInt8Images) -> Recolored:
        """Pictures of 1 to 4 channels, straight alpha, as RGB or RGBA, on the CPU. Clear pixels are black."""
        pixels = pixels.cpu()
        has_alpha = pixels.shape[1] in (2, 4)
        alpha = pixels[:, -1:] if has_alpha else torch.full_like(pixels[:, :1], 255)
        if self.binary_alpha:
            alpha = 255 * (alpha >= HALF).to(torch.uint8)
        rgb = (pixels[:, :-1] if has_alpha else pixels).expand(-1, 3, -1, -1)
        color = self._rgb[self._nearest(rgb)].permute(0, 3, 1, 2)
        color = color.masked_fill(alpha == 0, 0)
        return torch.cat([color, alpha], dim=1) if has_alpha else color

    @cached_property
    def _rgb(self) -> UInt8[Tensor, "k 3"]:
        return torch.tensor([parse_color(color) for color in self.colors], dtype=torch.uint8, device="cpu")

    def _nearest(self, rgb: UInt8Images) -> Int[Tensor, "b h w"]:
        """The number of each pixel's color."""
        count, _, height, width = rgb.shape
        palette, lab = oklab(self._rgb), oklab(rgb.permute(0, 2, 3, 1).reshape(-1, 3))
        numbers = _find_nearest(lab, palette)
        if self.dither:
            is_exact = (self._rgb[numbers] == rgb.permute(0, 2, 3, 1).reshape(-1, 3)).all(dim=1)
            shifted = lab.clone().reshape(count, height, width, 3)
            shifted[..., 0] += self.dither * typical_step(palette) * bayer(height, width)
            numbers = torch.where(is_exact, numbers, _find_nearest(shifted.reshape(-1, 3), palette))
        return numbers.reshape(count, height, width)


def oklab(rgb: UInt8[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    """Lightness L (0 to 1), a and b of sRGB colors, float64."""
    value = rgb.double() / 255
    linear = torch.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    to_lms, to_lab = (torch.tensor(m, dtype=torch.float64, device=rgb.device) for m in (TO_LMS, TO_LAB))
    return (linear @ to_lms.T).clamp(min=0) ** (1 / 3) @ to_lab.T


def typical_step(palette: Float[Tensor, "k 3"]) -> float:
    """The median distance of a color of the palette to the one that is nearest to it; 0 of a single color."""
    if len(palette) < 2:
        return 0.0
    distances = torch.cdist(palette, palette, compute_mode="donot_use_mm_for_euclid_dist")
    return float(distances.fill_diagonal_(torch.inf).min(dim=1).values.median())


def bayer(height: int, width: int) -> Float[Tensor, "h w"]:
    """Thresholds of ordered dithering, between -1/2 and 1/2, with mean 0 over 4×4 pixels."""
    pattern = (torch.tensor(BAYER, dtype=torch.float64, device="cpu") + 0.5) / 16 - 0.5
    return pattern.repeat(-(-height // 4), -(-width // 4))[:height, :width]


def _find_nearest(lab: Float[Tensor, "n 3"], palette: Float[Tensor, "k 3"]) -> Int[Tensor, "n"]:
    """The number of the nearest color; of several, the first."""
    parts = [
        torch.cdist(part, palette, compute_mode="donot_use_mm_for_euclid_dist").argmin(dim=1)
        for part in lab.split(BLOCK)
    ]
    return torch.cat(parts)
