"""The variational losses; the bound itself is tested in test_likelihood."""

import math

import pytest
import torch

from closed_forms import times
from noisette.diffusion import posterior
from noisette.diffusion.loss import HybridLoss, Loss, Objective, VariationalLoss
from noisette.diffusion.noise import make_generator
from noisette.diffusion.parametrization import X0, Epsilon
from noisette.diffusion.schedule import Cosine, LinearBeta
from noisette.errors import InputError

CHAIN = LinearBeta(50, 1e-3, 0.2)


def batch(n=50):
    x0, eps = torch.randn(2, n, 1, 4, 4, dtype=torch.float64, generator=make_generator("batch"))
    x0 = ((x0 * 0.4).clamp(-1, 1) * 127.5).round() / 127.5
    return x0, torch.arange(1, n + 1, dtype=torch.float64) / 50, eps


def answered(out):
    return lambda x, t, cond: out


def test_a_step_of_the_bound_is_improved_diffusions():
    """Nichol & Dhariwal 2021, in betas and log variances as their code has it, apart from the last step."""
    x0, t, eps = batch()
    out, v = torch.randn(2, *x0.shape, dtype=torch.float64, generator=make_generator("out"))
    loss = VariationalLoss(CHAIN, Epsilon(), 50)(answered(torch.cat([out, v], 1)), x0, t, eps)
    b = CHAIN.betas().reshape(-1, 1, 1, 1)
    ab = (1 - b).cumprod(0)
    before = torch.cat([torch.ones_like(ab[:1]), ab[:-1]])
    small = b * (1 - before) / (1 - ab)
    low, high = torch.cat([small[1:2], small[1:]]).log(), b.log()
    x_t = ab.sqrt() * x0 + (1 - ab).sqrt() * eps

    def mean(x):
        return before.sqrt() * b / (1 - ab) * x + (1 - b).sqrt() * (1 - before) / (1 - ab) * x_t

    guess = (x_t - (1 - ab).sqrt() * out) / ab.sqrt()
    log_var = (v + 1) / 2 * high + (1 - v) / 2 * low
    kl = 0.5 * (-1 + log_var - low + (low - log_var).exp() + (mean(x0) - mean(guess)) ** 2 * (-log_var).exp())
    torch.testing.assert_close(loss[1:], 50 * kl.mean((1, 2, 3))[1:] / math.log(2))


def test_the_hybrid_is_the_simple_loss_and_a_thousandth_of_the_bound():
    x0, t, eps = batch()
    simple, out = (
        Objective(CHAIN, Epsilon()),
        torch.randn(50, 2, 4, 4, dtype=torch.float64, generator=make_generator("out")),
    )
    hybrid = HybridLoss(simple, steps=50)
    parts = simple(answered(out[:, :1]), x0, t, eps), VariationalLoss(CHAIN, Epsilon(), 50)(answered(out), x0, t, eps)
    torch.testing.assert_close(hybrid(answered(out), x0, t, eps), parts[0] + 1e-3 * parts[1])
    assert isinstance(hybrid, Loss) and hybrid.times == simple.times


def test_the_bound_trains_only_the_variance_in_the_hybrid_loss():
    x0, t, eps = batch()
    mean, v = torch.randn(2, 50, 1, 4, 4, dtype=torch.float64, generator=make_generator("out")).requires_grad_()
    mean, v = mean.detach().requires_grad_(), v.detach().requires_grad_()
    simple = Objective(CHAIN, Epsilon())
    hybrid = HybridLoss(simple, steps=50)
    (alone,) = torch.autograd.grad(simple(answered(mean), x0, t, eps).sum(), mean)
    both = torch.autograd.grad(hybrid(answered(torch.cat([mean, v], 1)), x0, t, eps).sum(), (mean, v))
    torch.testing.assert_close(both[0], alone)
    assert both[1].abs().min() > 0


def test_the_variance_with_the_least_bound_is_the_best():
    """The best variance of p is that of the posterior and the error of its mean together."""
    n, t, s = 20_000, times(0.5), times(0.48)
    eps, error = torch.randn(2, n, 1, 1, 1, dtype=torch.float64, generator=make_generator("many"))
    x0, error = torch.zeros_like(eps), 0.3 * error
    small, large = posterior.fixed_small_std(CHAIN, t, s), posterior.fixed_large_std(CHAIN, t, s)
    (alpha, sigma), (a_s, s_s) = CHAIN(t), CHAIN(s)
    lever = a_s - alpha * (s_s**2 - small**2).sqrt() / sigma
    best = (small**2 + lever**2 * error.var()).sqrt()
    v = 2 * (best / small).log() / (large / small).log() - 1
    assert -1 < v < 1

    def loss(v):
        out = torch.cat([x0 + error, v.expand_as(error)], 1)
        return VariationalLoss(CHAIN, X0(), 50)(answered(out), x0, t.expand(n), eps).mean()

    assert loss(v) < loss(v + 0.1) and loss(v) < loss(v - 0.1)


def test_a_network_without_variance_output_cannot_learn_one():
    x0, t, eps = batch()
    for loss in (HybridLoss(Objective(CHAIN, Epsilon()), steps=50), VariationalLoss(Cosine(50), Epsilon(), 50)):
        with pytest.raises(InputError, match=r"variance|output channels"):
            loss(answered(eps), x0, t, eps)
