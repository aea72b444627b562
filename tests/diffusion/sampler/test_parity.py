"""Ours against diffusers' schedulers on the same network. Where diffusers contradicts itself or its paper, the test
says so."""

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EDMDPMSolverMultistepScheduler,
    EDMEulerScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    HeunDiscreteScheduler,
    UniPCMultistepScheduler,
)

from noisette.diffusion.denoiser import DiffusionModel
from noisette.diffusion.grid import karras, leading, strided, trailing
from noisette.diffusion.guidance import Clipped
from noisette.diffusion.parametrization import EDM
from noisette.diffusion.posterior import FixedLarge, FixedSmall, LearnedRange
from noisette.diffusion.sampler import DDIM, DDPM, DPMSolver2M, DPMSolver3M, DPMSolverSDE, Heun, UniPC, sample
from noisette.diffusion.schedule import VarianceExploding
from oracles import (
    CHAINS,
    DETERMINISTIC,
    AsExploding,
    Stream,
    Toy,
    exact,
    run_scheduler,
    start,
    their_grid,
    toy,
    toy_flow,
)

SPACINGS = {"trailing": trailing, "leading": leading, "linspace": strided}
TARGETS = ["epsilon", "sample", "v_prediction"]


def close(ours, theirs, tol=1e-6):
    torch.testing.assert_close(ours, theirs, rtol=tol, atol=tol)


# DDIM and DDPM take their previous step as t − T // n: where n does not divide T, that leaves the grid which they chose
# themselves, unless it is a leading one. So the other spacings are compared at steps that divide T.
CASES = [("trailing", 20), ("trailing", 50), ("leading", 7), ("leading", 30), ("leading", 50)]


ALL = [(target, chain, *case) for target in TARGETS for chain in CHAINS for case in [*CASES, ("trailing", 1)]]


@pytest.mark.parametrize(("target", "chain", "spacing", "steps"), [*ALL, ("v_prediction", "linear", "leading", 600)])
def test_ddim(target, chain, spacing, steps):
    theirs = exact(
        DDIMScheduler(beta_schedule=chain, prediction_type=target, timestep_spacing=spacing, clip_sample=False),
        CHAINS[chain],
    )
    theirs.set_timesteps(steps)
    model = toy(chain, target)
    ours = sample(model.given(), DDIM(), SPACINGS[spacing](steps), start(), DETERMINISTIC)
    close(ours, run_scheduler(theirs, model.net, start()))


@pytest.mark.parametrize(("spacing", "steps"), CASES)
@pytest.mark.parametrize("eta", [0.3, 1.0])
def test_ddim_with_noise(spacing, steps, eta):
    """They draw noise for the last step too, and add none of it: the streams agree up to there."""
    theirs = exact(DDIMScheduler(timestep_spacing=spacing, clip_sample=False), CHAINS["linear"])
    theirs.set_timesteps(steps)
    model = toy()
    ours = sample(model.given(), DDIM(eta), SPACINGS[spacing](steps), start(), Stream(3))
    close(ours, run_scheduler(theirs, model.net, start(), eta=eta, generator=torch.Generator().manual_seed(3)))


def test_ddim_clipped():
    """Ours re-derives ε from the clipped x0; theirs only with use_clipped_model_output."""
    theirs = exact(DDIMScheduler(timestep_spacing="trailing"), CHAINS["linear"])
    theirs.set_timesteps(20)
    model = toy()
    ours = sample(Clipped(model.given()), DDIM(), trailing(20), start(), DETERMINISTIC)
    close(ours, run_scheduler(theirs, model.net, start(), use_clipped_model_output=True))


@pytest.mark.parametrize(
    ("name", "variance"),
    [("fixed_small", FixedSmall()), ("fixed_large", FixedLarge()), ("learned_range", LearnedRange())],
)
@pytest.mark.parametrize(("spacing", "steps"), CASES)
@pytest.mark.parametrize("clip", [False, True])
def test_ddpm(name, variance, spacing, steps, clip):
    """Theirs adds no noise at label 0, as Ho et al.'s Algorithm 2 says; but the last step of a trailing grid has
    another label, and gets noise in the finished picture unless the variance there is 0. Ours depends on where the
    step ends."""
    if spacing == "trailing" and name != "fixed_small":
        pytest.skip("they leave noise in the picture")
    theirs = exact(DDPMScheduler(variance_type=name, timestep_spacing=spacing, clip_sample=clip), CHAINS["linear"])
    theirs.set_timesteps(steps)
    model = toy(variance=name == "learned_range")
    d = Clipped(model.given()) if clip else model.given()
    ours = sample(d, DDPM(variance), SPACINGS[spacing](steps), start(), Stream(3))
    close(ours, run_scheduler(theirs, model.net, start(), generator=torch.Generator().manual_seed(3)))


@pytest.mark.slow
def test_ddpm_over_the_whole_chain():
    theirs = exact(DDPMScheduler(clip_sample=False), CHAINS["linear"])
    theirs.set_timesteps(1000)
    model = toy()
    ours = sample(model.given(), DDPM(), trailing(1000), start(), Stream(3))
    close(ours, run_scheduler(theirs, model.net, start(), generator=torch.Generator().manual_seed(3)))


@pytest.mark.parametrize("karras", [False, True])
@pytest.mark.parametrize("steps", [4, 9, 20])
@pytest.mark.parametrize("target", ["epsilon", "v_prediction"])
def test_euler(steps, target, karras):
    """Theirs keeps x/α; that changes nothing for Euler's method, which is DDIM."""
    theirs = EulerDiscreteScheduler(prediction_type=target, timestep_spacing="trailing", use_karras_sigmas=karras)
    theirs.set_timesteps(steps)
    model = toy(target=target)
    grid = their_grid(theirs, model.schedule)
    alpha, _ = model.schedule(grid[0])
    ours = sample(model.given(), DDIM(), grid, start(), DETERMINISTIC)
    close(ours, run_scheduler(theirs, model.net, start() / alpha), 2e-4)  # their sigmas at the far end are float32


@pytest.mark.parametrize("steps", [4, 9, 20])
@pytest.mark.parametrize("target", ["epsilon", "v_prediction"])
def test_heun(steps, target):
    """Theirs takes the trapezoid in x/α against σ/α. So does ours, on a denoiser seen as variance-exploding."""
    theirs = HeunDiscreteScheduler(beta_schedule="linear", beta_start=1e-4, beta_end=0.02, prediction_type=target)
    theirs.set_timesteps(steps)
    model = toy(target=target)
    d = AsExploding(model.given())
    grid = their_grid(theirs, d.schedule)
    noisy = start() * d.schedule(grid[0])[1]
    close(sample(d, Heun(), grid, noisy, DETERMINISTIC), run_scheduler(theirs, model.net, noisy), 2e-4)


@pytest.mark.parametrize("steps", [4, 9, 20])
@pytest.mark.parametrize(
    ("sampler", "theirs"), [(DDIM(), FlowMatchEulerDiscreteScheduler()), (Heun(), FlowMatchHeunDiscreteScheduler())]
)
def test_flow(sampler, theirs, steps):
    """Their Heun scheduler starts at σ = 1 and is finite there; so is ours. Their label is 1000 σ, and so is ours."""
    theirs.set_timesteps(steps)
    model = toy_flow()
    ours = sample(model.given(), sampler, their_grid(theirs), start(), DETERMINISTIC)
    close(ours, run_scheduler(theirs, model.net, start()), 1e-5)  # σ is float32


@pytest.mark.parametrize("steps", [5, 18])
@pytest.mark.parametrize(
    ("sampler", "cls"), [(DDIM(), EDMEulerScheduler), (DPMSolver2M(), EDMDPMSolverMultistepScheduler)]
)
def test_edm(sampler, cls, steps):
    """Karras' preconditioning and c_noise are their scheduler's work, and our parametrization's and schedule's."""
    theirs = cls(sigma_min=0.002, sigma_max=80.0, sigma_data=0.5)
    theirs.set_timesteps(steps)
    model = DiffusionModel(Toy(), VarianceExploding(80.0), EDM(0.5))
    grid = their_grid(theirs, model.schedule)
    torch.testing.assert_close(grid, karras(model.schedule, steps), rtol=1e-5, atol=0)
    noisy = start() * 80
    close(sample(model.given(), sampler, grid, noisy, DETERMINISTIC), run_scheduler(theirs, model.net, noisy), 1e-5)


def solver(cls, **kw):
    return cls(beta_schedule="linear", beta_start=1e-4, beta_end=0.02, timestep_spacing="trailing", **kw)


@pytest.mark.parametrize("steps", [5, 10, 15, 40])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("karras", [False, True])
def test_dpm_solver_2m(steps, target, karras):
    theirs = solver(DPMSolverMultistepScheduler, prediction_type=target, use_karras_sigmas=karras)
    theirs.set_timesteps(steps)
    model = toy(target=target)
    ours = sample(model.given(), DPMSolver2M(), their_grid(theirs, model.schedule), start(), DETERMINISTIC)
    # with Karras' sigmas they round the label, and not the noise that is taken away
    close(ours, run_scheduler(theirs, model.net, start()), 5e-3 if karras else 2e-4)


@pytest.mark.parametrize("steps", [5, 10, 15, 40])
def test_dpm_solver_sde(steps):
    theirs = solver(DPMSolverMultistepScheduler, algorithm_type="sde-dpmsolver++")
    theirs.set_timesteps(steps)
    model = toy()
    single = Stream(3, torch.float32)
    ours = sample(model.given(), DPMSolverSDE(), their_grid(theirs, model.schedule), start(), single)
    # they draw a noise for the last step as well, and multiply it with σ = 0
    close(ours, run_scheduler(theirs, model.net, start(), generator=torch.Generator().manual_seed(3)), 2e-4)


class TheirThird:
    """DPM-Solver++(3M) as diffusers and its authors' code have it: the parabola's bend counts half.

    ∫ e^(u − h) u² du = h² − 2h + 2 − 2e^−h. Their coefficient, (e^−h − 1 + h)/h² − 1/2, is that over −2h²: right for a
    second derivative, but what they multiply it with is half of one. test_order shows what it costs.
    """

    def step(self, denoise, state, s, noise):
        schedule, t = denoise.schedule, state.t
        past = ((t, denoise(state.x, t)), *state.history)[:3]
        lam = [-schedule.ratio(time).log() for time in (s, *(time for time, _ in past))]
        m = [pred.x0 for _, pred in past]
        h = lam[0] - lam[1]
        (_, s_t), (a_s, s_s) = schedule(t), schedule(s)
        x = s_s / s_t * state.x - a_s * torch.expm1(-h) * m[0]
        if len(past) == 2 and s > 0:
            x = x - a_s * torch.expm1(-h) * h / (lam[1] - lam[2]) / 2 * (m[0] - m[1])
        if len(past) == 3 and s > 0:
            r0, r1 = (lam[1] - lam[2]) / h, (lam[2] - lam[3]) / h
            d0, d1 = (m[0] - m[1]) / r0, (m[1] - m[2]) / r1
            x = x + a_s * (torch.expm1(-h) / h + 1) * (d0 + r0 / (r0 + r1) * (d0 - d1))
            x = x - a_s * ((torch.expm1(-h) + h) / h**2 - 0.5) * (d0 - d1) / (r0 + r1)
        return type(state)(x, s, past)


@pytest.mark.parametrize("steps", [15, 40])
def test_dpm_solver_3m(steps):
    theirs = solver(DPMSolverMultistepScheduler, solver_order=3)
    theirs.set_timesteps(steps)
    model = toy()
    grid = their_grid(theirs, model.schedule)
    peer = run_scheduler(theirs, model.net, start())
    close(sample(model.given(), TheirThird(), grid, start(), DETERMINISTIC), peer, 2e-4)
    ours = sample(model.given(), DPMSolver3M(), grid, start(), DETERMINISTIC)
    assert (ours - peer).abs().max() > 1e-2


@pytest.mark.parametrize("steps", [5, 10, 15, 40])
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("target", TARGETS)
def test_unipc(order, steps, target):
    """Theirs takes its last step but one, too, in a lower order, unless set otherwise; and then it needs an end above
    σ = 0, so that is where it is compared. Their order 2 and ours also agree down to σ = 0."""
    if order == 3:
        theirs = solver(
            UniPCMultistepScheduler,
            solver_order=3,
            prediction_type=target,
            lower_order_final=False,
            final_sigmas_type="sigma_min",
        )
    else:
        theirs = solver(UniPCMultistepScheduler, solver_order=order, prediction_type=target)
    theirs.set_timesteps(steps)
    model = toy(target=target)
    ours = sample(model.given(), UniPC(order), their_grid(theirs, model.schedule), start(), DETERMINISTIC)
    close(ours, run_scheduler(theirs, model.net, start()), 5e-4)


@pytest.mark.parametrize("steps", [6, 20])
@pytest.mark.parametrize("cls", [DPMSolverMultistepScheduler, UniPCMultistepScheduler])
def test_multistep_on_a_flow(cls, steps):
    """Theirs starts a hair or a thousandth below σ = 1, so as not to take the logarithm of 0; ours may start at 1."""
    theirs = cls(prediction_type="flow_prediction", use_flow_sigmas=True, solver_order=2)
    theirs.set_timesteps(steps)
    theirs.timesteps = theirs.sigmas[:-1].double() * 1000  # they cut the label to a whole number
    model, sampler = toy_flow(), UniPC(2) if cls is UniPCMultistepScheduler else DPMSolver2M()
    grid = their_grid(theirs)
    peer = run_scheduler(theirs, model.net, start())
    close(sample(model.given(), sampler, grid, start(), DETERMINISTIC), peer, 2e-4)
    grid[0] = 1.0
    assert sample(model.given(), sampler, grid, start(), DETERMINISTIC).isfinite().all()
