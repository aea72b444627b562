"""Normal distributions: divergence, and the probability of an 8-bit value. All pixel by pixel, in nats."""

import math

import torch
from torch import Tensor


def kl(mean: Tensor, std: Tensor, other_mean: Tensor, other_std: Tensor) -> Tensor:
    """KL(N(mean, std²) ‖ N(other_mean, other_std²)) (Ho et al. 2020, eq. 5)."""
    ratio = std / other_std
    return 0.5 * (ratio**2 + ((mean - other_mean) / other_std) ** 2 - 1) - ratio.log()


def discretised_log_prob(x: Tensor, mean: Tensor, std: Tensor, bins: int = 256) -> Tensor:
    """ln of what N(mean, std²) gives to x's bin, for x on `bins` levels of [-1, 1]; the outermost bins are open
    (Ho et al. 2020, eq. 13)."""
    half = 1 / (bins - 1)
    off, width = (x - mean) / std, half / std
    # the mass is the same in the mirrored tail, where the subtraction keeps its digits
    sign = torch.where(off > 0, -1.0, 1.0).to(x.dtype)
    inside = cdf(sign * off + width) - cdf(sign * off - width)
    below, above = cdf(off + width), cdf(width - off)
    mass = torch.where(x < -1 + half, below, torch.where(x > 1 - half, above, inside))
    return mass.clamp(min=1e-12).log()


def cdf(z: Tensor) -> Tensor:
    """Φ(z), with its digits in the lower tail."""
    return 0.5 * torch.erfc(-z / math.sqrt(2))
