import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from closed_forms import SCHEDULES, gaussian, name, some_schedule, times
from noisette.denoiser import Denoiser, Prediction
from noisette.guidance import Clipped, GradientGuided, Guided
from noisette.schedule import Cosine, LinearBeta, RectifiedFlow

X = torch.randn(2, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 2
T = times(0.6)[0]


def same(a: Prediction, b: Prediction) -> None:
    torch.testing.assert_close((a.x0, a.eps), (b.x0, b.eps), rtol=1e-9, atol=1e-9)


def consistent(d: Denoiser, x=X, t=T) -> None:
    pred, (alpha, sigma) = d(x, t), d.schedule.at(t, x)
    torch.testing.assert_close(alpha * pred.x0 + sigma * pred.eps, x)


@pytest.mark.parametrize("schedule", SCHEDULES[:3] + SCHEDULES[-3:], ids=name)
def test_guided_is_a_line_through_two_denoisers(schedule):
    towards, away = gaussian(schedule, 0.5), gaussian(schedule, -0.5)
    same(Guided(towards, away, 1.0)(X, T), towards(X, T))
    same(Guided(towards, away, 0.0)(X, T), away(X, T))
    same(Guided(towards, towards, 7.0)(X, T), towards(X, T))
    a, b = towards(X, T), away(X, T)
    same(
        Guided(towards, away, 3.0)(X, T), Prediction(3 * a.x0 - 2 * b.x0, 3 * a.eps - 2 * b.eps)
    )  # Ho & Salimans, eq. 6
    consistent(Guided(towards, away, 3.0))


def test_guidance_shifts_the_score_as_the_paper_says():
    """For two Gaussians of one width the guided distribution is a Gaussian at lerp(away, towards, scale)."""
    schedule = LinearBeta()
    same(Guided(gaussian(schedule, 0.2), gaussian(schedule, -0.1), 3.0)(X, T), gaussian(schedule, 0.8)(X, T))


class Counted:
    def __init__(self, denoiser):
        self.denoiser, self.schedule, self.calls = denoiser, denoiser.schedule, 0

    def __call__(self, x, t):
        self.calls += 1
        return self.denoiser(x, t)


def test_outside_of_its_interval_guidance_costs_nothing():
    towards, away = gaussian(Cosine(), 0.5), Counted(gaussian(Cosine(), -0.5))
    guided = Guided(towards, away, 3.0, interval=(0.2, 0.7))
    for t in times(0.1, 0.8):
        same(guided(X, t), towards(X, t))
    assert away.calls == 0
    assert not torch.allclose(guided(X, T).x0, towards(X, T).x0) and away.calls == 1
    Guided(towards, away, 1.0)(X, T)
    assert away.calls == 1


@given(some_schedule, st.floats(0.05, 0.95), st.floats(0.1, 2.0))
def test_clipped_keeps_the_picture_in_range_and_the_pair_consistent(schedule, t, limit):
    d = Clipped(gaussian(schedule, 1.0, 1.5), limit)
    pred = d(3 * X, times(t)[0])
    assert pred.x0.abs().max() <= limit
    consistent(d, 3 * X, times(t)[0])
    same(Clipped(gaussian(schedule), 1e9)(X, T), gaussian(schedule)(X, T))


@pytest.mark.parametrize("schedule", SCHEDULES, ids=name)
def test_classifier_guidance_with_the_exact_gradient_is_the_exact_posterior(schedule):
    """Tweedie: E[x0 | x_t, y] = E[x0 | x_t] + σ²/α ∇ log p(y | x_t). Between two Gaussians the exact log p(y | x_t) is
    a difference of log-densities, and the guided denoiser must be the other Gaussian's."""
    prior, posterior = gaussian(schedule, 0.0, 0.6), gaussian(schedule, 0.5, 0.3)

    def log_prob(x, x0, t):
        return posterior.log_prob(x, t) - prior.log_prob(x, t)

    same(GradientGuided(prior, log_prob)(X, T), posterior(X, T))
    same(GradientGuided(prior, log_prob, 0.0)(X, T), prior(X, T))


def test_gradients_may_pass_through_the_denoiser():
    """Reconstruction guidance pulls x0 towards what is wished, though the wish is about x0 and not x_t."""
    d = gaussian(LinearBeta())
    wish = torch.ones_like(X)
    pulled = GradientGuided(d, lambda x, x0, t: -(x0 - wish).square().sum((1, 2, 3)))(X, T)
    assert (pulled.x0 - wish).norm() < (d(X, T).x0 - wish).norm()
    assert not pulled.x0.requires_grad


def test_in_pure_noise_a_wish_changes_nothing():
    d = gaussian(RectifiedFlow())
    same(GradientGuided(d, lambda x, x0, t: x.sum((1, 2, 3)))(X, times(1.0)[0]), d(X, times(1.0)[0]))


def test_wrappers_nest():
    schedule = LinearBeta()
    d = Clipped(
        Guided(Clipped(gaussian(schedule, 0.5)), Guided(gaussian(schedule), gaussian(schedule, -1.0), 2.0), 3.0)
    )
    assert isinstance(d, Denoiser) and d.schedule == schedule
    consistent(d)
