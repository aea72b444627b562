"""Normal distributions, element by element, in nats: KL divergence, and the probability of an 8-bit value."""

import math

import torch
from torch import Tensor


def kl(mean: Tensor, std: Tensor, other_mean: Tensor, other_std: Tensor) -> Tensor:
    """KL(N(mean, std²) ‖ N(other_mean, other_std²)) (Ho et al. 2020, eq. 5)."""
    ratio = std / other_std
    return 0.5 * (ratio**2 + ((mean - other_mean) / other_std) ** 2 - 1) - ratio.log()


def discretized_log_prob(x: Tensor, mean: Tensor, std: Tensor, num_bins: int = 256) -> Tensor:
    """Log probability under N(mean, std²) of the bin around x, one of `num_bins` equidistant levels of [-1, 1].

    The bins of -1 and 1 extend to infinity (Ho et al. 2020, eq. 13).
    """
    half = 1 / (num_bins - 1)
    off, width = (x - mean) / std, half / std
    # mirrored into the lower tail, where the difference of two cdf values keeps its precision
    sign = torch.where(off > 0, -1.0, 1.0).to(x.dtype)
    inside = cdf(sign * off + width) - cdf(sign * off - width)
    below, above = cdf(off + width), cdf(width - off)
    mass = torch.where(x < -1 + half, below, torch.where(x > 1 - half, above, inside))
    return mass.clamp(min=1e-12).log()


def cdf(z: Tensor) -> Tensor:
    """The standard normal distribution function Φ(z), accurate in the lower tail."""
    return 0.5 * torch.erfc(-z / math.sqrt(2))
