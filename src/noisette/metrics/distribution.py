"""Are the samples good, and are they all there? Neighbourhoods and moments of two sets of features."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError
from ..noise import keyed
from .features import Features, Others


@dataclass(frozen=True)
class Fidelity:
    """Shares in [0, 1], except density, which may exceed 1.

    A real picture's ball reaches to its k-th nearest real picture; a sample's ball, likewise, among samples.
    """

    precision: float  # share of samples inside some real picture's ball (Kynkäänniemi et al. 2019)
    recall: float  # share of real pictures inside some sample's ball
    density: float  # mean number of real balls around a sample, over k (Naeem et al. 2020, eq. 5)
    coverage: float  # share of real pictures whose ball holds a sample (Naeem et al. 2020, eq. 6)


def fidelity(real: Features, samples: Others, *, k: int = 5) -> Fidelity:
    """Precision, recall, density and coverage. Compare only figures made with equal numbers of pictures."""
    if min(len(real), len(samples)) <= k:
        raise InputError(
            f"{len(real)} and {len(samples)} pictures are too few for {k} neighbours: give more than {k} of each"
        )
    real, samples = real.double(), samples.double()
    across = torch.cdist(real, samples)
    of_real, of_samples = _radii(real, k)[:, None], _radii(samples, k)[None]
    within = across <= of_real
    return Fidelity(
        precision=_share(within.any(0)),
        recall=_share((across <= of_samples).any(1)),
        density=within.double().sum(0).mean().item() / k,
        coverage=_share(within.any(1)),
    )


def _radii(x: Features, k: int) -> Float[Tensor, "b"]:
    """Distance to the k-th nearest other row."""
    distances = torch.cdist(x, x)
    distances.fill_diagonal_(torch.inf)
    return distances.kthvalue(k, dim=1).values


def _share(which: Tensor) -> float:
    return which.double().mean().item()


@dataclass(frozen=True)
class Principal:
    """The directions in which a reference set of features varies most. Rows of `directions` are orthonormal."""

    mean: Float[Tensor, "d"]
    directions: Float[Tensor, "k d"]

    @classmethod
    def of(cls, x: Features, dims: int = 64) -> "Principal":
        if not 1 <= dims < min(x.shape[0], x.shape[1] + 1):
            raise InputError(
                f"{dims} directions cannot be had from {len(x)} pictures: give more pictures than directions"
            )
        x = x.double()
        mean = x.mean(0)
        return cls(mean, torch.linalg.svd(x - mean, full_matrices=False).Vh[:dims])

    def __call__(self, x: Features) -> Float[Tensor, "b k"]:
        """The coordinates of x."""
        return (x.double() - self.mean) @ self.directions.T


def frechet(x: Features, y: Others) -> float:
    """|μ − μ'|² + tr(Σ + Σ' − 2 (Σ Σ')^½), the Fréchet distance between the normal distributions fitted to both sets.

    It is biased upwards when pictures are few: keep their number well above the number of dimensions (see
    `Principal`), and compare only figures made with equal numbers. Heusel et al. 2017, eq. 6.
    """
    if min(len(x), len(y)) <= x.shape[1]:
        raise InputError(
            f"a covariance of {x.shape[1]} dimensions cannot be had from {min(len(x), len(y))} pictures: "
            "give more pictures, or fewer dimensions"
        )
    x, y = x.double(), y.double()
    cov_x, cov_y = torch.cov(x.T).reshape(x.shape[1], -1), torch.cov(y.T).reshape(x.shape[1], -1)
    # (ΣΣ')^½ has the eigenvalues of (Σ^½ Σ' Σ^½)^½, which is symmetric
    values, vectors = torch.linalg.eigh(cov_x)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    mixed = torch.linalg.eigvalsh(root @ cov_y @ root).clamp(min=0).sqrt().sum()
    return ((x.mean(0) - y.mean(0)).square().sum() + cov_x.trace() + cov_y.trace() - 2 * mixed).item()


LEAST = 2  # pictures a dimension of the features, below which a Fréchet distance is mostly bias


def least_for_fid(x: Features) -> int:
    """How many pictures each set needs before a Fréchet distance of these features means something."""
    return LEAST * x.shape[1]


def frechet_infinity(x: Features, y: Others, *, sizes: int = 15, seed: int = 0) -> float:
    """What `frechet` would be if y had infinitely many pictures (Chong & Forsyth 2020, §4).

    Its bias falls as 1/N: a straight line through the distances of subsets of y of growing size N, over 1/N, is read
    off at 0. The bias that a finite x brings remains; it is the same for all that are compared with x.
    """
    least = least_for_fid(x)
    if min(len(x), len(y)) < least:
        raise InputError(
            f"{min(len(x), len(y))} pictures cannot bear a Fréchet distance of {x.shape[1]} dimensions, which would "
            f"mostly measure their number: give at least {least} of each, or read KID"
        )
    generator = keyed("frechet infinity", seed)
    numbers = torch.linspace(max(0.75 * least, len(y) / 10), len(y), sizes).long()  # all above the dimensions
    distances = [frechet(x, y[torch.randperm(len(y), generator=generator)[:n]]) for n in numbers.tolist()]
    inverse = 1 / numbers.double()
    line = torch.stack([torch.ones_like(inverse), inverse], 1)
    return torch.linalg.lstsq(line, torch.tensor(distances, dtype=torch.float64)[:, None]).solution[0].item()
