import pytest
import torch

from closed_forms import Correlated, gaussian, name
from noisette.diffusion.grid import karras, trailing
from noisette.diffusion.noise import Seeded
from noisette.diffusion.sampler import (
    DDIM,
    DDPM,
    IPNDM,
    Churned,
    DPMSolver2M,
    DPMSolver3M,
    DPMSolverSDE,
    Heun,
    Repaint,
    Resampled,
    Sampler,
    UniPC,
    sample,
)
from noisette.diffusion.schedule import Cosine, LinearBeta, RectifiedFlow, VarianceExploding
from noisette.errors import InputError

ALL = [DDIM(), DDPM(), Heun(), DPMSolver2M(), DPMSolver3M(), DPMSolverSDE(), UniPC(3), IPNDM(), Churned(Heun(), 0.3)]
PHOTO = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)
MASK = (torch.arange(16).reshape(1, 1, 4, 4) % 3 > 0).float()


@pytest.mark.parametrize("sampler", ALL, ids=name)
@pytest.mark.parametrize("schedule", [LinearBeta(), RectifiedFlow(), VarianceExploding()], ids=name)
def test_known_pixels_come_back_to_the_last_bit(sampler, schedule):
    grid = karras(schedule, 5)
    z = torch.randn(3, 2, 4, 4) * schedule(grid[0])[1].float()
    drawn = sample(gaussian(schedule), Repaint(sampler, PHOTO, MASK, 3), grid, z, Seeded([1, 2, 3]))
    known = MASK.expand_as(drawn) > 0
    assert torch.equal(drawn[known], PHOTO.expand_as(drawn)[known])
    assert drawn.isfinite().all() and drawn[~known].reshape(3, -1).std(0).min() > 0


def test_known_pixels_have_the_noise_level_of_x_t():
    """On the way they are q(x_s | known)."""
    schedule, n = Cosine(), 4000
    grid = trailing(10)[:6]
    z = torch.randn(n, 2, 4, 4)
    x = sample(gaussian(schedule), Repaint(DDPM(), PHOTO, MASK, 2), grid, z, torch.randn_like)
    alpha, sigma = schedule(grid[-1])
    known = MASK[0, 0] > 0
    torch.testing.assert_close(x.mean(0)[:, known], alpha.float() * PHOTO[0][:, known], rtol=0, atol=0.06)
    torch.testing.assert_close(x.std(0)[:, known], sigma.float().expand(2, int(known.sum())), rtol=0, atol=0.04)


def test_rounds_bring_the_unknown_pixels_into_line():
    """Two pixels of correlation 0.9: given 1.5, the other is N(1.35, 0.19). More rounds come nearer."""
    cov = torch.tensor([[1.0, 0.9], [0.9, 1.0]], dtype=torch.float64)
    known = torch.tensor([1.5, 0.0], dtype=torch.float64).reshape(1, 1, 1, 2)
    mask, z = torch.tensor([1.0, 0.0]).reshape(1, 1, 1, 2), torch.randn(4000, 1, 1, 2, dtype=torch.float64)
    means = {}
    for rounds in (1, 10):
        walk = Repaint(DDPM(), known, mask, rounds)
        drawn = sample(Correlated(Cosine(), cov), walk, trailing(25), z, torch.randn_like)[:, 0, 0, 1]
        means[rounds] = drawn.mean().item()
    assert means[10] == pytest.approx(1.35, abs=0.1)
    assert drawn.var().item() == pytest.approx(0.19, abs=0.06)
    assert means[1] < means[10] - 0.05


def test_masks_of_all_ones_and_of_all_zeros():
    schedule, grid, z = Cosine(), trailing(6), torch.randn(1, 2, 4, 4)
    d = gaussian(schedule)
    every = Repaint(DDIM(), PHOTO, torch.ones(1, 1, 4, 4), 4)
    assert torch.equal(sample(d, every, grid, z, Seeded([0])), PHOTO)
    none = Repaint(DDIM(), PHOTO, torch.zeros(1, 1, 4, 4), 1)
    torch.testing.assert_close(sample(d, none, grid, z, Seeded([0])), sample(d, DDIM(), grid, z, Seeded([0])))
    assert isinstance(none, Sampler)


def test_no_rounds_are_refused():
    with pytest.raises(InputError, match="at least 1"):
        Resampled(DDIM(), 0)
