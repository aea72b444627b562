import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from closed_forms import SCHEDULES, Correlated, gaussian, name, some_schedule, times
from noisette.condition import Condition
from noisette.denoiser import Denoiser, Prediction
from noisette.errors import InputError
from noisette.grid import karras
from noisette.guidance import Asyrp, Clipped, Consistent, Counted, GradientGuided, Guided, Rescheduled
from noisette.noise import Seeded
from noisette.operator import AveragePool, Mask
from noisette.sampler import DDIM, DDPM, DPMSolver2M, Heun, Resampled, UniPC, sample
from noisette.schedule import Cosine, LinearBeta, RectifiedFlow, VarianceExploding
from tiny_models import tiny

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


# ── one call for two questions ────────────────────────────────────────────────────────────────────────────────────


def asked(model):
    """Counts the network's calls, and the images in them."""
    sizes = []
    model.net.register_forward_pre_hook(lambda _net, inputs: sizes.append(len(inputs[0])))
    return sizes


def pair(model, n=3, **other):
    """What a model is asked for, and what it is guided away from."""
    labels = Condition(label=torch.arange(n) % 3)
    return labels, Condition(**other) if other else labels.null()


@pytest.mark.parametrize("t", [times(0.3)[0], times(0.3, 0.02, 0.001)], ids=["one time", "a time each"])
def test_guidance_asks_once_in_a_batch_of_twice_the_size(t):
    model, x = tiny(), torch.randn(3, 4, 8, 8)
    cond, null = pair(model)
    towards, away = model.given(cond)(x, t), model.given(null)(x, t)
    sizes = asked(model)
    guided = Guided(model.given(cond), model.given(null), 2.5)
    if t.ndim:  # an interval is of one time
        from noisette.denoiser import both

        got = both(model.given(cond), model.given(null), x, t)
        for p, q in zip(got, (towards, away), strict=True):
            torch.testing.assert_close((p.x0, p.eps), (q.x0, q.eps), rtol=1e-4, atol=1e-4)
    else:
        got = guided(x, t)
        right = away.x0 + 2.5 * (towards.x0 - away.x0)
        torch.testing.assert_close(got.x0, right, rtol=1e-4, atol=1e-4)
    assert sizes == [6]


def test_two_questions_of_different_kinds_are_asked_one_after_the_other():
    model, x = tiny(), torch.randn(3, 4, 8, 8)
    cond, _ = pair(model)
    mixture = Condition(label=torch.full((3, 3), 1 / 3))
    for away in (model.given(mixture), model.given(), tiny(seed=1).given(cond.null())):
        right = away(x, T).x0.lerp(model.given(cond)(x, T).x0, 2.0)
        torch.testing.assert_close(Guided(model.given(cond), away, 2.0)(x, T).x0, right)
    assert cond.beside(mixture) is None and cond.beside(Condition()) is None
    both = cond.beside(cond.null())
    assert both is not None and both.label.tolist() == [0, 1, 2, -1, -1, -1]


def test_negatives_and_autoguidance_are_the_same_line():
    """Away from another label, and away from another model of the same schedule."""
    model, x = tiny(), torch.randn(2, 4, 8, 8)
    sword, bread = (model.given(model.condition(n, 2)) for n in ("sword", "bread"))
    right = bread(x, T).x0 + 3 * (sword(x, T).x0 - bread(x, T).x0)
    torch.testing.assert_close(Guided(sword, bread, 3.0)(x, T).x0, right, rtol=1e-4, atol=1e-4)
    weaker = tiny(seed=5).given(model.condition("sword", 2))
    right = weaker(x, T).x0 + 2 * (sword(x, T).x0 - weaker(x, T).x0)
    torch.testing.assert_close(Guided(sword, weaker, 2.0)(x, T).x0, right, rtol=1e-4, atol=1e-4)
    with pytest.raises(InputError, match="one schedule"):
        Guided(sword, gaussian(Cosine()), 2.0)


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_rescaled_guidance_keeps_the_contrast(share):
    """All of it gives every image the deviation that it has without guidance; the pair stays a pair."""
    towards, away = gaussian(LinearBeta(), 0.5, 0.3), gaussian(LinearBeta(), -0.5, 0.6)
    pred = Guided(towards, away, 4.0, rescale=share)(X, T)
    plain, full = towards(X, T).x0, Guided(towards, away, 4.0)(X, T).x0
    got, was, now = (p.flatten(1).std(1) for p in (pred.x0, plain, full))
    torch.testing.assert_close(got, share * was + (1 - share) * now)
    consistent(Guided(towards, away, 4.0, rescale=share))
    with pytest.raises(InputError, match="from 0 to 1"):
        Guided(towards, away, 4.0, rescale=1.5)


# ── what is known of the picture ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("sampler", [DDIM(), DDIM(1.0), DDPM(), Heun(), DPMSolver2M(), UniPC(3)], ids=name)
@pytest.mark.parametrize("schedule", [LinearBeta(), RectifiedFlow(), VarianceExploding(20.0)], ids=name)
def test_a_consistent_walk_ends_in_what_was_measured(sampler, schedule):
    truth = torch.randn(1, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    known = (torch.arange(16).reshape(1, 1, 4, 4) % 3 > 0).double()
    for operator in (AveragePool(2), Mask(known)):
        d = Consistent(gaussian(schedule), operator, operator(truth))
        grid = karras(schedule, 6)
        drawn = sample(d, sampler, grid, X * schedule(grid[0])[1], Seeded([0, 1]))
        torch.testing.assert_close(operator(drawn), operator(truth).expand(2, -1, -1, -1))
        consistent(d, X, T)
        free = d(X, T).x0 - gaussian(schedule)(X, T).x0  # nothing but what was measured is changed
        torch.testing.assert_close(operator.pinv(operator(free)), free)


def test_a_consistent_walk_fills_in_what_belongs_there():
    """Two pixels of correlation 0.9: the unknown one is drawn around 0.9 times the known one."""
    cov = torch.tensor([[1.0, 0.9], [0.9, 1.0]], dtype=torch.float64)
    schedule, n = Cosine(), 4000
    y = torch.tensor([1.5, 0.0], dtype=torch.float64).reshape(1, 1, 1, 2)
    d = Consistent(Correlated(schedule, cov), Mask(torch.tensor([1.0, 0.0]).reshape(1, 1, 1, 2)), y)
    grid, z = karras(schedule, 40), torch.randn(n, 1, 1, 2, dtype=torch.float64)
    for sampler, mean in ((DDIM(1.0), 0.9), (Resampled(DDIM(1.0), 10), 1.35)):  # time travel makes it the posterior
        drawn = sample(d, sampler, grid, z, torch.randn_like)[:, 0, 0]
        assert (drawn[:, 0] == 1.5).all()
        assert drawn[:, 1].mean() == pytest.approx(mean, abs=0.1)


# ── h-space ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_asyrp_edits_x0_and_keeps_the_noise():
    model, x = tiny(), torch.randn(2, 4, 8, 8)
    plain = model.given(model.condition("sword", 2))
    edited = Asyrp(plain, model.net.mid, lambda h: h + 3.0)
    got = edited(x, T)
    assert torch.equal(got.eps, plain(x, T).eps)
    assert not torch.allclose(got.x0, plain(x, T).x0, atol=1e-3)
    same(Asyrp(plain, model.net.mid, lambda h: h)(x, T), plain(x, T))
    assert not model.net.mid._forward_hooks  # nothing is left behind, also where the edit fails
    with pytest.raises(RuntimeError):
        Asyrp(plain, model.net.mid, lambda h: h.reshape(7, 7, 7))(x, T)
    assert not model.net.mid._forward_hooks


def test_asyrp_goes_around_guidance():
    model, x = tiny(), torch.randn(2, 4, 8, 8)
    cond = model.condition("sword", 2)
    guided = Guided(model.given(cond), model.given(cond.null()), 2.0)
    got = Clipped(Asyrp(guided, model.net.mid, lambda h: h + 2.0))(x, T)
    assert got.x0.abs().max() <= 1 and not torch.allclose(got.x0, Clipped(guided)(x, T).x0, atol=1e-3)


# ── another schedule ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("to", SCHEDULES, ids=name)
def test_a_denoiser_on_another_schedule_says_the_same_of_the_same_picture(to):
    """The optimal denoiser of a Gaussian is one thing, on whatever schedule it is asked."""
    inner = VarianceExploding(1e4)  # it has every noise level that the others have
    moved, t = Rescheduled(gaussian(inner), to), times(0.4)[0]
    same(moved(X, t), gaussian(to)(X, t))
    assert moved.schedule == to
    consistent(moved, X, t)


def test_a_rescheduled_denoiser_is_finite_at_both_ends():
    moved = Rescheduled(gaussian(LinearBeta()), RectifiedFlow())
    for t in times(0.0, 1.0):
        assert moved(X, t).x0.isfinite().all()
