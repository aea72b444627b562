"""Kernel distances: the squared maximum mean discrepancy between two sets of features.

    MMD² = E k(x, x') + E k(y, y') − 2 E k(x, y)

With k(x, y) = (x·y / d + 1)³ it is the kernel inception distance (Bińkowski et al. 2018, §4), which compares moments up
to the third; with a Gaussian kernel it compares all moments, as CMMD does (Jayasumana et al. 2024).

The estimator leaves out each picture's product with itself, so its mean is the true value at every sample size, and it
can be negative. It takes *weighted* pictures: weights of 1 give the estimate, 0 and 1 that of a subset, and the counts
of a resampling a bootstrap. A picture that was resampled twice is not compared with itself, which keeps the bootstrap
free of the bias that repeats would bring.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ...diffusion.noise import make_generator
from ...errors import InputError
from .features import Features, OtherFeatures
from .interval import ConfidenceInterval

Kernel = Callable[[Features, OtherFeatures], Float[Tensor, "b n"]]
Weights = Float[Tensor, "rows b"]
OtherWeights = Float[Tensor, "rows n"]
BLOCK_ROWS = 1024  # rows of the kernel matrix at a time, so that 50,000 pictures fit into memory


def cubic_kernel(x: Features, y: OtherFeatures) -> Float[Tensor, "b n"]:
    """(x·y / d + 1)³, the kernel of KID (Bińkowski et al. 2018): (b, d), (n, d) → (b, n)."""
    return (x @ y.T / x.shape[1] + 1) ** 3


@dataclass(frozen=True)
class GaussianKernel:
    """exp(−|x − y|² / 2h²): (b, d), (n, d) → (b, n)."""

    bandwidth: float  # h, in units of the features

    @classmethod
    def from_median_distance(cls, x: Features) -> "GaussianKernel":
        """The bandwidth is the median distance between two of the first 1,024 rows (Gretton et al. 2012, §8)."""
        distances = torch.pdist(x[:BLOCK_ROWS].double())
        return cls(max(distances.median().item(), 1e-12))

    def __call__(self, x: Features, y: OtherFeatures) -> Float[Tensor, "b n"]:
        return (-0.5 * (torch.cdist(x, y) / self.bandwidth) ** 2).exp()


def kid(x: Features, y: OtherFeatures, kernel: Kernel = cubic_kernel) -> float:
    """The unbiased estimate of MMD² between two sets of features, (b, d) and (n, d).

    With the default kernel it is KID (Bińkowski et al. 2018), in its own unit: papers print it × 1000. 0 for equal
    distributions; it can be negative. Raises InputError for fewer than 2 rows in either.
    """
    ones = torch.ones(1, max(len(x), len(y)), dtype=torch.float64)
    return _weighted_mmd(x, y, ones[:, : len(x)], ones[:, : len(y)], kernel).item()


def kid_interval(
    x: Features,
    y: OtherFeatures,
    *,
    resamples: int = 200,
    confidence: float = 0.95,
    seed: int = 0,
    kernel: Kernel = cubic_kernel,
) -> ConfidenceInterval:
    """`kid` with its percentile bootstrap interval: both sets are resampled `resamples` times.

    confidence: the share of the interval, 0.95 by default. seed: which rows are resampled.
    """
    tails = torch.tensor([(1 - confidence) / 2, (1 + confidence) / 2], dtype=torch.float64)
    low, high = kid_bootstrap(x, y, resamples=resamples, seed=seed, kernel=kernel).quantile(tails).tolist()
    return ConfidenceInterval(kid(x, y, kernel), low, high)


def kid_bootstrap(
    x: Features, y: OtherFeatures, *, resamples: int = 200, seed: int = 0, kernel: Kernel = cubic_kernel
) -> Float[Tensor, "draws"]:
    """`kid` on `resamples` resampled pairs of sets, (resamples,) float64.

    Which rows are resampled depends on the sizes of the sets and the seed alone, so for sets of equal sizes the
    differences of two such tensors are paired.
    """
    generator = make_generator("kid interval", seed)

    def counts(n: int) -> Float[Tensor, "rows n"]:
        drawn = torch.randint(n, (resamples, n), generator=generator)
        return torch.zeros(resamples, n, dtype=torch.float64).scatter_add_(1, drawn, torch.ones_like(drawn).double())

    return _weighted_mmd(x, y, counts(len(x)), counts(len(y)), kernel)


def _weighted_mmd(
    x: Features, y: OtherFeatures, wx: Weights, wy: OtherWeights, kernel: Kernel
) -> Float[Tensor, "rows"]:
    """One unbiased estimate for each row of weights."""
    if min(len(x), len(y)) < 2:
        raise InputError(f"KID needs at least 2 pictures in each set, got {len(x)} and {len(y)}")
    x, y = x.double(), y.double()
    between = _weighted_kernel_sum(x, y, wx, wy, kernel) / (wx.sum(1) * wy.sum(1))
    return _mean_within(x, wx, kernel) + _mean_within(y, wy, kernel) - 2 * between


def _mean_within(x: Features, w: Weights, kernel: Kernel) -> Float[Tensor, "rows"]:
    """Σ_{i≠j} w_i w_j k(x_i, x_j) / Σ_{i≠j} w_i w_j."""
    itself = torch.cat([kernel(row, row).flatten() for row in x.split(1)])
    return (_weighted_kernel_sum(x, x, w, w, kernel) - w.square() @ itself) / (w.sum(1).square() - w.square().sum(1))


def _weighted_kernel_sum(
    x: Features, y: OtherFeatures, wx: Weights, wy: OtherWeights, kernel: Kernel
) -> Float[Tensor, "rows"]:
    """Σ_{i,j} w_i v_j k(x_i, y_j), a block of rows of the kernel at a time."""
    total = torch.zeros(len(wx), dtype=torch.float64)
    for start in range(0, len(x), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        total += ((wx[:, rows] @ kernel(x[rows], y)) * wy).sum(1)
    return total
