"""Regions of a picture with denoisers of their own, and pixels that stay equal."""

import pytest
import torch

from closed_forms import Correlated, gaussian
from noisette.diffusion.grid import karras
from noisette.diffusion.noise import Seeded
from noisette.diffusion.regions import RegionDenoiser, TiedDenoiser, TiedNoise, TiedPixels
from noisette.diffusion.sampler import DDIM, DDPM, DPMSolver2M, Heun, sample
from noisette.diffusion.schedule import Cosine, RectifiedFlow
from noisette.errors import InputError

T = torch.tensor(0.4, dtype=torch.float64)
GROUPS = torch.tensor([[0, 1, 2, 3, 4, 5, 6, 0], *[[8 * y + x for x in range(8)] for y in range(1, 8)]])
GROUPS[5, 2:6] = GROUPS[3, 2:6]  # a piece of a row stands twice, the corners of the first row are one pixel
TIED = TiedPixels(GROUPS.unique(return_inverse=True)[1].reshape(8, 8))


def correlated() -> Correlated:
    place = torch.stack(torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij"), -1).reshape(-1, 2).double()
    return Correlated(Cosine(), torch.exp(-torch.cdist(place, place) / 6))


def test_each_region_has_the_prediction_of_its_denoiser() -> None:
    first, second, x = correlated(), gaussian(Cosine()), torch.randn(2, 1, 8, 8, dtype=torch.float64)
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 4:], mask[..., 3] = 1, 0.25
    got, a, b = RegionDenoiser(first, second, mask)(x, T), first(x, T), second(x, T)
    for name in ("x0", "eps"):
        one, two, both = getattr(a, name), getattr(b, name), getattr(got, name)
        assert torch.equal(both[..., :3], one[..., :3]) and torch.equal(both[..., 4:], two[..., 4:])
        torch.testing.assert_close(both[..., 3], 0.75 * one[..., 3] + 0.25 * two[..., 3])
    with pytest.raises(InputError, match="two denoisers with the same schedule"):
        RegionDenoiser(first, gaussian(RectifiedFlow()), mask)


def test_the_mean_is_the_nearest_picture_with_tied_pixels() -> None:
    x = torch.randn(3, 2, 8, 8, dtype=torch.float64)
    mean = TIED.mean(x)
    torch.testing.assert_close(TIED.mean(mean), mean)
    torch.testing.assert_close(mean[:, :, 0, 0], (x[:, :, 0, 0] + x[:, :, 0, 7]) / 2)
    assert torch.equal(mean[:, :, 5, 2:6], mean[:, :, 3, 2:6]) and torch.equal(mean[:, :, 7], x[:, :, 7])
    other = TIED.first(torch.randn(3, 2, 8, 8, dtype=torch.float64))
    assert ((x - mean) * (other - mean)).sum().abs() < 1e-9  # the rest is orthogonal to all tied pictures


def test_tied_noise_is_normal_and_equal() -> None:
    z = TiedNoise(Seeded(range(400)), TIED)(torch.empty(400, 1, 8, 8))
    assert torch.equal(z[:, :, 0, 0], z[:, :, 0, 7]) and torch.equal(z[:, :, 5, 2:6], z[:, :, 3, 2:6])
    assert z.std(0).sub(1).abs().max() < 0.2 and z.mean(0).abs().max() < 0.25
    assert torch.equal(z[:, :, 7], Seeded(range(400))(torch.empty(400, 1, 8, 8))[:, :, 7])


@pytest.mark.parametrize("sampler", [DDIM(), DDPM(), Heun(), DPMSolver2M()])
def test_tied_pixels_stay_equal_with_every_sampler(sampler) -> None:
    d, noise = TiedDenoiser(correlated(), TIED), TiedNoise(Seeded(range(8)), TIED)
    x = sample(d, sampler, karras(d.schedule, 8), noise(torch.empty(8, 1, 8, 8, dtype=torch.float64)), noise)
    assert torch.equal(x[:, :, 0, 0], x[:, :, 0, 7]) and torch.equal(x[:, :, 5, 2:6], x[:, :, 3, 2:6])
    assert not torch.equal(x[:, :, 6], x[:, :, 7]) and x.std() > 0.3
