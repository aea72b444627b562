import numpy as np
import pytest
import torch

from noisette.errors import InputError
from noisette.evaluation.metrics import kid as module
from noisette.evaluation.metrics.kid import GaussianKernel, kid, kid_interval


def by_the_formula(x: np.ndarray, y: np.ndarray) -> float:
    """Bińkowski et al. 2018, eq. 4, written as sums over pairs, in float64."""

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return (a @ b / len(a) + 1) ** 3

    m, n = len(x), len(y)
    xx = sum(k(x[i], x[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    yy = sum(k(y[i], y[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    xy = sum(k(a, b) for a in x for b in y) / (m * n)
    return xx + yy - 2 * xy


def normal(n: int, d: int = 16, seed: int = 0, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


def test_is_the_formula() -> None:
    x, y = normal(23, seed=1), normal(31, seed=2, shift=0.3)
    assert kid(x, y) == pytest.approx(by_the_formula(x.numpy(), y.numpy()), rel=1e-10)
    assert kid(x.float(), y.float()) == pytest.approx(by_the_formula(x.numpy(), y.numpy()), rel=1e-4)


def test_is_symmetric_and_does_not_mind_the_order() -> None:
    x, y = normal(40, seed=1), normal(30, seed=2, shift=0.5)
    assert kid(x, y) == pytest.approx(kid(y, x), rel=1e-12)
    assert kid(x.flip(0), y) == pytest.approx(kid(x, y), rel=1e-12)


def test_blocks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = normal(40, seed=1), normal(30, seed=2, shift=0.5)
    whole = kid(x, y)
    monkeypatch.setattr(module, "BLOCK_ROWS", 7)
    assert kid(x, y) == pytest.approx(whole, rel=1e-12)


def test_kid_of_two_points_by_hand() -> None:
    # k(x, x') = (4/1 + 1)³ = 125, k(y, y') = 1, k(x, y) = 1
    x, y = torch.full((2, 1), 2.0), torch.zeros(2, 1)
    assert kid(x, y) == pytest.approx(125 + 1 - 2, rel=1e-12)


def test_is_unbiased_where_both_sets_are_alike() -> None:
    estimates = torch.tensor([kid(normal(30, seed=2 * i), normal(30, seed=2 * i + 1)) for i in range(200)])
    assert abs(estimates.mean()) < 3 * estimates.std() / len(estimates) ** 0.5
    assert (estimates < 0).any()


def test_unbiased_where_they_differ() -> None:
    """In one dimension E k has a closed form: x ~ N(0, 1), y ~ N(1, 1) give moments of a cubic."""

    # E (xx' + 1)³ with independent x, x': 1 + 3 m1² + 3 m2² + m3², with the moments m1, m2, m3
    def pairs(p: tuple[float, float, float], q: tuple[float, float, float]) -> float:
        return 1 + 3 * p[0] * q[0] + 3 * p[1] * q[1] + p[2] * q[2]

    zero, one = (0.0, 1.0, 0.0), (1.0, 2.0, 4.0)  # moments of N(0, 1) and N(1, 1)
    truth = pairs(zero, zero) + pairs(one, one) - 2 * pairs(zero, one)
    estimates = torch.tensor([kid(normal(50, 1, 2 * i), normal(50, 1, 2 * i + 1, 1.0)) for i in range(400)])
    assert abs(estimates.mean() - truth) < 3 * estimates.std() / len(estimates) ** 0.5


def test_repeats_in_a_bootstrap_bring_no_bias() -> None:
    """Resampled estimates scatter about the estimate, though their sets hold repeats."""
    x, y = normal(60, seed=1), normal(60, seed=2)
    interval = kid_interval(x, y, resamples=2000)
    middle = (interval.low + interval.high) / 2
    assert abs(middle - interval.value) < 0.2 * (interval.high - interval.low)
    # comparing a picture that was drawn twice with itself would lift every resampled estimate
    naive = sum(kid(x[torch.randint(60, (60,))], y) for _ in range(200)) / 200
    assert naive - interval.value > 5 * abs(middle - interval.value)


def test_the_interval_has_its_nominal_coverage() -> None:
    truth = 1 + 3 * 0 + 3 * 1 + 0 + (1 + 3 + 12 + 16) - 2 * (1 + 0 + 6 + 0)  # see the closed form above
    hits = 0
    for i in range(100):
        interval = kid_interval(normal(80, 1, 2 * i), normal(80, 1, 2 * i + 1, 1.0), resamples=200, seed=i)
        hits += interval.low <= truth <= interval.high
    assert 84 <= hits <= 100


def test_interval_is_the_same_for_the_same_seed() -> None:
    x, y = normal(30, seed=1), normal(30, seed=2, shift=0.2)
    assert kid_interval(x, y) == kid_interval(x, y)
    assert kid_interval(x, y) != kid_interval(x, y, seed=1)


def test_too_few_are_refused() -> None:
    with pytest.raises(InputError, match="at least 2"):
        kid(normal(1), normal(5))


def test_a_gaussian_kernel_has_a_closed_form() -> None:
    """E exp(−(x − y)² / 2h²) for x, y ~ N(a, 1), N(b, 1) is h/√(h² + 2) exp(−(a − b)² / 2(h² + 2))."""
    h, shift = 1.5, 1.0
    scale = h / (h**2 + 2) ** 0.5
    truth = 2 * scale * (1 - torch.tensor(-(shift**2) / (2 * (h**2 + 2))).exp().item())
    found = [kid(normal(200, 1, 2 * i), normal(200, 1, 2 * i + 1, shift), GaussianKernel(h)) for i in range(60)]
    mean, error = sum(found) / 60, torch.tensor(found).std().item() / 60**0.5
    assert abs(mean - truth) < 4 * error < 0.05


def test_the_median_distance_is_the_bandwidth() -> None:
    x = torch.tensor([[0.0], [1.0], [3.0]])  # distances 1, 2, 3
    assert GaussianKernel.from_median_distance(x).bandwidth == 2
