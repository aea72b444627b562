import math

import pytest
import torch
from diffusers import DDIMScheduler

from closed_forms import SCHEDULES, gaussian, name
from noisette.grid import karras, leading, strided, trailing
from noisette.sampler import DDIM, Heun, sample
from oracles import DETERMINISTIC, doubled, start, toy, walked

SPACINGS = {"trailing": trailing, "leading": leading, "linspace": strided}


@pytest.mark.parametrize("target", ["epsilon", "sample", "v_prediction"])
@pytest.mark.parametrize("steps", [7, 20, 50, 1000])
@pytest.mark.parametrize("spacing", ["trailing", "leading"])
@pytest.mark.parametrize("chain", ["linear", "squaredcos_cap_v2"])
def test_ddim_is_that_of_diffusers(target, steps, spacing, chain):
    """Their previous step is t − T // n, which leaves the chosen grid where n does not divide T and the grid trails."""
    if 1000 % steps and spacing == "trailing":
        pytest.skip("diffusers takes its previous step from an integer division")
    theirs = doubled(
        DDIMScheduler(beta_schedule=chain, prediction_type=target, timestep_spacing=spacing, clip_sample=False)
    )
    model = toy(chain, target)
    ours = sample(model.given(), DDIM(), SPACINGS[spacing](steps), start(), DETERMINISTIC)
    torch.testing.assert_close(ours, walked(theirs, model.net, start(), steps), rtol=2e-3, atol=2e-3)


def exact(oracle, grid, x):
    return oracle.flow(x, grid[0], grid[-1])


def order(sampler, schedule, *, sizes=(40, 80)):
    """The slope of error against step size on a Gaussian, above the last step, which is always of first order."""
    d, errors = gaussian(schedule), []
    for n in sizes:
        grid = karras(schedule, n, 0.05, 10.0)[:-1]
        x = schedule(grid[0])[1] * start()
        errors.append((sample(d, sampler, grid, x, DETERMINISTIC) - exact(d, grid, x)).abs().max().item())
    return math.log2(errors[0] / errors[1])


@pytest.mark.parametrize("schedule", SCHEDULES, ids=name)
@pytest.mark.parametrize(("sampler", "claimed"), [(DDIM(), 1), (Heun(), 2)])
def test_order_of_convergence(sampler, claimed, schedule):
    assert order(sampler, schedule) == pytest.approx(claimed, abs=0.25)
