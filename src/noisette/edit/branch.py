"""Leave a walk at one of its steps, and go on another way: with another wish, or with other noise.

Another wish is another denoiser from there on. Other noise is put around what was last seen of the picture, which is a
draw from q(x_t | x0): early in a walk little was seen and all may change, late only details.
"""

from collections.abc import Iterator

from ..denoiser import Denoiser
from ..noise import Noise
from ..sampler import Sampler, State, trajectory
from ..schedule import Schedule
from ..shapes import Grid


def renoised(schedule: Schedule, state: State, noise: Noise) -> State:
    """The same time and the same picture, as far as it was seen, in other noise."""
    return State(schedule.diffuse(state.preview, state.t, noise), state.t)


def onwards(denoise: Denoiser, sampler: Sampler, grid: Grid, state: State, noise: Noise) -> Iterator[State]:
    """Walk the rest of the grid from a state that stands at one of its times. Of the way there nothing is kept."""
    yield from trajectory(denoise, sampler, grid[grid <= state.t], state.x, noise)
