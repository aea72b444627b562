import pytest
import torch

from closed_forms import Correlated
from noisette.diffusion.grid import karras
from noisette.diffusion.noise import Seeded
from noisette.diffusion.operator import AveragePool
from noisette.diffusion.sampler import DDIM, DPMSolver2M, Heun
from noisette.diffusion.schedule import Cosine, VarianceExploding
from noisette.edit.upscale import project_to_range, upscale
from tiny_models import tiny


@pytest.mark.parametrize("sampler", [DDIM(), DDIM(1.0), Heun(), DPMSolver2M()])
@pytest.mark.parametrize("factor", [2, 4])
def test_shrunk_again_it_is_the_small_picture(sampler, factor) -> None:
    """Also of a network that has learned nothing."""
    model = tiny()
    small = torch.rand(3, 4, 8 // factor, 8 // factor) * 2 - 1
    drawn = upscale(model.given(model.condition("sword", 3)), sampler, model.grid(4), small, factor, Seeded([1, 2, 3]))
    assert drawn.shape == (3, 4, 8, 8)
    torch.testing.assert_close(AveragePool(factor)(drawn), small, rtol=0, atol=2e-5)
    assert (drawn[0] - AveragePool(factor).pinv(small)[0]).abs().max() > 0.01


def test_with_an_optimal_denoiser_the_result_is_nearer_than_repeated_pixels() -> None:
    """Smooth pictures, for which nearest-neighbor steps are wrong."""
    place = torch.stack(torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij"), -1).reshape(-1, 2).double()
    cov = torch.exp(-torch.cdist(place, place).square() / 18) + 1e-4 * torch.eye(64)
    truth = (torch.linalg.cholesky(cov) @ torch.randn(64, 200, dtype=torch.float64)).T.reshape(200, 1, 8, 8)
    shrink = AveragePool(2)
    for schedule in (Cosine(), VarianceExploding(80.0)):
        d, small = Correlated(schedule, cov), shrink(truth)
        drawn = upscale(d, DDIM(1.0), karras(schedule, 20), small, 2, Seeded(range(200)), rounds=3)
        nearest = shrink.pinv(small)
        assert (drawn - truth).square().mean() < 0.2 * (nearest - truth).square().mean()


@pytest.mark.parametrize("alpha", [False, True])
def test_project_to_range_keeps_the_block_means(alpha) -> None:
    """And what was within it stays as it was."""
    shrink, truth = AveragePool(2), torch.rand(5, 4, 8, 8, dtype=torch.float64) * 2 - 1
    if alpha:
        truth[:, :-1] = torch.minimum(truth[:, :-1], truth[:, -1:])
    small = shrink(truth)
    wild = truth + 2 * torch.randn_like(truth)
    wild = wild + shrink.pinv(small - shrink(wild))  # agrees, but goes beyond
    tame = project_to_range(wild, small, 2, alpha)
    assert tame.abs().max() <= 1 and (not alpha or (tame[:, :-1] <= tame[:, -1:]).all())
    torch.testing.assert_close(shrink(tame), small, rtol=0, atol=1e-8)
    torch.testing.assert_close(project_to_range(truth, small, 2, alpha), truth, rtol=0, atol=1e-8)
