"""Time grids made for one model, as `noisette steps` measures them and as a run ends with them."""

from collections.abc import Sequence

from ..condition import Condition
from ..grid import karras
from ..model import PictureModel
from ..sampler import cheapest, jumps
from .generate import start, steered

FINE = 48  # steps of the walk that grids are fitted to, unless said


def fit(
    model: PictureModel,
    seeds: Sequence[int],
    cond: Condition | None,
    numbers: Sequence[int],
    fine: int = FINE,
    guidance: float = 1.0,
) -> tuple[tuple[float, ...], ...]:
    """A grid of each of these numbers of steps (sampler/fitted.py), by a walk of one picture a seed.

    It costs 2 · fine − 1 answers of the model for each picture. Row i of `cond` is what picture i is asked to be. The
    walks begin with noise of temperature 1, whatever the model draws with: cooler ones are easier at their ends, and a
    grid that was made for them spares the steps that take the last noise away.
    """
    times = karras(model.schedule, max(fine, *numbers))
    state, noise = start(model, seeds, times, temperature=1.0)
    asked = None if cond is None else cond.to(state.x.device)
    costs = jumps(steered(model, asked, guidance), times, state.x, noise)
    return tuple(tuple(cheapest(times, number, costs).tolist()) for number in sorted(set(numbers)))
