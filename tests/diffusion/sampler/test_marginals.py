"""Noise that a sampler adds must leave what is drawn as it is: the marginals are those of the data, whatever η, churn
or solver."""

import pytest
import torch

from closed_forms import gaussian, mixture, name
from noisette.diffusion.grid import logsnr
from noisette.diffusion.noise import make_generator
from noisette.diffusion.posterior import FixedLarge, FixedSmall
from noisette.diffusion.sampler import DDIM, DDPM, Churned, DPMSolverSDE, Heun, sample
from noisette.diffusion.schedule import Cosine, RectifiedFlow, VarianceExploding

N = 8192


def noise(generator):
    return lambda like: torch.randn(like.shape, generator=generator, dtype=like.dtype)


def drawn(sampler, schedule, steps=70):
    data = mixture(schedule)
    grid = logsnr(schedule, steps, 0.01, 50.0)
    draw = noise(make_generator("marginals"))
    z = draw(torch.empty(N, *data.means.shape[1:], dtype=torch.float64))
    return data, sample(data, sampler, grid, schedule(grid[0])[1] * z, draw).flatten(1)


@pytest.mark.parametrize("schedule", [Cosine(), RectifiedFlow(), VarianceExploding(50.0)], ids=name)
@pytest.mark.parametrize(
    "sampler",
    [DDIM(), DDIM(0.5), DDIM(1.0), DDPM(), DPMSolverSDE(), Churned(Heun(), 0.3, 0.01, 40.0, noise_scale=1.0)],
    ids=name,
)
def test_mean_and_covariance_are_those_of_the_data(sampler, schedule):
    data, x = drawn(sampler, schedule)
    means, weights = data.means.flatten(1), data.weights
    mean = weights @ means
    spread = (means - mean).T @ (weights[:, None] * (means - mean))
    covariance = spread + (weights @ data.stds**2) * torch.eye(len(mean))
    # five standard errors, and 7 % for 70 steps
    scale = covariance.diagonal().sqrt()
    assert ((x.mean(0) - mean).abs() < 5 * scale / N**0.5 + 0.02 * scale).all()
    error = (x.T.cov() - covariance).abs() / torch.outer(scale, scale)
    assert error.max() < 5 * 2**0.5 / N**0.5 + 0.07


def test_without_its_noise_ddpm_collapses_towards_the_average():
    """The sprites course shows blobs: each step shrinks what it should have refreshed."""
    grid, d = logsnr(Cosine(), 100, 0.01, 50.0), gaussian(Cosine())
    for added, low, high in ((1.0, 0.93, 1.03), (0.0, 0.0, 0.1)):
        draw = noise(make_generator("collapse"))
        x = sample(d, DDPM(noise_scale=added), grid, draw(torch.empty(1, 1, 64, 64, dtype=torch.float64)), draw)
        assert (x.mean() - d.mean).abs() < 0.03
        assert low < x.std() / d.std < high


def test_the_large_variance_is_too_large_with_few_steps_and_the_small_too_small():
    """They are the bounds for data of variance one and for a single picture (Ho et al. 2020, section 3.2); both become
    right as steps get many."""
    d, ratios = gaussian(Cosine()), []
    for steps in (8, 150):
        grid = logsnr(Cosine(), steps, 0.01, 50.0)
        for variance in (FixedSmall(), FixedLarge()):
            draw = noise(make_generator("variance"))
            start = draw(torch.empty(1, 1, 64, 64, dtype=torch.float64))
            ratios.append((sample(d, DDPM(variance), grid, start, draw).std() / d.std).item())
    small, large, small_fine, large_fine = ratios
    assert small < small_fine - 0.1 and large > large_fine + 0.1
    assert abs(small_fine - 1) < 0.08 and abs(large_fine - 1) < 0.08
