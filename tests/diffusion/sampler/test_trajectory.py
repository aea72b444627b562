from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from closed_forms import PARAMETRIZATIONS, SCHEDULES, gaussian, mixture, name, some_schedule, times
from noisette.diffusion.condition import Condition
from noisette.diffusion.denoiser import DiffusionModel
from noisette.diffusion.grid import karras, leading, logsnr, quadratic, strided, trailing, uniform
from noisette.diffusion.guidance import Clipped, Guided
from noisette.diffusion.noise import Seeded
from noisette.diffusion.parametrization import EDM, V
from noisette.diffusion.posterior import FixedLarge, LearnedRange
from noisette.diffusion.sampler import (
    DDIM,
    DDPM,
    IPNDM,
    Churned,
    DPMSolver2M,
    DPMSolver3M,
    DPMSolverSDE,
    Heun,
    UniPC,
    sample,
    trajectory,
)
from noisette.diffusion.schedule import Cosine, LinearBeta, RectifiedFlow, VarianceExploding
from noisette.errors import InputError
from oracles import DETERMINISTIC, Toy, start

ODE = [DDIM(), Heun(), DPMSolver2M(), DPMSolver3M(), UniPC(1), UniPC(2), UniPC(3), IPNDM()]
SDE = [
    DDIM(0.5),
    DDPM(),
    DDPM(FixedLarge()),
    DDPM(noise_scale=0.0),
    DPMSolverSDE(),
    Churned(Heun()),
    Churned(UniPC(2), 0.4),
]
GRIDS = {
    "uniform": lambda schedule, n: uniform(n),
    "trailing": lambda schedule, n: trailing(n),
    "leading": lambda schedule, n: leading(n),
    "strided": lambda schedule, n: strided(n),
    "quadratic": lambda schedule, n: quadratic(n),
    "karras": karras,
    "logsnr": logsnr,
}


def initial_state(schedule, grid, shape, seeds):
    """Noise to start from, and the stream that follows it."""
    noise = Seeded(seeds)
    return schedule(grid[0])[1] * noise(torch.empty(len(seeds), *shape)), noise


@settings(max_examples=60, deadline=None)
@given(
    sampler=st.sampled_from(ODE + SDE),
    schedule=some_schedule,
    p=st.sampled_from(PARAMETRIZATIONS[1:]),
    grid=st.sampled_from(sorted(GRIDS)),
    steps=st.integers(1, 8),
    shape=st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9)),
    scale=st.floats(0, 4),
)
def test_everything_composes_and_an_image_does_not_depend_on_its_batch(sampler, schedule, p, grid, steps, shape, scale):
    """Any sampler on any schedule, parametrization, grid, number of steps, shape and guidance: finite, and the second
    image of three is the image that is drawn alone."""
    model, grid = DiffusionModel(Toy(), schedule, p), GRIDS[grid](schedule, steps)

    def draw(seeds):
        cond = Condition(label=torch.zeros(len(seeds), dtype=torch.int64))
        x, noise = initial_state(schedule, grid, shape, seeds)
        d = Clipped(Guided(model.given(cond), model.given(cond.null()), scale))
        return sample(d, sampler, grid, x, noise)

    together = draw([4, 5, 6])
    assert together.isfinite().all() and together.dtype == torch.float32
    torch.testing.assert_close(together[1:2], draw([5]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("sampler", ODE, ids=name)
def test_deterministic_samplers_draw_no_noise(sampler):
    assert sample(gaussian(Cosine()), sampler, trailing(5), start(), DETERMINISTIC).isfinite().all()


@pytest.mark.parametrize("sampler", [DDIM(1.0), DDPM(), DPMSolverSDE()], ids=name)
def test_the_last_step_adds_no_noise(sampler):
    d = gaussian(Cosine())
    *_, before, last = trajectory(d, sampler, trailing(5), start(), Seeded([0, 1]))
    torch.testing.assert_close(last.x, d(before.x, before.t).x0)
    torch.testing.assert_close(last.preview, last.x)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=name)
def test_ddpm_is_ddim_with_eta_1(schedule):
    d, x = mixture(schedule, (1, 4, 4)), start()[:, :1, :4, :4]
    grid = karras(schedule, 12)
    a, b = (sample(d, s, grid, x, Seeded([1, 2])) for s in (DDPM(), DDIM(1.0)))
    torch.testing.assert_close(a, b)


@pytest.mark.parametrize("schedule", [LinearBeta(50, 1e-3, 0.2), Cosine(50)], ids=name)
def test_over_the_whole_chain_too_and_both_are_ancestral_sampling_in_betas(schedule):
    """Ho et al. 2020, Algorithm 2, as it is printed, with σ² = β̃; DDPM is DDIM with η = 1 in T steps."""
    d, x = gaussian(schedule), start()
    betas, noise = schedule.betas(), Seeded([1, 2])
    bars = (1 - betas).cumprod(0)
    paper = x
    for k in range(50, 0, -1):
        beta, bar, before = betas[k - 1], bars[k - 1], bars[k - 2] if k > 1 else times(1.0)[0]
        eps = d(paper, times(k / 50)[0]).eps
        paper = (paper - beta / (1 - bar).sqrt() * eps) / (1 - beta).sqrt()
        if k > 1:
            paper = paper + ((1 - before) / (1 - bar) * beta).sqrt() * noise(x)
    for sampler in (DDPM(), DDIM(1.0)):
        torch.testing.assert_close(sample(d, sampler, trailing(50, 50), x, Seeded([1, 2])), paper)


@pytest.mark.parametrize("sampler", [DDIM(), DDIM(0.7), Heun(), UniPC(3), DPMSolverSDE()], ids=name)
@pytest.mark.parametrize("schedule", SCHEDULES[:2] + SCHEDULES[-3:], ids=name)
def test_equivalent_networks_draw_the_same_whatever_they_predict(sampler, schedule):
    oracle, grid = gaussian(schedule), karras(schedule, 8)

    class Net(torch.nn.Module):
        """The output of a network with that parametrization that is the Gaussian's denoiser."""

        def __init__(self, p):
            super().__init__()
            self.p = p

        def forward(self, x, label, cond=None):
            t = now[0]
            alpha, sigma = schedule(t)
            pred = oracle(x / self.p.input_scale(alpha, sigma), t)
            return self.p.target(pred.x0, pred.eps, alpha, sigma)

    class Timed:
        """Gives the network t itself as its label."""

        def __init__(self, model):
            self.model, self.schedule = model, schedule

        def __call__(self, x, t):
            now[0] = t
            return self.model.given()(x, t)

    now = [grid[0]]
    x, right = start() * schedule(grid[0])[1], None
    for p in PARAMETRIZATIONS:
        if schedule == RectifiedFlow() and p == PARAMETRIZATIONS[0]:
            continue
        got = sample(Timed(DiffusionModel(Net(p), schedule, p)), sampler, grid, x, Seeded([1, 2]))
        right = sample(oracle, sampler, grid, x, Seeded([1, 2])) if right is None else right
        torch.testing.assert_close(got, right, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("schedule", [Cosine(), RectifiedFlow(), VarianceExploding(20.0)], ids=name)
@pytest.mark.parametrize(("sampler", "tol"), [(DDIM(), 2e-2), (Heun(), 1e-3)], ids=name)
def test_inversion_and_reconstruction_give_the_picture(sampler, tol, schedule):
    """A deterministic sampler also runs from data to noise."""
    d = mixture(schedule)
    picture = d.means + 0.05
    grid = karras(schedule, 100, 0.002, 20.0)
    noisy = sample(d, sampler, grid.flip(0), picture, DETERMINISTIC)
    assert (noisy - picture).abs().max() > 0.3
    torch.testing.assert_close(sample(d, sampler, grid, noisy, DETERMINISTIC), picture, rtol=0, atol=tol)


def edm_algorithm_2(d, sigmas, x, noise, churn, low, high, inflate):
    """Karras et al. 2022, Algorithm 2, as it is printed."""
    steps = len(sigmas) - 1
    for sigma, sigma_next in pairwise(sigmas):
        gamma = min(churn / steps, 2**0.5 - 1) if low <= sigma <= high else 0.0
        hat = sigma + gamma * sigma
        if gamma > 0:
            x = x + (hat**2 - sigma**2).sqrt() * inflate * noise(x)
        slope = (x - d(x, hat / 80).x0) / hat
        x_next = x + (sigma_next - hat) * slope
        if sigma_next != 0:
            slope_next = (x_next - d(x_next, sigma_next / 80).x0) / sigma_next
            x_next = x + (sigma_next - hat) * (slope + slope_next) / 2
        x = x_next
    return x


def test_churned_heun_is_algorithm_2_of_karras():
    schedule = VarianceExploding(80.0)
    d, grid, x = gaussian(schedule), karras(schedule, 18), 80 * start()
    for churn in (0.0, 1.0, 40.0):
        paper = edm_algorithm_2(d, schedule.ratio(grid), x, Seeded([1, 2]), churn, 0.05, 50.0, 1.003)
        ours = sample(d, Churned(Heun(), churn / 18, 0.05, 50.0, 1.003), grid, x, Seeded([1, 2]))
        torch.testing.assert_close(ours, paper)


def test_heun_on_edm_is_algorithm_1_and_finite_where_there_is_no_signal():
    schedule = VarianceExploding(80.0)
    d, grid, x = gaussian(schedule), karras(schedule, 18), 80 * start()
    paper = edm_algorithm_2(d, schedule.ratio(grid), x, DETERMINISTIC, 0.0, 0.0, 0.0, 1.0)
    torch.testing.assert_close(sample(d, Heun(), grid, x, DETERMINISTIC), paper)
    flow = gaussian(RectifiedFlow())
    for sampler in ODE:
        got = sample(flow, sampler, uniform(60), start(), DETERMINISTIC)
        torch.testing.assert_close(got, flow.solve_ode(start(), times(1.0)[0], times(0.0)[0]), rtol=0, atol=0.06)


def test_history_is_bounded():
    for sampler in ODE + SDE:
        for state in trajectory(gaussian(Cosine()), sampler, trailing(8), start(), Seeded([0, 1])):
            assert 1 <= len(state.history) <= 4


def test_one_sampler_object_runs_two_trajectories_at_once():
    """A sampler has no state of its own."""
    d, sampler = gaussian(Cosine()), UniPC(3)
    other = start().flip(-1)
    one = trajectory(d, sampler, trailing(6), start(), DETERMINISTIC)
    two = trajectory(d, sampler, trailing(6), other, DETERMINISTIC)
    *_, (a, b) = zip(one, two, strict=True)
    torch.testing.assert_close(a.x, sample(d, sampler, trailing(6), start(), DETERMINISTIC))
    torch.testing.assert_close(b.x, sample(d, sampler, trailing(6), other, DETERMINISTIC))


class Half(torch.nn.Module):
    """The Gaussian's v, in bfloat16 from end to end."""

    def __init__(self, schedule):
        super().__init__()
        self.oracle = gaussian(schedule)

    def forward(self, x, label, cond=None):
        t = (label[0].double() + 1) / 1000
        x = x.bfloat16().double()
        pred = self.oracle(x, t)
        return V().target(pred.x0, pred.eps, *self.oracle.schedule(t)).bfloat16()


@pytest.mark.parametrize("sampler", [DDIM(), UniPC(3)], ids=name)
def test_a_bf16_network_does_not_make_the_state_drift(sampler):
    """A bfloat16 has 8 bits: over hundreds of steps a state of that precision would stop moving or wander. Ours stays
    float32, so the error is that of one answer of the network, however many steps there are."""
    schedule = LinearBeta()
    model, x = DiffusionModel(Half(schedule), schedule, V()), start().to(torch.bfloat16)
    for steps in (20, 300):
        got = sample(model.given(), sampler, trailing(steps), x, DETERMINISTIC)
        right = sample(gaussian(schedule), sampler, trailing(steps), x.double(), DETERMINISTIC)
        assert got.dtype == torch.float32
        assert (got - right).abs().max() < 0.02  # values are below 2, where bfloat16's spacing is 0.008
        assert (got - right).mean().abs() < 0.002


def test_a_double_stays_a_double():
    assert sample(gaussian(Cosine()), Heun(), trailing(3), start(), DETERMINISTIC).dtype == torch.float64


def test_refusals():
    d = gaussian(Cosine())
    with pytest.raises(InputError, match="no step"):
        list(trajectory(d, DDIM(), times(1.0), start(), DETERMINISTIC))
    with pytest.raises(InputError, match="did not learn a variance"):
        sample(d, DDPM(LearnedRange()), trailing(3), start(), Seeded([0, 1]))
    with pytest.raises(InputError, match="must be 1, 2 or 3"):
        UniPC(4)


def test_edm_models_can_be_sampled_like_others():
    """The default of the project's presets, through the network's whole contract."""
    schedule = VarianceExploding(80.0)
    model, grid = DiffusionModel(Toy(), schedule, EDM(0.4)), karras(schedule, 6)
    x, noise = initial_state(schedule, grid, (3, 8, 8), [1, 2])
    assert sample(model.given(), Heun(), grid, x, noise).isfinite().all()
