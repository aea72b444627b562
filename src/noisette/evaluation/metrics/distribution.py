"""Fidelity and diversity: neighborhoods (PRDC) and moments (Fréchet distance) of two sets of features."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from ...diffusion.noise import make_generator
from ...errors import InputError
from ...shapes import UInt8Images
from .features import Features, OtherFeatures, premultiply


@dataclass(frozen=True)
class PRDC:
    """Precision, recall, density and coverage: shares in [0, 1], except density, which can exceed 1.

    The ball of a real picture reaches to its k-th nearest real picture, that of a sample to its k-th nearest sample.
    """

    precision: float  # share of samples inside some real picture's ball (Kynkäänniemi et al. 2019)
    recall: float  # share of real pictures inside some sample's ball
    density: float  # mean number of real balls around a sample, over k (Naeem et al. 2020, eq. 5)
    coverage: float  # share of real pictures whose ball holds a sample (Naeem et al. 2020, eq. 6)


def compute_prdc(real: Features, samples: OtherFeatures, *, k: int = 5) -> PRDC:
    """Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020).

    real, samples: features (b, d) and (n, d). k: neighbors, 5 by default. Compare only figures made with equal numbers
    of pictures. Raises InputError for k or fewer of either.
    """
    if min(len(real), len(samples)) <= k:
        raise InputError(f"{k} neighbors need more than {k} pictures of each set, got {len(real)} and {len(samples)}")
    real, samples = real.double(), samples.double()
    across = torch.cdist(real, samples)
    of_real, of_samples = _knn_radii(real, k)[:, None], _knn_radii(samples, k)[None]
    within = across <= of_real
    return PRDC(
        precision=_fraction_true(within.any(0)),
        recall=_fraction_true((across <= of_samples).any(1)),
        density=within.double().sum(0).mean().item() / k,
        coverage=_fraction_true(within.any(1)),
    )


def _knn_radii(x: Features, k: int) -> Float[Tensor, "b"]:
    """Distance to the k-th nearest other row."""
    distances = torch.cdist(x, x)
    distances.fill_diagonal_(torch.inf)
    return distances.kthvalue(k, dim=1).values


def _fraction_true(mask: Tensor) -> float:
    return mask.double().mean().item()


@dataclass(frozen=True)
class PCA:
    """The principal components of a reference set of features; the rows of `components` are orthonormal."""

    mean: Float[Tensor, "d"]
    components: Float[Tensor, "k d"]

    @classmethod
    def fit(cls, x: Features, dims: int = 64) -> "PCA":
        if not 1 <= dims < min(x.shape[0], x.shape[1] + 1):
            raise InputError(f"{dims} principal components need more than {dims} pictures, got {len(x)}")
        x = x.double()
        mean = x.mean(0)
        return cls(mean, torch.linalg.svd(x - mean, full_matrices=False).Vh[:dims])

    def __call__(self, x: Features) -> Float[Tensor, "b k"]:
        """The coordinates of x along the components."""
        return (x.double() - self.mean) @ self.components.T


def frechet_distance(x: Features, y: OtherFeatures) -> float:
    """|μ − μ'|² + tr(Σ + Σ' − 2 (Σ Σ')^½), the Fréchet distance between the normal distributions fitted to both sets.

    Heusel et al. 2017, eq. 6. x, y: features (b, d) and (n, d). Few pictures bias it upwards: keep their number well
    above d (see `PCA`), and compare only figures made with equal numbers. Raises InputError for d or fewer pictures.
    """
    if min(len(x), len(y)) <= x.shape[1]:
        raise InputError(
            f"a Fréchet distance of {x.shape[1]} dimensions needs more than {x.shape[1]} pictures of each set, got "
            f"{min(len(x), len(y))}"
        )
    x, y = x.double(), y.double()
    cov_x, cov_y = torch.cov(x.T).reshape(x.shape[1], -1), torch.cov(y.T).reshape(x.shape[1], -1)
    # (ΣΣ')^½ has the eigenvalues of (Σ^½ Σ' Σ^½)^½, which is symmetric
    values, vectors = torch.linalg.eigh(cov_x)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    mixed = torch.linalg.eigvalsh(root @ cov_y @ root).clamp(min=0).sqrt().sum()
    return ((x.mean(0) - y.mean(0)).square().sum() + cov_x.trace() + cov_y.trace() - 2 * mixed).item()


MIN_SAMPLES_PER_DIM = 2  # pictures per feature dimension; below that a Fréchet distance is mostly bias


def min_samples_for_fid(x: Features) -> int:
    """The number of pictures that each set needs for `frechet_distance_infinity` of these features."""
    return MIN_SAMPLES_PER_DIM * x.shape[1]


def frechet_distance_infinity(x: Features, y: OtherFeatures, *, num_sizes: int = 15, seed: int = 0) -> float:
    """`frechet_distance` extrapolated to infinitely many pictures in y, FID∞ (Chong & Forsyth 2020, §4).

    The bias falls as 1/N: a straight line is fitted to the distances of `num_sizes` subsets of y of growing size N over
    1/N, and evaluated at 0. The bias of a finite x remains; it is the same for all sets that are compared with x.
    Raises InputError for fewer than two pictures per dimension.
    """
    least = min_samples_for_fid(x)
    if min(len(x), len(y)) < least:
        raise InputError(
            f"FID∞ of {x.shape[1]} dimensions needs at least {least} pictures of each set, got "
            f"{min(len(x), len(y))}: with fewer it mostly measures their number; use KID"
        )
    generator = make_generator("frechet infinity", seed)
    numbers = torch.linspace(max(0.75 * least, len(y) / 10), len(y), num_sizes).long()  # all above the dimensions
    distances = [frechet_distance(x, y[torch.randperm(len(y), generator=generator)[:n]]) for n in numbers.tolist()]
    inverse = 1 / numbers.double()
    line = torch.stack([torch.ones_like(inverse), inverse], 1)
    return torch.linalg.lstsq(line, torch.tensor(distances, dtype=torch.float64)[:, None]).solution[0].item()


VARIANCE_SHARE = 0.999  # of the pictures' variance that the subspace contains


@dataclass(frozen=True, eq=False)
class PCASubspace:
    """The fewest principal components that contain VARIANCE_SHARE of the variance of a set of pictures."""

    mean: Float64[Tensor, "d"]
    components: Float64[Tensor, "d k"]
    largest_std: float  # standard deviation along the first component, in model space ([-1, 1])

    @classmethod
    def fit(cls, pixels: UInt8Images) -> "PCASubspace":
        x = flatten_premultiplied(pixels)
        mean = x.mean(0)
        _, held, right = torch.linalg.svd(x - mean, full_matrices=False)
        share = held.square().cumsum(0) / held.square().sum().clamp(min=1e-12)
        components = right[: int((share < VARIANCE_SHARE).sum()) + 1].T
        return cls(mean, components, 2 * held[0].item() / len(x) ** 0.5)

    def residual_rms(self, pixels: UInt8Images) -> float:
        """Root mean square of the part of the pictures outside the subspace, premultiplied, 0 … 1."""
        x = flatten_premultiplied(pixels) - self.mean
        return (x - x @ self.components @ self.components.T).square().mean().sqrt().item()


def flatten_premultiplied(pixels: UInt8Images) -> Float64[Tensor, "b d"]:
    """uint8 (b, c, h, w) as float64 vectors (b, c·h·w), premultiplied, 0 … 1."""
    return premultiply(pixels).flatten(1).double()
