import math

import pytest
import torch
from scipy.stats import kstest

from closed_forms import PARAMETRIZATIONS, SCHEDULES, name
from noisette.loss import EDMWeight, LogNormal, MinSNR, Objective, Simple, Steps, Uniform
from noisette.noise import keyed
from noisette.parametrization import EDM, X0, Epsilon, V
from noisette.schedule import Cosine, LinearBeta, RectifiedFlow, VarianceExploding


def batch(n=4):
    x0, eps = torch.randn(2, n, 3, 8, 8, dtype=torch.float64, generator=keyed("batch"))
    return x0, torch.linspace(0.1, 0.9, n, dtype=torch.float64), eps


def off_by(error, x0, schedule, p):
    """A network whose x0 is always `error` off, in any parametrization."""

    def net(x, t, cond):
        alpha, sigma = schedule.at(t, x)
        guess = x0 + error
        return p.target(guess, (x - alpha * guess) / sigma, alpha, sigma)

    return net


@pytest.mark.parametrize("schedule", SCHEDULES, ids=name)
@pytest.mark.parametrize("weighting", [Simple(), MinSNR(), EDMWeight(0.5)], ids=name)
def test_the_loss_is_the_same_in_every_parametrization(schedule, weighting):
    """… and it is w |x̂0 − x0|²."""
    x0, t, eps = batch()
    weight = weighting(*schedule(t))
    for p in PARAMETRIZATIONS:
        loss = Objective(schedule, p, weighting)(off_by(0.1, x0, schedule, p), x0, t, eps)
        torch.testing.assert_close(loss, weight * 0.01, rtol=1e-6, atol=1e-9)


def test_simple_is_the_error_in_epsilon():
    """Ho et al. 2020, eq. 14."""
    x0, t, eps = batch()
    guess = eps + torch.randn(eps.shape, dtype=eps.dtype, generator=keyed("error"))
    loss = Objective(LinearBeta(), Epsilon(), Simple())(lambda x, t, c: guess, x0, t, eps)
    torch.testing.assert_close(loss, (guess - eps).square().mean((1, 2, 3)))


def test_min_snr_in_v_is_the_papers():
    """Hang et al. 2023, section 3.4: for v, min(SNR, γ) / (SNR + 1) times the error in v."""
    x0, t, eps = batch()
    p, schedule = V(), Cosine()
    alpha, sigma = schedule.at(t, x0)
    v = p.target(x0, eps, alpha, sigma)
    guess = v + torch.randn(eps.shape, dtype=eps.dtype, generator=keyed("error"))
    snr = (alpha / sigma).flatten() ** 2
    paper = snr.clamp(max=5) / (snr + 1) * (guess - v).square().mean((1, 2, 3))
    torch.testing.assert_close(Objective(schedule, p, MinSNR(5.0))(lambda x, t, c: guess, x0, t, eps), paper)


def test_edm_loss_is_the_papers():
    """Karras et al. 2022, Table 1: λ(σ) = (σ² + σ_d²) / (σ σ_d)², on D; which is the plain error in F."""
    x0, t, eps = batch()
    schedule, p = VarianceExploding(), EDM(0.5)
    out = torch.randn(eps.shape, dtype=eps.dtype, generator=keyed("out"))
    loss = Objective(schedule, p, EDMWeight(0.5))(lambda x, t, c: out, x0, t, eps)
    sigma = 80 * t
    x = x0 + sigma.reshape(-1, 1, 1, 1) * eps
    D, _ = p.solve(out, x, *schedule.at(t, x))
    paper = (sigma**2 + 0.25) / (sigma * 0.5) ** 2 * (D - x0).square().mean((1, 2, 3))
    torch.testing.assert_close(loss, paper)
    torch.testing.assert_close(loss, (out - p.target(x0, eps, *schedule.at(t, x0))).square().mean((1, 2, 3)))


def test_a_perfect_network_has_no_loss():
    x0, t, eps = batch()
    for schedule in SCHEDULES:
        loss = Objective(schedule, X0())(off_by(0.0, x0, schedule, X0()), x0, t, eps)
        torch.testing.assert_close(loss, torch.zeros_like(loss))


def test_steps_are_uniform_over_the_chain():
    t = Steps(10)(LinearBeta(10), 20000, keyed("t"))
    counts = torch.bincount((t * 10).round().long(), minlength=11)
    assert counts[0] == 0 and t.dtype == torch.float64
    assert ((counts[1:] - 2000).abs() < 5 * math.sqrt(2000)).all()


def test_uniform_times_are_uniform():
    t = Uniform()(RectifiedFlow(), 4000, keyed("t"))
    assert t.min() > 0 and t.max() <= 1
    assert kstest(t.numpy(), "uniform").pvalue > 0.01


@pytest.mark.parametrize("schedule", [VarianceExploding(), LinearBeta(), RectifiedFlow()], ids=name)
def test_lognormal_noise_is_lognormal_on_any_schedule(schedule):
    t = LogNormal(-1.2, 1.2)(schedule, 4000, keyed("t"))
    assert t.min() > 0
    z = (schedule.ratio(t).log() + 1.2) / 1.2
    assert kstest(z.numpy(), "norm").pvalue > 0.01


@pytest.mark.parametrize("times", [Steps(), Uniform(), LogNormal()], ids=name)
def test_times_are_a_function_of_the_generator(times):
    a, b = (times(LinearBeta(), 16, keyed("t")) for _ in range(2))
    assert torch.equal(a, b) and not torch.equal(a, times(LinearBeta(), 16, keyed("u")))
