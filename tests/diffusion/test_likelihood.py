import math
from itertools import pairwise

import pytest
import torch
from scipy.stats import norm

from closed_forms import gaussian, mixture, name, times
from noisette.diffusion import normal, posterior
from noisette.diffusion.denoiser import Prediction
from noisette.diffusion.grid import karras, logsnr, trailing
from noisette.diffusion.likelihood import (
    HutchinsonDivergence,
    bits_per_dim,
    dequantize,
    exact_divergence,
    ode_bits_per_dim,
    ode_log_density,
    variational_bound,
)
from noisette.diffusion.loss import VariationalLoss
from noisette.diffusion.noise import Seeded, make_generator
from noisette.diffusion.parametrization import X0
from noisette.diffusion.posterior import FixedLarge, FixedSmall, LearnedRange
from noisette.diffusion.schedule import Cosine, LinearBeta, RectifiedFlow, VarianceExploding
from noisette.errors import InputError

SCHEDULES = [LinearBeta(100, 1e-3, 0.2), Cosine(100), RectifiedFlow(), VarianceExploding(20.0)]


def bytes_like(shape=(4, 1, 16, 16), mean=0.3, std=0.4):
    x = mean + std * torch.randn(shape, generator=make_generator("bytes"), dtype=torch.float64)
    return (x.clamp(-1, 1) * 127.5 + 127.5).round() / 127.5 - 1


def test_kl_is_an_expectation():
    x = 0.3 + 0.5 * torch.randn(400_000, generator=make_generator("kl"), dtype=torch.float64)
    log_ratio = norm.logpdf(x, 0.3, 0.5) - norm.logpdf(x, -0.2, 0.8)
    got = normal.kl(*times(0.3, 0.5, -0.2, 0.8))
    assert got == pytest.approx(log_ratio.mean(), abs=5 * log_ratio.std() / 400_000**0.5)
    assert normal.kl(*times(0.3, 0.5, 0.3, 0.5)) == 0


@pytest.mark.parametrize(("mean", "std"), [(0.0, 0.5), (0.9, 0.01), (-3.0, 0.3)])
def test_256_bins_take_all_the_mass(mean, std):
    levels = torch.arange(256, dtype=torch.float64) / 127.5 - 1
    log_p = normal.discretized_log_prob(levels, *times(mean, std))
    assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-9)
    middle = norm.cdf(levels[1:-1] + 1 / 255, mean, std) - norm.cdf(levels[1:-1] - 1 / 255, mean, std)
    torch.testing.assert_close(log_p[1:-1].exp(), torch.tensor(middle), rtol=1e-6, atol=1e-11)


@pytest.mark.parametrize("chain", [LinearBeta(50), Cosine(50)], ids=name)
def test_the_posterior_is_ddpms(chain):
    """Ho et al. 2020, eq. 6 and 7, in betas; and what guided-diffusion calls clipped in the last step."""
    betas = chain.betas()
    alpha_bar = (1 - betas).cumprod(0)
    before = torch.cat([times(1.0), alpha_bar[:-1]])
    small = (1 - before) / (1 - alpha_bar) * betas
    t = torch.arange(1, 51, dtype=torch.float64) / 50
    s = (t - 1 / 50).clamp(min=0)
    torch.testing.assert_close(posterior.fixed_large_std(chain, t, s) ** 2, betas)
    torch.testing.assert_close(posterior.fixed_small_std(chain, t, s) ** 2, small, rtol=1e-7, atol=1e-12)
    torch.testing.assert_close(posterior.clipped_small_std(chain, t, s) ** 2, torch.cat([small[1:2], small[1:]]))
    x0, x_t = torch.randn(2, 50, 1, 2, 2, generator=make_generator("x"), dtype=torch.float64)
    alpha, sigma = chain.at(t, x0)
    pred = Prediction(x0, (x_t - alpha * x0) / sigma)
    x0_share = before.sqrt() * betas / (1 - alpha_bar)
    x_share = (1 - betas).sqrt() * (1 - before) / (1 - alpha_bar)
    paper = x0_share.reshape(-1, 1, 1, 1) * x0 + x_share.reshape(-1, 1, 1, 1) * x_t
    torch.testing.assert_close(posterior.posterior_mean(chain, pred, x_t, t, s), paper)


def test_the_learned_range_is_between_the_two():
    chain, x = LinearBeta(50), torch.zeros(1, 1, 2, 2, dtype=torch.float64)
    t, s = times(0.5)[0], times(0.48)[0]
    ends = [LearnedRange()(chain, Prediction(x, x, x + v), x, t, s) for v in (-1.0, 0.0, 1.0)]
    low, high = (v(chain, Prediction(x, x), x, t, s) for v in (FixedSmall(), FixedLarge()))
    for got, expected in zip(ends, (low, (low * high).sqrt(), high), strict=True):
        torch.testing.assert_close(got, expected.expand_as(x))


@pytest.mark.parametrize("schedule", SCHEDULES, ids=name)
@pytest.mark.parametrize("variance", [FixedSmall(), FixedLarge()], ids=name)
def test_every_term_is_the_closed_form_on_a_gaussian(schedule, variance):
    """For x0 ~ N(m, s²) and its exact denoiser, E over x0 and ε of each KL is a formula in (α, σ) alone."""
    d, mean, std = gaussian(schedule), 0.3, 0.4
    x0 = mean + std * torch.randn(8, 1, 64, 64, generator=make_generator("x0"), dtype=torch.float64)
    grid = karras(schedule, 10, 0.05, 20.0)
    bound = variational_bound(d, x0, grid, Seeded(range(8)), variance)
    for i, (t, s) in enumerate(pairwise(grid[:-1])):
        (alpha, sigma), g = schedule(t), posterior.added_variance_ratio(schedule, t, s)
        # the posterior means differ by (x0 − x̂0) (α_s − α_t √(σ_s² − small²) / σ_t)
        a_s, s_s = schedule(s)
        lever = a_s - alpha * s_s * (1 - g).sqrt() / sigma
        error = std**2 * sigma**2 / (alpha**2 * std**2 + sigma**2)  # E (x0 − x̂0)²
        right, wide = posterior.fixed_small_std(schedule, t, s), variance(schedule, Prediction(x0, x0), x0, t, s)
        nats = 0.5 * ((right / wide) ** 2 - 1 + lever**2 * error / wide**2) - (right / wide).log()
        assert bound.step_terms[:, i].mean().item() == pytest.approx((nats / math.log(2)).item(), rel=0.04)
    alpha, sigma = schedule(grid[0])
    prior = alpha**2 * (mean**2 + std**2) / (2 * sigma**2) / math.log(2)
    assert bound.prior.mean().item() == pytest.approx(prior.item(), rel=0.04)
    torch.testing.assert_close(bound.total, bound.prior + bound.step_terms.sum(1) + bound.decoder)


def test_with_many_steps_the_bound_is_tight():
    """To the entropy of 8-bit values of a Gaussian."""
    x0, schedule = bytes_like(std=0.2), VarianceExploding(20.0)
    entropy = -(normal.discretized_log_prob(x0, *times(0.3, 0.2)).flatten(1).mean(1)) / math.log(2)
    d, gaps = gaussian(schedule, std=0.2), []
    for steps in (50, 200):
        bound = variational_bound(d, x0, karras(schedule, steps, 0.04, 20.0), Seeded(range(4)))
        gaps.append((bound.total - entropy).mean())
    assert 0 < gaps[1] < 0.1 and gaps[1] < gaps[0] / 3


def test_the_training_loss_is_the_bound():
    """T times a random term, averaged over all steps, is the bound without its prior: same noise, same figures."""
    chain = Cosine(20)
    d, x0 = gaussian(chain), bytes_like((1, 1, 8, 8))
    bound = variational_bound(d, x0, trailing(20, 20), Seeded([5]), FixedLarge())
    noise = Seeded([5])
    terms = []
    for k in range(20, 0, -1):
        t = times(k / 20)

        def net(x, t, cond):
            return d(x, t).x0

        loss = VariationalLoss(chain, X0(), 20, FixedLarge())
        terms.append(loss(net, x0, t, noise(x0)))
    torch.testing.assert_close(torch.stack(terms).mean(0), bound.step_terms.sum(1) + bound.decoder)


def test_a_bound_needs_a_grid_that_ends_at_0():
    for grid in (trailing(5)[:-1], trailing(5).flip(0), times(0.0)):
        with pytest.raises(InputError, match="decreases to t = 0"):
            variational_bound(gaussian(Cosine()), bytes_like(), grid, Seeded(range(4)))


@pytest.mark.parametrize(
    "schedule", [LinearBeta(1000), Cosine(1000), RectifiedFlow(), VarianceExploding(500.0)], ids=name
)
@pytest.mark.parametrize("data", [gaussian, mixture])
def test_the_ode_density_is_the_exact_density(schedule, data):
    d = data(schedule)
    x = 0.3 + 0.4 * torch.randn(5, 1, 2, 2, generator=make_generator("x"), dtype=torch.float64)
    grid = logsnr(schedule, 300, 0.02, 500.0)[:-1]  # N(0, σ²) must be all that is left
    got = ode_log_density(d, x, grid, exact_divergence)
    torch.testing.assert_close(got, d.log_prob(x, grid[-1]), rtol=0, atol=0.04)


def test_hutchinson_is_right_on_average():
    def f(x):
        return (x.sum((2, 3), keepdim=True) * x).sin() + 2 * x

    x = torch.randn(1, 2, 3, 3, generator=make_generator("x"), dtype=torch.float64)
    right = exact_divergence(f, x)
    jacobian = torch.autograd.functional.jacobian(f, x).reshape(18, 18)
    torch.testing.assert_close(right, jacobian.trace()[None])
    many = x.expand(20_000, -1, -1, -1)
    draws = HutchinsonDivergence.from_noise(Seeded(range(20_000)), many)(f, many)
    assert abs(draws.mean() - right) < 5 * draws.std() / 20_000**0.5


def test_hutchinson_needs_no_average_on_a_gaussian():
    """Its Jacobian is a multiple of one, and signs square to one."""
    schedule = VarianceExploding(80.0)
    d = gaussian(schedule)
    x = 0.3 + 0.4 * torch.randn(3, 1, 8, 8, generator=make_generator("x"), dtype=torch.float64)
    grid = logsnr(schedule, 200, 0.002, 80.0)[:-1]
    got = ode_log_density(d, x, grid, HutchinsonDivergence.from_noise(Seeded(range(3)), x))
    torch.testing.assert_close(bits_per_dim(got, 64), bits_per_dim(d.log_prob(x, grid[-1]), 64), rtol=0, atol=5e-3)


def test_ode_bits_of_8_bit_pictures_are_those_of_the_exact_density():
    """Of a Gaussian: the density at the dequantized picture, on average over the random signs."""
    d, x0 = gaussian(RectifiedFlow(), 0.1, 0.3), bytes_like((2, 1, 2, 2))
    grid = logsnr(d.schedule, 100, 0.002, 200.0)[:-1]
    x = dequantize(x0, Seeded([0, 1]))
    right = bits_per_dim(d.log_prob(x, grid[-1]), 4)
    torch.testing.assert_close(ode_bits_per_dim(d, x0, grid, Seeded([0, 1])), right, rtol=0, atol=5e-3)
    torch.testing.assert_close(
        ode_bits_per_dim(d, x0, grid, Seeded([0, 1]), exact_divergence), right, rtol=0, atol=5e-3
    )


def test_bits_of_the_uniform_density_are_eight():
    assert bits_per_dim(torch.full((1,), 12 * math.log(0.5), dtype=torch.float64), 12).item() == pytest.approx(8)
    x = dequantize(bytes_like((64, 1, 8, 8)), Seeded(range(64)))
    assert x.min() >= -1 and x.max() <= 1
    torch.testing.assert_close((x * 128 + 128).floor() / 127.5 - 1, bytes_like((64, 1, 8, 8)))


def test_the_ends_where_a_density_is_not_defined_are_refused():
    with pytest.raises(InputError, match="above t = 0"):
        ode_log_density(gaussian(Cosine()), bytes_like(), trailing(5), exact_divergence)
    with pytest.raises(InputError, match="just below t = 1"):
        ode_log_density(gaussian(RectifiedFlow()), bytes_like(), times(1.0, 0.5), exact_divergence)
