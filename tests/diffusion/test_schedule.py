import math

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler
from diffusers.schedulers.scheduling_ddim import rescale_zero_terminal_snr
from hypothesis import given
from hypothesis import strategies as st

from closed_forms import CHAINS, SCHEDULES, name, some_chain, some_schedule, times
from noisette.diffusion.denoiser import DiffusionModel
from noisette.diffusion.noise import Seeded
from noisette.diffusion.parametrization import Epsilon
from noisette.diffusion.schedule import (
    Cosine,
    GammaSigmoid,
    GivenBetas,
    LinearBeta,
    Quadratic,
    RectifiedFlow,
    Sigmoid,
    VarianceExploding,
    ZeroTerminalSNR,
)
from noisette.errors import InputError

unit = st.floats(0, 1)


@given(some_schedule, unit)
def test_time_inverts_ratio(schedule, t):
    ratio = schedule.ratio(times(t))
    torch.testing.assert_close(schedule.ratio(schedule.time_at_ratio(ratio)), ratio, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(schedule.time_at_ratio(ratio), times(t), rtol=1e-5, atol=1e-7)


@given(some_schedule, unit, unit)
def test_noise_grows_and_signal_does_not(schedule, t, s):
    (a_s, s_s), (a_t, s_t) = schedule(times(min(s, t))), schedule(times(max(s, t)))
    assert a_t <= a_s and s_t >= s_s - 1e-15
    assert schedule.ratio(times(min(s, t))) <= schedule.ratio(times(max(s, t)))


@pytest.mark.parametrize("schedule", SCHEDULES, ids=name)
def test_begins_with_the_clean_picture(schedule):
    alpha, sigma = schedule(times(0.0))
    assert alpha == 1 and sigma == 0


@given(some_chain, unit)
def test_chains_preserve_variance_between_their_knots(schedule, t):
    alpha, sigma = schedule(times(t))
    torch.testing.assert_close(alpha**2 + sigma**2, times(1.0))


@pytest.mark.parametrize("schedule", CHAINS, ids=name)
def test_knots_are_the_chain(schedule):
    k = torch.arange(1, schedule.steps + 1, dtype=torch.float64)
    alpha, _ = schedule(k / schedule.steps)
    torch.testing.assert_close(alpha**2, (1 - schedule.betas()).cumprod(0), rtol=1e-8, atol=1e-15)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (LinearBeta(), {"beta_schedule": "linear"}),
        (Cosine(), {"beta_schedule": "squaredcos_cap_v2"}),
        (Quadratic(), {"beta_schedule": "scaled_linear"}),
        (Quadratic(1000, 0.00085, 0.012), {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}),
        (Sigmoid(), {"beta_schedule": "sigmoid"}),
        (LinearBeta(steps=50), {"beta_schedule": "linear", "num_train_timesteps": 50}),
    ],
    ids=name,
)  # fmt: skip
def test_tables_are_those_of_diffusers(ours, theirs):
    """Theirs are float32: ᾱ near zero has few digits, so the betas are compared."""
    scheduler = DDPMScheduler(**theirs)
    torch.testing.assert_close(ours.betas(), scheduler.betas.double(), rtol=1e-4, atol=1e-6)
    knots = torch.arange(1, ours.steps + 1, dtype=torch.float64) / ours.steps
    torch.testing.assert_close(ours.noise_label(knots), torch.arange(ours.steps).double(), rtol=0, atol=1e-9)


def test_gamma_sigmoid_is_chens():
    """Chen 2023, Algorithm 1, as it is printed."""

    def gamma(t, start, end, tau):
        v_start, v_end = (1 / (1 + np.exp(-v / tau)) for v in (start, end))
        return (v_end - 1 / (1 + np.exp(-(t * (end - start) + start) / tau))) / (v_end - v_start)

    for start, end, tau in ((-3.0, 3.0, 1.0), (0.0, 3.0, 0.3)):
        t = times(0.0, 0.25, 0.5, 0.75, 0.99)
        alpha, _ = GammaSigmoid(1000, start, end, tau)(t)
        torch.testing.assert_close(alpha**2, torch.tensor(gamma(t.numpy(), start, end, tau)))


def test_zero_terminal_snr_is_lins():
    theirs = rescale_zero_terminal_snr(LinearBeta().betas())
    alpha, sigma = ZeroTerminalSNR(LinearBeta())(torch.arange(1, 1001, dtype=torch.float64) / 1000)
    torch.testing.assert_close(alpha**2, (1 - theirs).cumprod(0))
    assert alpha[-1] == 0 and sigma[-1] == 1
    torch.testing.assert_close(alpha[0], LinearBeta()(times(0.001))[0][0])
    with pytest.raises(InputError, match="choose V, X0, Flow or EDM"):
        DiffusionModel(torch.nn.Identity(), ZeroTerminalSNR(), Epsilon())


def test_labels_of_flow_and_edm():
    assert RectifiedFlow().noise_label(times(0.25)) == 250
    assert VarianceExploding(80.0).noise_label(times(0.5)).item() == pytest.approx(math.log(40) / 4)
    assert VarianceExploding(80.0).noise_label(times(0.0)).isfinite().all()


def test_diffuse_has_the_closed_forms_moments():
    x0, t = torch.full((4, 1, 64, 64), 0.7, dtype=torch.float64), times(0.2, 0.5, 0.8, 1.0)
    for schedule in SCHEDULES:
        alpha, sigma = schedule(t)
        x = schedule.diffuse(x0, t, Seeded(range(4)))
        scale = sigma.clamp(min=1e-6)
        torch.testing.assert_close(
            (x.mean((1, 2, 3)) - 0.7 * alpha) / scale, torch.zeros(4).double(), rtol=0, atol=0.08
        )
        torch.testing.assert_close(x.std((1, 2, 3)) / scale, torch.ones(4).double(), rtol=0, atol=0.06)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=name)
def test_renoise_composes_with_diffuse(schedule):
    """q(x_t | x_s) after q(x_s | x0) is q(x_t | x0)."""
    s, t, noise = times(0.3)[0], times(0.7)[0], Seeded([5])
    x0 = torch.full((1, 1, 128, 128), 0.7, dtype=torch.float64)
    x = schedule.renoise(schedule.diffuse(x0, s, noise), s, t, noise)
    alpha, sigma = schedule(t)
    assert ((x.mean() - 0.7 * alpha) / sigma).abs() < 0.04
    assert (x.std() / sigma - 1).abs() < 0.03


def test_one_time_for_all_or_one_each():
    x = torch.randn(3, 1, 4, 4)
    for schedule in SCHEDULES:
        each = torch.cat(
            [schedule.diffuse(x[i : i + 1], times(t)[0], Seeded([i])) for i, t in enumerate((0.2, 0.5, 0.9))]
        )
        torch.testing.assert_close(schedule.diffuse(x, times(0.2, 0.5, 0.9), Seeded([0, 1, 2])), each)


def test_a_chain_may_be_shown_as_one_of_another_length():
    """label_steps changes the noise label only, not α and σ."""
    long, shown, t = Cosine(4000), Cosine(4000, label_steps=1000), times(0.25, 1.0)
    assert shown.noise_label(t).tolist() == [249.75, 999.75] == (long.noise_label(t) / 4).tolist()
    assert shown(t)[0].equal(long(t)[0]) and shown != long
    assert ZeroTerminalSNR(shown).noise_label(t).equal(shown.noise_label(t))


def test_a_chain_by_its_numbers():
    linear = LinearBeta(50)
    assert GivenBetas(50, tuple(linear.betas().tolist())).angles.equal(linear.angles)
    assert GammaSigmoid(50, max_beta=0.9).betas().max() == 0.9
    for steps, values, words in ((2, (0.1,), "2 steps, got 1 betas"), (2, (0.1, 0.0), "at most 1, got 0.0")):
        with pytest.raises(InputError, match=words):
            GivenBetas(steps, values)


def test_a_chain_without_steps_is_refused():
    with pytest.raises(InputError, match="steps must be 1 to 100000, got 0"):
        LinearBeta(steps=0)
    with pytest.raises(InputError, match="label_steps must be 1 to 100000"):
        LinearBeta(label_steps=0)
