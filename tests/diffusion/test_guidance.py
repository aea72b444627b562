import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from closed_forms import SCHEDULES, Correlated, gaussian, mixture, name, some_schedule, times
from noisette.diffusion.condition import Condition
from noisette.diffusion.denoiser import Denoiser, Prediction
from noisette.diffusion.grid import karras
from noisette.diffusion.guidance import Asyrp, CallCounter, Clipped, Consistent, GradientGuided, Guided, Rescheduled
from noisette.diffusion.noise import Seeded
from noisette.diffusion.operator import AveragePool, Mask
from noisette.diffusion.sampler import DDIM, DDPM, DPMSolver2M, Heun, Resampled, UniPC, sample
from noisette.diffusion.schedule import Cosine, LinearBeta, RectifiedFlow, VarianceExploding
from noisette.errors import InputError
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


def test_guidance_shifts_the_score_as_in_the_paper():
    """For two Gaussians of one width the guided distribution is a Gaussian at lerp(away, towards, scale)."""
    schedule = LinearBeta()
    same(Guided(gaussian(schedule, 0.2), gaussian(schedule, -0.1), 3.0)(X, T), gaussian(schedule, 0.8)(X, T))


def test_outside_of_its_interval_guidance_costs_nothing():
    towards, away = gaussian(Cosine(), 0.5), CallCounter(gaussian(Cosine(), -0.5))
    guided = Guided(towards, away, 3.0, interval=(0.2, 0.7))
    for t in times(0.1, 0.8):
        same(guided(X, t), towards(X, t))
    assert away.num_calls == 0
    assert not torch.allclose(guided(X, T).x0, towards(X, T).x0) and away.num_calls == 1
    Guided(towards, away, 1.0)(X, T)
    assert away.num_calls == 1


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
    """Reconstruction guidance moves x0 towards a target, although log_prob depends on x0 and not on x_t."""
    d = gaussian(LinearBeta())
    target = torch.ones_like(X)
    pulled = GradientGuided(d, lambda x, x0, t: -(x0 - target).square().sum((1, 2, 3)))(X, T)
    assert (pulled.x0 - target).norm() < (d(X, T).x0 - target).norm()
    assert not pulled.x0.requires_grad


def test_in_pure_noise_the_gradient_changes_nothing():
    d = gaussian(RectifiedFlow())
    same(GradientGuided(d, lambda x, x0, t: x.sum((1, 2, 3)))(X, times(1.0)[0]), d(X, times(1.0)[0]))


def test_pure_noise_in_a_batch_leaves_the_guidance_of_the_others():
    """α is 0 for one image of three: it keeps its prediction, and the others get their gradient."""
    d, t, x = gaussian(RectifiedFlow()), times(0.3, 1.0, 0.7), X[[0, 1, 0]]

    def log_prob(x, x0, t):
        return -(x0 - 1).square().sum((1, 2, 3))

    got = GradientGuided(d, log_prob)(x, t)
    for i in range(3):
        right = GradientGuided(d, log_prob)(x[i : i + 1], t[i])
        same(got[i : i + 1], right)
    assert torch.equal(got.x0[1], d(x, t).x0[1]) and not torch.allclose(got.x0[0], d(x, t).x0[0])


# ── one time per image ────────────────────────────────────────────────────────────────────────────────────────────

PER_IMAGE = times(0.1, 0.35, 0.6, 0.9)
WRAPPERS = {
    "Clipped": lambda d, away: Clipped(d, 0.7),
    "Guided": lambda d, away: Guided(d, away, 3.0),
    "Guided in an interval": lambda d, away: Guided(d, away, 3.0, interval=(0.3, 0.7)),
    "Guided and rescaled": lambda d, away: Guided(d, away, 3.0, interval=(0.3, 0.7), rescale=0.7),
    "GradientGuided": lambda d, away: GradientGuided(d, lambda x, x0, t: -(x0 - 1).square().sum((1, 2, 3))),
    "Consistent": lambda d, away: Consistent(d, AveragePool(2), torch.zeros(1, 1, 1, 1)),
    "Rescheduled": lambda d, away: Rescheduled(d, VarianceExploding(20.0)),
    "CallCounter": lambda d, away: CallCounter(d),
    "nested": lambda d, away: Clipped(Guided(Guided(d, away, 2.0, (0.0, 0.5)), away, 3.0, (0.3, 0.7), 0.5)),
}


@pytest.mark.parametrize("data", [gaussian, mixture], ids=["gaussian", "mixture"])
@pytest.mark.parametrize("schedule", [LinearBeta(), RectifiedFlow()], ids=name)
@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS.keys())
def test_one_time_per_image_is_the_same_as_image_by_image(wrap, schedule, data):
    towards, away = (data(schedule), gaussian(schedule, -0.5))
    x = torch.randn(4, 1, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(5)) * 2
    wrapped = wrap(towards, away)
    got = wrapped(x, PER_IMAGE)
    for i, t in enumerate(PER_IMAGE):
        same(got[i : i + 1], wrapped(x[i : i + 1], t))


def test_one_time_per_image_outside_of_the_interval_costs_nothing():
    towards, away = gaussian(Cosine(), 0.5), CallCounter(gaussian(Cosine(), -0.5))
    same(Guided(towards, away, 3.0, interval=(0.2, 0.7))(X, times(0.1, 0.8)), towards(X, times(0.1, 0.8)))
    assert away.num_calls == 0


def test_selecting_rows_keeps_a_learned_variance_only_if_both_have_one():
    ones, zeros = (Prediction(v, v, v) for v in (torch.ones(2, 1, 1, 1), torch.zeros(2, 1, 1, 1)))
    mask = torch.tensor([True, False])
    got = ones.where(mask, zeros)
    assert got.x0.flatten().tolist() == got.eps.flatten().tolist() == got.variance.flatten().tolist() == [1, 0]
    assert ones.where(mask, Prediction(zeros.x0, zeros.eps)).variance is None


def test_wrappers_nest():
    schedule = LinearBeta()
    d = Clipped(
        Guided(Clipped(gaussian(schedule, 0.5)), Guided(gaussian(schedule), gaussian(schedule, -1.0), 2.0), 3.0)
    )
    assert isinstance(d, Denoiser) and d.schedule == schedule
    consistent(d)


# ── one call for two questions ────────────────────────────────────────────────────────────────────────────────────


def count_batches(model):
    """Counts the network's calls, and the images in them."""
    sizes = []
    model.net.register_forward_pre_hook(lambda _net, inputs: sizes.append(len(inputs[0])))
    return sizes


def pair(model, n=3, **other):
    """A condition, and the one to guide away from."""
    labels = Condition(label=torch.arange(n) % 3)
    return labels, Condition(**other) if other else labels.null()


@pytest.mark.parametrize("t", [times(0.3)[0], times(0.3, 0.02, 0.001)], ids=["one time", "a time each"])
def test_guidance_is_one_call_with_a_batch_of_twice_the_size(t):
    model, x = tiny(), torch.randn(3, 4, 8, 8)
    cond, null = pair(model)
    towards, away = model.given(cond)(x, t), model.given(null)(x, t)
    sizes = count_batches(model)
    got = Guided(model.given(cond), model.given(null), 2.5)(x, t)
    torch.testing.assert_close(got.x0, away.x0 + 2.5 * (towards.x0 - away.x0), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(got.eps, away.eps + 2.5 * (towards.eps - away.eps), rtol=1e-4, atol=1e-4)
    assert sizes == [6]


def test_conditions_of_different_kinds_are_two_calls():
    model, x = tiny(), torch.randn(3, 4, 8, 8)
    cond, _ = pair(model)
    mixture = Condition(label=torch.full((3, 3), 1 / 3))
    for away in (model.given(mixture), model.given(), tiny(seed=1).given(cond.null())):
        right = away(x, T).x0.lerp(model.given(cond)(x, T).x0, 2.0)
        torch.testing.assert_close(Guided(model.given(cond), away, 2.0)(x, T).x0, right)
    assert cond.concat(mixture) is None and cond.concat(Condition()) is None
    both = cond.concat(cond.null())
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
    with pytest.raises(InputError, match="the same schedule"):
        Guided(sword, gaussian(Cosine()), 2.0)


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_rescaled_guidance_keeps_the_contrast(share):
    """With rescale = 1 every image has the deviation that it has without guidance; x0 and ε still agree with x_t."""
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
def test_sampling_with_consistent_ends_in_the_measurement(sampler, schedule):
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


def test_sampling_with_consistent_fills_in_the_conditional_mean():
    """Two pixels of correlation 0.9: the mean of the unknown one is 0.9 times the known one."""
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
def test_a_rescheduled_denoiser_predicts_the_same(to):
    """The optimal denoiser of a Gaussian does not depend on the schedule on which it is called."""
    inner = VarianceExploding(1e4)  # it has every noise level that the others have
    moved, t = Rescheduled(gaussian(inner), to), times(0.4)[0]
    same(moved(X, t), gaussian(to)(X, t))
    assert moved.schedule == to
    consistent(moved, X, t)


@pytest.mark.parametrize("t", [times(0.9)[0], times(0.1, 0.9)], ids=["one time", "a time per image"])
def test_a_noise_level_beyond_the_inner_schedule_is_refused(t):
    """A short chain ends at σ/α = 0.81. Called at 72, its x0 would be over 100 times too far from the mean."""
    moved = Rescheduled(gaussian(LinearBeta(50)), VarianceExploding(80.0))
    with pytest.raises(InputError, match=r"LinearBeta schedule has σ/α up to 0.8\d*, called at 72: .* sigma_max of at"):
        moved(X, t)
    end = LinearBeta(50).ratio(times(1.0)[0])  # its own end is still within
    assert moved(X, VarianceExploding(80.0).time_at_ratio(end)).x0.isfinite().all()


def test_a_rescheduled_denoiser_is_finite_at_both_ends():
    moved = Rescheduled(gaussian(LinearBeta()), RectifiedFlow())
    for t in times(0.0, 1.0):
        assert moved(X, t).x0.isfinite().all()
