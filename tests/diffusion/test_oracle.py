"""The oracles against definitions: a posterior mean is an integral, a score is a gradient."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from closed_forms import SCHEDULES, gaussian, mixture, name, some_schedule, times
from noisette.diffusion.denoiser import Denoiser
from noisette.diffusion.guidance import Clipped
from noisette.diffusion.noise import make_generator
from noisette.diffusion.oracle import EmpiricalDenoiser, GaussianDenoiser, GaussianMixtureDenoiser
from noisette.diffusion.schedule import Cosine, VarianceExploding

X = torch.randn(3, 1, 2, 2, dtype=torch.float64, generator=make_generator("x"))
PICTURES = torch.rand(50, 1, 2, 2, generator=make_generator("pictures")) * 2 - 1


def all_of(schedule):
    return [gaussian(schedule), mixture(schedule), EmpiricalDenoiser(schedule, PICTURES)]


@given(some_schedule, st.floats(0.05, 0.99), st.sampled_from([gaussian, mixture]))
def test_x0_and_eps_follow_tweedies_formula(schedule, t, make):
    """ε̂ = −σ ∇ ln q(x_t) (Vincent 2011), and the pair is consistent."""
    d, t = make(schedule), times(t)[0]
    x = (X * schedule(t)[1]).requires_grad_()
    (score,) = torch.autograd.grad(d.log_prob(x, t).sum(), x)
    pred, (alpha, sigma) = d(x, t), schedule.at(t, x)
    torch.testing.assert_close(pred.eps, -sigma * score, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(alpha * pred.x0 + sigma * pred.eps, x.detach(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=name)
def test_one_time_for_all_or_one_each(schedule):
    t = times(0.2, 0.5, 0.9)
    for d in all_of(schedule):
        assert isinstance(d, Denoiser)
        together = d(X, t)
        for i in range(3):
            alone = d(X[i : i + 1], t[i])
            torch.testing.assert_close(together.x0[i : i + 1], alone.x0)
            torch.testing.assert_close(together.eps[i : i + 1], alone.eps)


@pytest.mark.parametrize("schedule", [Cosine(), VarianceExploding()], ids=name)
def test_the_answer_has_the_precision_of_the_question(schedule):
    for d in all_of(schedule):
        for t in (times(0.4)[0], times(0.4, 0.5, 0.6)):
            pred, right = d(X.float(), t), d(X, t)
            assert pred.x0.dtype == pred.eps.dtype == torch.float32
            torch.testing.assert_close(pred.x0.double(), right.x0, rtol=1e-3, atol=1e-3)


def test_a_mixture_of_one_is_a_gaussian():
    schedule, t = Cosine(), times(0.4)[0]
    one = GaussianMixtureDenoiser(schedule, torch.full((1, 1, 2, 2), 0.3).double(), times(0.4), times(1.0))
    torch.testing.assert_close(one(X, t).x0, gaussian(schedule)(X, t).x0)
    torch.testing.assert_close(one.log_prob(X, t), gaussian(schedule).log_prob(X, t))


@pytest.mark.parametrize("schedule", [Cosine(), VarianceExploding()], ids=name)
@pytest.mark.parametrize("chunk", [7, 50, 1000])
def test_a_finite_set_is_a_mixture_of_points(schedule, chunk):
    d = EmpiricalDenoiser(schedule, PICTURES, chunk)
    points = GaussianMixtureDenoiser(
        schedule, PICTURES.double(), torch.full((50,), 1e-9).double(), torch.full((50,), 0.02).double()
    )
    for t in times(0.01, 0.3, 0.7, 1.0):
        torch.testing.assert_close(d(X, t).x0, points(X, t).x0, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(d.posterior_weights(X, t).sum(1), torch.ones(3, dtype=torch.float64))


def test_with_little_noise_a_finite_set_answers_with_the_nearest_picture():
    schedule, t = VarianceExploding(80.0), times(0.002 / 80)[0]
    noisy = PICTURES + 0.002 * torch.randn(PICTURES.shape, generator=make_generator("noise"))
    torch.testing.assert_close(EmpiricalDenoiser(schedule, PICTURES)(noisy, t).x0, PICTURES)
    mean = EmpiricalDenoiser(schedule, PICTURES)(80 * X.float(), times(1.0)[0]).x0
    torch.testing.assert_close(mean, PICTURES.mean(0).expand_as(mean), rtol=0, atol=0.05)


def test_thousands_of_pictures_fit():
    many = torch.rand(4000, 3, 16, 16, generator=make_generator("many")) * 2 - 1
    schedule = VarianceExploding(80.0)
    pred = Clipped(EmpiricalDenoiser(schedule, many))(many[:4] + 0.1, schedule.time_at_ratio(times(0.3)[0]))
    assert pred.x0.dtype == torch.float32 and pred.x0.shape == (4, 3, 16, 16)
    torch.testing.assert_close(pred.x0, many[:4])


def test_the_gaussians_flow_is_its_ode():
    """d x = x0 dα + ε dσ, by a finite difference."""
    schedule, h = Cosine(100_000), 1e-5
    d = gaussian(schedule)
    t, low, high = times(0.4, 0.4 - h, 0.4 + h)
    moved = d.solve_ode(X, t, high) - d.solve_ode(X, t, low)
    (a_low, s_low), (a_high, s_high) = schedule(low), schedule(high)
    pred = d(X, t)
    torch.testing.assert_close(moved, pred.x0 * (a_high - a_low) + pred.eps * (s_high - s_low), rtol=1e-4, atol=1e-9)


def test_pixels_may_differ():
    std = torch.tensor([[[0.1, 1.0], [0.5, 2.0]]], dtype=torch.float64)
    d = GaussianDenoiser(Cosine(), torch.zeros(1, 2, 2), std)
    pred = d(X, times(0.5)[0])
    for i in range(2):
        alone = GaussianDenoiser(Cosine(), torch.zeros(()), std[0, 0, i])(X, times(0.5)[0])
        torch.testing.assert_close(pred.x0[..., 0, i], alone.x0[..., 0, i])
