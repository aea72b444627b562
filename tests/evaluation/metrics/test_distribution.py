import math

import numpy as np
import pytest
import torch

from noisette.errors import InputError
from noisette.evaluation.metrics.distribution import (
    PCA,
    compute_prdc,
    frechet_distance,
    frechet_distance_infinity,
    min_samples_for_fid,
)


def normal(n: int, d: int = 8, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def by_the_formulas(real: np.ndarray, fake: np.ndarray, k: int) -> tuple[float, float, float, float]:
    """Kynkäänniemi et al. 2019, eq. 1–2, and Naeem et al. 2020, eq. 5–6, as loops."""

    def radius(points: np.ndarray, i: int) -> float:
        return sorted(np.linalg.norm(points[i] - p) for j, p in enumerate(points) if j != i)[k - 1]

    def inside(p: np.ndarray, points: np.ndarray) -> int:
        return sum(np.linalg.norm(p - c) <= radius(points, i) for i, c in enumerate(points))

    precision = np.mean([inside(p, real) > 0 for p in fake])
    recall = np.mean([inside(p, fake) > 0 for p in real])
    density = np.sum([inside(p, real) for p in fake]) / (k * len(fake))
    coverage = np.mean([any(np.linalg.norm(p - c) <= radius(real, i) for p in fake) for i, c in enumerate(real)])
    return float(precision), float(recall), float(density), float(coverage)


def test_are_the_formulas() -> None:
    real, fake = normal(25, 3, 1).double(), normal(20, 3, 2).double() * 0.7 + 0.5
    ours = compute_prdc(real, fake, k=3)
    assert (ours.precision, ours.recall, ours.density, ours.coverage) == pytest.approx(
        by_the_formulas(real.numpy(), fake.numpy(), 3)
    )


def test_prdc_of_simple_cases() -> None:
    real = normal(100)
    same = compute_prdc(real, real)
    assert (same.precision, same.recall, same.coverage) == (1, 1, 1)
    far = compute_prdc(real, real + 100)
    assert (far.precision, far.recall, far.density, far.coverage) == (0, 0, 0, 0)


def test_a_collapse_is_precise_and_covers_little() -> None:
    real = normal(100)
    collapsed = compute_prdc(real, real[:3].repeat(34, 1) + 1e-4 * normal(102, seed=3))
    assert collapsed.precision > 0.9
    assert collapsed.recall < 0.1
    assert collapsed.coverage < 0.3


def test_too_few_for_the_neighbors() -> None:
    with pytest.raises(InputError, match="more than 5"):
        compute_prdc(normal(5), normal(50))


def test_frechet_distance_of_normals() -> None:
    """Against |μ|² + Σ (√a − √b)², for data made to have exactly these moments along the axes."""
    n, d = 200, 4
    white = torch.linalg.qr(normal(n, d).double() - normal(n, d).double().mean(0)).Q * math.sqrt(n - 1)
    assert white.T.cov() == pytest.approx(torch.eye(d).double(), abs=1e-10)
    a, b = torch.tensor([1.0, 4.0, 9.0, 0.25]).double(), torch.tensor([4.0, 1.0, 9.0, 1.0]).double()
    x, y = white * a.sqrt(), white * b.sqrt() + torch.tensor([1.0, 0, 0, 2.0])
    assert frechet_distance(x, y) == pytest.approx(1 + 4 + (a.sqrt() - b.sqrt()).square().sum().item(), rel=1e-9)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_where_covariances_do_not_commute() -> None:
    scipy_linalg = pytest.importorskip("scipy.linalg")
    x, y = normal(300, 6, 1) @ normal(6, 6, 2), normal(200, 6, 3) @ normal(6, 6, 4) + 0.3
    mx, my, cx, cy = x.mean(0).numpy(), y.mean(0).numpy(), np.cov(x.T.numpy()), np.cov(y.T.numpy())
    reference = ((mx - my) ** 2).sum() + np.trace(cx + cy - 2 * scipy_linalg.sqrtm(cx @ cy).real)
    assert frechet_distance(x, y) == pytest.approx(reference, rel=1e-6)
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), rel=1e-9)


def test_frechet_distance_does_not_mind_a_rotation() -> None:
    x, y = normal(100, 5, 1), normal(100, 5, 2) * 2 + 1
    rotation = torch.linalg.qr(normal(5, 5, 3)).Q
    assert frechet_distance(x @ rotation, y @ rotation) == pytest.approx(frechet_distance(x, y), rel=1e-4)


def test_principal_directions_hold_the_variance() -> None:
    x = normal(300, 10) * torch.tensor([10.0, 5.0, *[0.1] * 8])
    principal = PCA.fit(x, 2)
    assert principal.components @ principal.components.T == pytest.approx(torch.eye(2).double(), abs=1e-9)
    assert principal(x).var(0).sum().item() == pytest.approx(x.double().var(0).sum().item(), rel=0.01)
    assert principal(x).mean(0) == pytest.approx(torch.zeros(2).double(), abs=1e-6)


def test_frechet_distance_in_all_directions_is_that_of_the_features() -> None:
    x, y = normal(100, 5, 1), normal(100, 5, 2) * 2 + 1
    principal = PCA.fit(x, 5)
    assert frechet_distance(principal(x), principal(y)) == pytest.approx(frechet_distance(x, y), rel=1e-6)


def test_more_directions_than_pictures_are_refused() -> None:
    with pytest.raises(InputError, match=r"needs? more than \d+ pictures"):
        PCA.fit(normal(10, 100), 64)
    with pytest.raises(InputError, match=r"needs? more than \d+ pictures"):
        frechet_distance(normal(10, 64), normal(100, 64))


def test_the_bias_of_few_pictures_is_taken_out() -> None:
    """Two samples of one normal distribution are 0 apart; Fréchet's distance of a few says otherwise."""
    x, y = normal(4000, 10, seed=1), normal(400, 10, seed=2)
    biased, infinite = frechet_distance(x, y), frechet_distance_infinity(x, y)
    assert biased > 0.15 and abs(infinite) < biased / 3
    assert abs(frechet_distance_infinity(x, normal(20, 10, seed=2))) < 12  # the fewest that it takes
    shifted = y + 2.0
    assert frechet_distance_infinity(x, shifted) == pytest.approx(40, rel=0.05)


def test_too_few_for_their_dimensions_are_refused() -> None:
    assert min_samples_for_fid(normal(5, 10)) == 20
    with pytest.raises(InputError, match="at least 20 pictures of each"):
        frechet_distance_infinity(normal(4000, 10), normal(19, 10))
