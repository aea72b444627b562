from itertools import combinations, pairwise

import pytest
import torch

from closed_forms import mixture, name, times
from noisette.diffusion.grid import karras
from noisette.diffusion.noise import make_generator
from noisette.diffusion.sampler import DDIM, UniPC, fit_grid, sample
from noisette.diffusion.sampler.grid_fitting import compute_jump_costs
from noisette.diffusion.schedule import Cosine, RectifiedFlow, VarianceExploding
from noisette.errors import InputError
from oracles import DETERMINISTIC

SCHEDULES = [Cosine(), RectifiedFlow(), VarianceExploding(20.0)]


def task(schedule, fine=30, n=32):
    d, grid = mixture(schedule, (1, 4, 4)), karras(schedule, fine, 0.01, 20.0)
    z = torch.randn(n, 1, 4, 4, generator=make_generator("fitted", n), dtype=torch.float64)
    return d, grid, schedule(grid[0])[1] * z


def test_dynamic_programming_finds_what_trying_all_finds():
    d, fine, x = task(Cosine(), fine=9)
    cost = compute_jump_costs(d, fine, x, DETERMINISTIC)

    def total(path):
        return sum(1.15**k * cost[i, j].item() for k, (i, j) in enumerate(pairwise(path)))

    for steps in (1, 3, 6, 9):
        paths = [(0, *middle, 9) for middle in combinations(range(1, 9), steps - 1)]
        best = min(paths, key=total)
        torch.testing.assert_close(fit_grid(d, fine, steps, x, DETERMINISTIC), fine[list(best)])


@pytest.mark.parametrize("schedule", SCHEDULES, ids=name)
def test_a_fitted_grid_is_better_than_karras_for_pictures_that_it_was_not_fitted_on(schedule):
    d, fine, x = task(schedule)
    _, _, fresh = task(schedule, n=256)
    right = sample(d, UniPC(3), karras(schedule, 100, 0.01, 20.0), fresh, DETERMINISTIC)
    for steps in (4, 6, 9):
        grid = fit_grid(d, fine, steps, x, DETERMINISTIC)
        assert len(grid) == steps + 1 and grid[0] == fine[0] and grid[-1] == 0 and (grid.diff() < 0).all()
        off = [
            (sample(d, DDIM(), g, fresh, DETERMINISTIC) - right).square().mean().sqrt()
            for g in (grid, karras(schedule, steps, 0.01, 20.0))
        ]
        assert off[0] < off[1], off


def test_more_steps_than_there_are_are_refused():
    d, fine, x = task(Cosine(), fine=5, n=2)
    with pytest.raises(InputError, match="must be from 1 to 5, less than in the fine grid, got"):
        fit_grid(d, fine, 6, x, DETERMINISTIC)
    torch.testing.assert_close(fit_grid(d, fine, 5, x, DETERMINISTIC), fine)
    assert times(0.0)[0] == fine[-1]
