import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from hypothesis import given
from hypothesis import strategies as st

from closed_forms import SCHEDULES, name, some_schedule
from noisette.diffusion.grid import (
    grid_from_times,
    karras,
    leading,
    logsnr,
    quadratic,
    resample_grid,
    signal_range,
    strided,
    trailing,
    uniform,
)
from noisette.diffusion.schedule import LinearBeta, VarianceExploding, ZeroTerminalSNR
from noisette.errors import InputError

chain = st.integers(1, 1000).flatmap(lambda of: st.tuples(st.integers(1, of), st.just(of)))
CHAINED = {"trailing": trailing, "leading": leading, "linspace": strided, "quadratic": quadratic}
GRIDS = {k: lambda schedule, n, make=make: make(n) for k, make in (CHAINED | {"uniform": uniform}).items()}
GRIDS |= {"karras": karras, "logsnr": logsnr, "signal": lambda schedule, n: signal_range(schedule, n, 4.0)}


@given(st.sampled_from(sorted(GRIDS)), some_schedule, st.integers(1, 300))
def test_grids_decrease_from_noise_to_data(kind, schedule, steps):
    grid = GRIDS[kind](schedule, steps)
    assert grid.dtype == torch.float64 and len(grid) == steps + 1
    assert 0 < grid[0] <= 1 and grid[-1] == 0
    assert (grid.diff() < 0).all()


@given(st.sampled_from(list(CHAINED.values())), chain)
def test_any_number_of_steps_of_a_chain_stays_in_its_table(kind, chain):
    """The sprites course's DDIM leaves the table, and returns noise, where n does not divide T."""
    steps, of = chain
    k = kind(steps, of) * of
    torch.testing.assert_close(k, k.round(), rtol=0, atol=1e-9)
    assert len(k.round().unique()) == steps + 1 and k.min() == 0 and k.max() <= of


@pytest.mark.parametrize("spacing", ["trailing", "leading", "linspace"])
@pytest.mark.parametrize("steps", [1, 3, 7, 20, 30, 50, 600, 1000])
def test_chain_grids_are_those_of_diffusers(spacing, steps):
    """One step is the whole chain here; their linspace of one takes the cleanest step, where nothing is left to do."""
    theirs = DDIMScheduler(timestep_spacing=spacing)
    theirs.set_timesteps(steps)
    expected = [999] if (spacing, steps) == ("linspace", 1) else theirs.timesteps.tolist()
    assert (CHAINED[spacing](steps)[:-1] * 1000 - 1).round().long().tolist() == expected


@pytest.mark.parametrize("steps", [10, 20])
def test_quadratic_is_that_of_ddims_authors(steps):
    """ermongroup/ddim: int(s) for s in np.linspace(0, sqrt(0.8 T), n) ** 2."""
    theirs = [int(s) for s in np.linspace(0, np.sqrt(800), steps) ** 2]
    assert (quadratic(steps)[:-1] * 1000 - 1).round().long().tolist() == theirs[::-1]


def test_logsnr_steps_are_equal():
    schedule = LinearBeta()
    lam = -schedule.ratio(logsnr(schedule, 12)[:-1]).log()
    torch.testing.assert_close(lam.diff(), lam.diff().mean().expand(11))


def test_karras_is_equation_5():
    schedule, n = VarianceExploding(80.0), 18
    i = torch.arange(n, dtype=torch.float64)
    paper = (80 ** (1 / 7) + i / (n - 1) * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    torch.testing.assert_close(schedule.ratio(karras(schedule, n))[:-1], paper)


@pytest.mark.parametrize("schedule", SCHEDULES[:2], ids=name)
def test_karras_visits_the_same_noise_levels_on_any_schedule(schedule):
    grid = karras(schedule, 10, sigma_min=0.05, sigma_max=50.0)
    exploding = VarianceExploding()
    torch.testing.assert_close(
        schedule.ratio(grid), exploding.ratio(karras(exploding, 10, sigma_min=0.05, sigma_max=50.0))
    )


@pytest.mark.parametrize("steps", [0, -3])
def test_a_grid_without_steps_is_refused(steps):
    for make in GRIDS.values():
        with pytest.raises(
            InputError, match=rf"must be (at least 1|from 1 to \d+, the steps of the chain), got {steps}"
        ):
            make(LinearBeta(), steps)


@pytest.mark.parametrize("make", [karras, logsnr])
def test_a_range_that_the_schedule_has_not_is_refused(make):
    for schedule, low, high in ((LinearBeta(), 200.0, 300.0), (LinearBeta(1), 0.002, 80.0)):
        with pytest.raises(InputError, match="use 1 step, or another range"):
            make(schedule, 5, low, high)
    assert make(LinearBeta(1), 1).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("kind", CHAINED.values())
def test_more_steps_than_the_chain_has_are_refused(kind):
    with pytest.raises(InputError, match="must be from 1 to 500, the steps of the chain, got 501"):
        kind(501, 500)


@given(some_schedule, st.integers(2, 40), st.integers(1, 60))
def test_a_grid_is_resampled_to_any_number_of_steps(schedule, made, steps):
    grid = karras(schedule, made)
    if schedule.min_time < 1:
        again = resample_grid([grid.tolist()], steps)
        assert len(again) == steps + 1 and (again.diff() < 0).all() and again[0] == grid[0] and again[-1] == 0
        if steps > 1:
            torch.testing.assert_close(again[-2], grid[-2])


def test_resampling_keeps_where_the_steps_crowd_and_takes_the_nearest():
    karras_8, karras_30 = (karras(VarianceExploding(), n).tolist() for n in (8, 30))
    assert resample_grid([karras_30, karras_8], 8).tolist() == karras_8
    torch.testing.assert_close(
        resample_grid([karras_8, karras_30], 28), karras(VarianceExploding(), 28), rtol=0.02, atol=0
    )
    dense = resample_grid([karras_8], 15)
    torch.testing.assert_close(dense[::2][:8], grid_from_times(karras_8)[:8])  # every second one is as it was
    with pytest.raises(InputError, match="of one step"):
        resample_grid([[1.0, 0.0]], 2)
    with pytest.raises(InputError, match="must be at least 1, got 0"):
        resample_grid([karras_8], 0)


@pytest.mark.parametrize("times", [[], [0.0], [1.0, 0.5], [2.0, 0.0], [0.5, 0.5, 0.0], [1.0, float("nan"), 0.0]])
def test_times_that_are_no_grid_are_refused(times):
    with pytest.raises(InputError, match="are no grid"):
        grid_from_times(times)


def test_chain_grids_end_on_the_knots_of_their_own_chain():
    assert LinearBeta(200).num_train_timesteps == ZeroTerminalSNR(LinearBeta(200)).num_train_timesteps == 200
    assert VarianceExploding().num_train_timesteps == 1000


def test_the_range_of_a_signal() -> None:
    """One step over what is all noise, then Karras' grid down to where nothing is left to find."""
    chain = VarianceExploding(80.0)
    ratios = chain.ratio(signal_range(chain, 10, 10.0))
    assert ratios[[0, 1, -2, -1]].tolist() == pytest.approx([80, 20, 0.02, 0])
    assert torch.equal(signal_range(chain, 10, 10.0)[1:], karras(chain, 9, 0.02, 20.0))
    assert len(signal_range(chain, 1, 10.0)) == 2 and torch.equal(
        signal_range(chain, 5, 60.0), karras(chain, 5, sigma_min=0.02)
    )
    assert chain.ratio(signal_range(chain, 3, 0.0)).tolist() == pytest.approx([80, 1, 0.02, 0])
