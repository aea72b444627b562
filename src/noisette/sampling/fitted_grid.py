"""Time grids fitted to one model, by `noisette steps` and at the end of a training run."""

from collections.abc import Sequence

from ..diffusion.condition import Condition
from ..diffusion.grid import karras
from ..diffusion.sampler import compute_jump_costs, find_cheapest_grid
from ..models.picture_model import PictureModel
from .generate import build_denoiser, initial_state

FINE_STEPS = 48  # steps of the trajectories that grids are fitted to


def fit_grids(
    model: PictureModel,
    seeds: Sequence[int],
    cond: Condition | None,
    step_counts: Sequence[int],
    fine_steps: int = FINE_STEPS,
    guidance: float = 1.0,
) -> tuple[tuple[float, ...], ...]:
    """The cheapest grid of each of these numbers of steps (diffusion/sampler/grid_fitting.py), increasing, as times.

    The costs are measured on one trajectory of `fine_steps` steps a seed; row i of `cond` is that of seed i. It takes
    2 · fine_steps − 1 evaluations of the model for each. The trajectories begin at temperature 1, whatever the model's
    default: a cooler one is easier at its end, and a grid fitted to it has too few steps there.
    """
    times = karras(model.schedule, max(fine_steps, *step_counts))
    state, noise = initial_state(model, seeds, times, temperature=1.0)
    cond = None if cond is None else cond.to(state.x.device)
    costs = compute_jump_costs(build_denoiser(model, cond, guidance), times, state.x, noise)
    return tuple(tuple(find_cheapest_grid(times, number, costs).tolist()) for number in sorted(set(step_counts)))
