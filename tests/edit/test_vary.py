import pytest
import torch

from closed_forms import gaussian, mixture, times
from noisette.diffusion.grid import karras, uniform
from noisette.diffusion.noise import Seeded
from noisette.diffusion.sampler import DDIM, Heun, UniPC
from noisette.diffusion.schedule import Cosine, VarianceExploding
from noisette.edit.vary import truncate_grid, vary
from noisette.errors import InputError


def test_the_last_share_of_a_grid() -> None:
    grid = uniform(4)
    assert torch.equal(truncate_grid(grid, 1.0), grid)
    assert truncate_grid(grid, 0.5).tolist() == [0.5, 0.25, 0.0]
    assert truncate_grid(grid, 0.4).tolist() == pytest.approx([0.4, 0.25, 0.0])
    assert truncate_grid(grid, 0.05).tolist() == pytest.approx([0.05, 0.0])
    for share in (0.0, -1.0, 1.1, float("nan")):
        with pytest.raises(InputError, match="strength"):
            truncate_grid(grid, share)


@pytest.mark.parametrize("sampler", [DDIM(), Heun(), UniPC()])
def test_low_strength_changes_little_and_strength_1_ignores_the_picture(sampler) -> None:
    """Of two far blobs a picture stays near its own until the noise is as large as the way between them."""
    d = mixture(VarianceExploding(80.0), (1, 4, 4))
    grid, pictures = karras(d.schedule, 20), d.means[:1].expand(400, -1, -1, -1).contiguous()
    seeds = range(400)
    moved = [vary(d, sampler, grid, pictures, s, Seeded(seeds)) - pictures for s in (0.1, 0.45, 1.0)]
    far = [(m.flatten(1).norm(dim=1) > 1).float().mean().item() for m in moved]
    assert far[0] == 0
    assert far[0] <= far[1] < far[2]
    assert far[2] == pytest.approx(0.5, abs=0.1)  # this blob's weight is one half


def test_what_is_drawn_from_is_the_noisy_picture() -> None:
    """The Gaussian's posterior around the picture, in closed form."""
    schedule, picture = Cosine(), torch.full((4000, 1, 1, 1), 0.8, dtype=torch.float64)
    d, grid = gaussian(schedule), uniform(100)
    drawn = vary(d, DDIM(), grid, picture, 0.5, torch.randn_like)
    alpha, sigma = schedule(times(0.5)[0])
    noisy = alpha * picture + sigma * torch.randn_like(picture)
    right = d.solve_ode(noisy, times(0.5)[0], times(0.0)[0])
    assert drawn.mean() == pytest.approx(right.mean().item(), abs=0.03)
    assert drawn.std() == pytest.approx(right.std().item(), rel=0.06)
