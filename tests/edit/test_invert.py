import pytest
import torch

from closed_forms import mixture
from noisette.diffusion.grid import karras
from noisette.diffusion.sampler import DDIM, DDPM, DPMSolver2M, Heun
from noisette.diffusion.schedule import Cosine, RectifiedFlow, VarianceExploding
from noisette.edit.invert import invert, psnr, reconstruct
from noisette.errors import InputError


@pytest.mark.parametrize("schedule", [Cosine(), RectifiedFlow(), VarianceExploding(80.0)])
def test_a_picture_is_reconstructed_from_its_noise(schedule) -> None:
    """The better, the more steps; what it was turned into is as large as noise is."""
    d = mixture(schedule, (1, 4, 4))
    pictures, errors = d.means + d.stds[:, None, None, None] * torch.randn_like(d.means), {}
    for steps in (10, 50, 200):
        grid = karras(schedule, steps)
        x = invert(d, grid, pictures)
        assert 0.5 < x.std() / schedule(grid[0])[1] < 1.5
        errors[steps] = psnr(reconstruct(d, grid, x), pictures).mean().item()
    assert errors[10] < errors[50] < errors[200]
    assert errors[200] > 35
    grid = karras(schedule, 50)
    assert psnr(reconstruct(d, grid, invert(d, grid, pictures, Heun()), Heun()), pictures).mean() > errors[50]


def test_psnr_is_what_it_is_everywhere() -> None:
    black, gray = -torch.ones(2, 3, 4, 4), torch.zeros(2, 3, 4, 4)
    assert psnr(black, -black).tolist() == [0, 0]  # all wrong, by the whole range
    assert psnr(black, gray).tolist() == pytest.approx([6.0206, 6.0206], abs=1e-3)
    assert psnr(3 * gray - 2, black).min() > 100  # outside of the range is clipped


def test_inversion_refuses_a_stochastic_sampler() -> None:
    d = mixture(Cosine(), (1, 2, 2))
    for sampler in (DDPM(), DDIM(1.0)):
        with pytest.raises(InputError, match="needs a deterministic sampler"):
            reconstruct(d, karras(d.schedule, 4), d.means, sampler)
    assert invert(d, karras(d.schedule, 4), d.means, DPMSolver2M()).isfinite().all()
