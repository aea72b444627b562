"""Kernel distances: the squared maximum mean discrepancy between two sets of features.

    MMD² = E k(x, x') + E k(y, y') − 2 E k(x, y)

With k(x, y) = (x·y / d + 1)³ it is the kernel inception distance (Bińkowski et al. 2018, §4), which compares moments up
to the third; with a Gaussian kernel it compares everything, as CMMD does (Jayasumana et al. 2024).

The estimator leaves out each picture's product with itself, so its mean is the true value at every sample size and it
may be negative. It is written once, for *weighted* pictures: weights of 1 give the estimate, 0 and 1 a subset, and
counts of draws a bootstrap; a picture that was drawn twice is not compared with itself, which keeps a resampled
estimate free of the bias that repeats would bring.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError
from ..noise import keyed
from .features import Features, Others
from .interval import Interval

Kernel = Callable[[Features, Others], Float[Tensor, "b n"]]
Weights = Float[Tensor, "rows b"]
OtherWeights = Float[Tensor, "rows n"]
BLOCK = 1024  # pictures a time, so that 50,000 fit


def cubic(x: Features, y: Others) -> Float[Tensor, "b n"]:
    """(x·y / d + 1)³."""
    return (x @ y.T / x.shape[1] + 1) ** 3


@dataclass(frozen=True)
class Gaussian:
    """exp(−|x − y|² / 2h²)."""

    bandwidth: float

    @classmethod
    def median(cls, x: Features) -> "Gaussian":
        """As wide as the median distance between two pictures of a reference set (Gretton et al. 2012, §8)."""
        distances = torch.pdist(x[:BLOCK].double())
        return cls(max(distances.median().item(), 1e-12))

    def __call__(self, x: Features, y: Others) -> Float[Tensor, "b n"]:
        return (-0.5 * (torch.cdist(x, y) / self.bandwidth) ** 2).exp()


def kid(x: Features, y: Others, kernel: Kernel = cubic) -> float:
    """The unbiased estimate, in the kernel's own unit (papers print it × 1000)."""
    ones = torch.ones(1, max(len(x), len(y)), dtype=torch.float64)
    return _estimates(x, y, ones[:, : len(x)], ones[:, : len(y)], kernel).item()


def kid_interval(
    x: Features, y: Others, *, draws: int = 200, level: float = 0.95, seed: int = 0, kernel: Kernel = cubic
) -> Interval:
    """The estimate, and the percentiles of `draws` bootstraps that resample both sets."""
    tails = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64)
    low, high = kid_draws(x, y, draws=draws, seed=seed, kernel=kernel).quantile(tails).tolist()
    return Interval(kid(x, y, kernel), low, high)


def kid_draws(
    x: Features, y: Others, *, draws: int = 200, seed: int = 0, kernel: Kernel = cubic
) -> Float[Tensor, "draws"]:
    """Estimates on resampled sets. Which pictures are drawn depends on the sets' sizes and the seed alone: of sets of
    equal sizes the same ones, so the differences of two such tensors are paired."""
    generator = keyed("kid interval", seed)

    def counts(n: int) -> Float[Tensor, "rows n"]:
        drawn = torch.randint(n, (draws, n), generator=generator)
        return torch.zeros(draws, n, dtype=torch.float64).scatter_add_(1, drawn, torch.ones_like(drawn).double())

    return _estimates(x, y, counts(len(x)), counts(len(y)), kernel)


@dataclass(frozen=True)
class SubsetKid:
    """What papers print as KID: the mean over subsets, and the standard deviation between them (not of the mean)."""

    mean: float
    sd: float
    size: int


def kid_subsets(x: Features, y: Others, *, size: int = 1000, draws: int = 100, seed: int = 0) -> SubsetKid:
    """The mean of `draws` estimates on random subsets of `size` pictures (fewer if a set is smaller) of each set."""
    generator = keyed("kid subsets", seed)
    size = min(size, len(x), len(y))

    def chosen(n: int) -> Float[Tensor, "rows n"]:
        order = torch.rand(draws, n, generator=generator, dtype=torch.float64).argsort(1)
        return torch.zeros(draws, n, dtype=torch.float64).scatter_(1, order[:, :size], 1.0)

    estimates = _estimates(x, y, chosen(len(x)), chosen(len(y)), cubic)
    return SubsetKid(estimates.mean().item(), estimates.std().item(), size)


def _estimates(x: Features, y: Others, wx: Weights, wy: OtherWeights, kernel: Kernel) -> Float[Tensor, "rows"]:
    """One unbiased estimate for each row of weights."""
    if min(len(x), len(y)) < 2:
        raise InputError(f"KID between {len(x)} and {len(y)} pictures says nothing: give at least 2 of each")
    x, y = x.double(), y.double()
    between = _paired(x, y, wx, wy, kernel) / (wx.sum(1) * wy.sum(1))
    return _within(x, wx, kernel) + _within(y, wy, kernel) - 2 * between


def _within(x: Features, w: Weights, kernel: Kernel) -> Float[Tensor, "rows"]:
    """Σ_{i≠j} w_i w_j k(x_i, x_j) / Σ_{i≠j} w_i w_j."""
    itself = torch.cat([kernel(row, row).flatten() for row in x.split(1)])
    return (_paired(x, x, w, w, kernel) - w.square() @ itself) / (w.sum(1).square() - w.square().sum(1))


def _paired(x: Features, y: Others, wx: Weights, wy: OtherWeights, kernel: Kernel) -> Float[Tensor, "rows"]:
    """Σ_{i,j} w_i v_j k(x_i, y_j), a block of rows of the kernel at a time."""
    total = torch.zeros(len(wx), dtype=torch.float64)
    for start in range(0, len(x), BLOCK):
        rows = slice(start, start + BLOCK)
        total += ((wx[:, rows] @ kernel(x[rows], y)) * wy).sum(1)
    return total
