"""Draw new pictures: noise, walked down a grid."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch

from ..condition import Condition
from ..denoiser import Denoiser, DiffusionModel
from ..errors import InputError
from ..guidance import Clipped, GradientGuided, Guided, LogProb
from ..model import PictureModel
from ..noise import Noise, Seeded
from ..sampler import DDIM, Sampler, State, trajectory
from ..shapes import Grid, Images, PerImage, Time
from .kin import Kin, Turned

ALWAYS = (0.0, 1.0)  # the times at which guidance guides, unless said


@dataclass(frozen=True, eq=False)
class Pull:
    """A log-probability whose gradient is followed, `scale` times as far as it says."""

    log_prob: Callable[[slice], LogProb]  # of some of the images
    scale: float = 1.0
    rows: slice = field(default_factory=lambda: slice(None))  # which of them


@dataclass(frozen=True, eq=False)
class Guidance:
    """Where a walk is led, beside being asked.

    `scale` times as far from what one goes away from towards what is asked for; 1 is the model itself. One goes away
    from anything; or from `negative`, which is a row an image; or from the model `away`, an earlier snapshot, asked for
    the same or for `negative`. It does so at times within `interval` alone, and `rescale` gives back that share of the
    contrast. Then up the gradient of each of `pulls`, at all times.
    """

    scale: float = 1.0
    interval: tuple[float, float] = ALWAYS
    rescale: float = 0.0
    negative: Condition | None = None
    away: DiffusionModel | None = None
    pulls: tuple[Pull, ...] = ()

    def of(self, rows: slice, device: torch.device | str) -> "Guidance":
        """That of some of the images."""
        negative = None if self.negative is None else self.negative[rows].to(device)
        return replace(self, negative=negative, pulls=tuple(replace(p, rows=rows) for p in self.pulls))


def steered(model: PictureModel, cond: Condition | None, guidance: float | Guidance = 1.0) -> Denoiser:
    """The model as a denoiser of what is asked for, led by `guidance`, kept within [-1, 1]. A number is its scale."""
    how = guidance if isinstance(guidance, Guidance) else Guidance(guidance)
    denoise: Denoiser = model.given(cond)
    if how.scale != 1:
        denoise = Guided(denoise, _other(model, cond, how), how.scale, how.interval, how.rescale)
    if how.pulls:
        denoise = GradientGuided(denoise, _together(how.pulls))
    return Clipped(denoise)


def _together(pulls: tuple[Pull, ...]) -> LogProb:
    """All of them as one, since what is pulled has no gradient left for another pull around it."""
    parts = [(pull.log_prob(pull.rows), pull.scale) for pull in pulls]

    def of(x: Images, x0: Images, t: Time) -> PerImage:
        return sum((scale * log_prob(x, x0, t) for log_prob, scale in parts), start=x.new_zeros(len(x)))

    return of


def _other(model: PictureModel, cond: Condition | None, how: Guidance) -> Denoiser:
    """What one goes away from."""
    other = model if how.away is None else how.away
    if how.negative is not None:
        return other.given(how.negative)
    if how.away is not None:
        return other.given(cond)
    if cond is None:
        raise InputError(f"guidance {how.scale:g} has nothing to guide to: this model was trained without labels")
    return model.given(cond.null())


def with_eta(sampler: Sampler, eta: float | None) -> Sampler:
    """DDIM with `eta` times DDPM's noise, 0 to 1. None leaves a sampler, any sampler, as it is."""
    if eta is None:
        return sampler
    if not isinstance(sampler, DDIM):
        raise InputError(f"a {type(sampler).__name__} has no η: choose ddim, or leave η out")
    if not 0 <= eta <= 1:
        raise InputError(f"η is {eta:g}: give 0, which adds no noise, to 1, which is DDPM")
    return replace(sampler, eta=eta)


def noise_of(seeds: Sequence[int | Kin]) -> Noise:
    """The noise of each image: that of its seed, or a turned one."""
    if all(isinstance(seed, int) for seed in seeds):
        return Seeded([seed for seed in seeds if isinstance(seed, int)])
    return Turned([seed if isinstance(seed, Kin) else Kin(seed) for seed in seeds])


def start(
    model: PictureModel, seeds: Sequence[int | Kin], grid: Grid, temperature: float | None = None
) -> tuple[State, Noise]:
    """Pure noise at the grid's first time, one seed an image, and the noise that the walk goes on with.

    It is multiplied by `temperature`, the model's own unless said.
    """
    warmth = model.config.sampling.temperature if temperature is None else temperature
    noise = noise_of(seeds)
    blank = torch.empty(len(seeds), *model.pictures.shape, device=next(model.parameters()).device)
    return State(fresh(model, grid, blank, noise, warmth), grid[0]), noise


def fresh(process: Denoiser | PictureModel, grid: Grid, like: Images, noise: Noise, temperature: float = 1.0) -> Images:
    """Pure noise at the grid's first time, of the shape of `like`."""
    return noise(like) * (temperature * process.schedule.at(grid[0], like)[1])


def generate(
    model: PictureModel,
    seeds: Sequence[int | Kin],
    cond: Condition | None,
    sampler: Sampler,
    grid: Grid,
    guidance: float | Guidance = 1.0,
    batch: int = 16,
    temperature: float | None = None,
) -> Iterator[State]:
    """Every state of every walk, `batch` images at a time; the last of each walk is at grid[-1].

    Image i has the noise of seeds[i], whatever it is drawn together with; row i of `cond` is its own.
    """
    how = guidance if isinstance(guidance, Guidance) else Guidance(guidance)
    device = next(model.parameters()).device
    for first in range(0, len(seeds), batch):
        rows = slice(first, first + batch)
        asked = None if cond is None else cond[rows].to(device)
        state, noise = start(model, seeds[rows], grid, temperature)
        yield from trajectory(steered(model, asked, how.of(rows, device)), sampler, grid, state.x, noise)


def ends(states: Iterator[State], grid: Grid) -> Images:
    """What the walks of `generate` end in, on the CPU: (B, C, H, W)."""
    return torch.cat([s.x.cpu() for s in states if s.t == grid[-1]])
