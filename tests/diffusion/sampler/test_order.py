"""How fast each solver's error falls, on data whose probability-flow ODE is solved in closed form."""

import math

import pytest
import torch

from closed_forms import gaussian, mixture, name, times
from noisette.diffusion.grid import karras, logsnr
from noisette.diffusion.sampler import DDIM, IPNDM, DPMSolver2M, DPMSolver3M, Heun, State, UniPC, sample
from noisette.diffusion.schedule import Cosine, LinearBeta, RectifiedFlow, VarianceExploding
from oracles import DETERMINISTIC, start

from .test_parity import TheirThird

SCHEDULES = [LinearBeta(steps=100_000), Cosine(steps=100_000), RectifiedFlow(), VarianceExploding(5.0)]
# A chain is linear between its knots, so it has kinks that a fine grid sees; with many knots they are too small to see.


def order(sampler, schedule, make, sizes, warm=0):
    """The slope of the error over the number of steps, above the last step, which is always of first order.

    `warm` steps' predictions are given as history, from the exact solution: a multistep method that starts cold takes
    its first steps in a lower order, and their errors stay.
    """
    d, errors = gaussian(schedule), []
    for n in sizes:
        grid = make(schedule, n, 0.05, 4.0)[:-1]
        x = schedule(grid[0])[1] * start()
        exact = [d.solve_ode(x, grid[0], t) for t in grid]
        past = tuple((grid[i], d(exact[i], grid[i])) for i in reversed(range(warm)))
        state = State(exact[warm], grid[warm], past)
        for s in grid[warm + 1 :]:
            state = sampler.step(d, state, s, DETERMINISTIC)
        errors.append((state.x - exact[-1]).abs().max().item())
    return math.log(errors[0] / errors[1]) / math.log((sizes[1] - 1) / (sizes[0] - 1))


@pytest.mark.parametrize("schedule", SCHEDULES, ids=name)
@pytest.mark.parametrize("make", [karras, logsnr])
@pytest.mark.parametrize(
    ("sampler", "claimed", "warm"),
    [
        (DDIM(), 1, 0),
        (Heun(), 2, 0),
        (DPMSolver2M(), 2, 0),
        (DPMSolver3M(), 3, 2),
        (UniPC(1), 2, 0),  # the corrector adds one
        (UniPC(2), 3, 2),
        (UniPC(3), 4, 3),
    ],
)
def test_order_of_convergence(sampler, claimed, warm, make, schedule):
    assert order(sampler, schedule, make, (49, 97), warm) == pytest.approx(claimed, abs=0.35)


def equal_steps(schedule, n, low, high):
    """Equal in σ/α, then 0."""
    return torch.cat([schedule.time_at_ratio(torch.linspace(high, low, n, dtype=torch.float64)), times(0.0)])


def test_ipndm_is_of_fourth_order_over_equal_steps_only():
    schedule = VarianceExploding(5.0)
    assert order(IPNDM(), schedule, equal_steps, (129, 257), warm=3) > 3.5
    assert order(IPNDM(), schedule, karras, (49, 97), warm=3) == pytest.approx(2, abs=0.3)


def test_diffusers_3m_is_of_second_order():
    """The cost of using half of the curvature."""
    assert order(TheirThird(), VarianceExploding(5.0), logsnr, (49, 97), warm=2) == pytest.approx(2, abs=0.3)


def drawn(sampler, schedule, steps):
    """From one noise down to the data of a mixture."""
    grid = karras(schedule, steps, 0.01, 4.0)
    x = start()[..., :2, :2].mean(1, keepdim=True) * 1.7
    return sample(mixture(schedule), sampler, grid, x * schedule(grid[0])[1], DETERMINISTIC)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=name)
def test_better_than_euler_with_few_steps(schedule):
    """From a cold start, with few steps."""
    fine = drawn(UniPC(3), schedule, 120)

    def off(sampler):
        return (drawn(sampler, schedule, 16) - fine).square().mean().sqrt()

    euler = off(DDIM())
    for sampler in (Heun(), DPMSolver2M(), DPMSolver3M(), UniPC(2), UniPC(3), IPNDM()):
        assert off(sampler) < euler / 2, sampler
