"""Samples from a model: initial noise, and the states on the way from it along a grid of times."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from ..diffusion.condition import Condition
from ..diffusion.denoiser import Denoiser, DiffusionModel
from ..diffusion.guidance import Clipped, GradientGuided, Guided, LogProbFn
from ..diffusion.noise import Noise, Seeded
from ..diffusion.sampler import DDIM, Sampler, State, trajectory
from ..diffusion.schedule import Schedule
from ..diffusion.windows import Canvas, WindowedDenoiser
from ..errors import InputError
from ..models.picture_model import PictureModel
from ..shapes import Grid, Images, PerImage, Time
from ..team import share_cpu
from .canvas import own_canvas
from .lineage import NoiseLineage, RotatedNoise

FULL_INTERVAL = (0.0, 1.0)  # default of the guidance interval: all times t


@dataclass(frozen=True, eq=False)
class GradientTerm:
    """A log-probability whose gradient guides the samples, times `scale`."""

    log_prob: Callable[[Sequence[int]], LogProbFn]  # log-probability of these of all images
    scale: float = 1.0
    rows: Sequence[int] = ()  # the images that it is evaluated for


@dataclass(frozen=True, eq=False)
class Guidance:
    """Guidance of some images.

    `scale` extrapolates from a reference to the conditional prediction; 1 is the conditional prediction itself. The
    reference is the model under the null condition; or under `negative`, which has a row for each image; or
    `guide_model` under the same condition or under `negative` (autoguidance, Karras et al. 2024). It applies for t
    within `interval` only (Kynkäänniemi et al. 2024); `rescale` is φ of Lin et al. 2023. The gradients of
    `gradient_terms` are added at all times.
    """

    scale: float = 1.0
    interval: tuple[float, float] = FULL_INTERVAL
    rescale: float = 0.0
    negative: Condition | None = None
    guide_model: DiffusionModel | None = None
    gradient_terms: tuple[GradientTerm, ...] = ()

    def for_rows(self, rows: Sequence[int], device: torch.device | str) -> "Guidance":
        """The guidance of some of the images, on a device."""
        negative = None if self.negative is None else self.negative[torch.tensor(rows)].to(device)
        terms = tuple(replace(term, rows=rows) for term in self.gradient_terms)
        return replace(self, negative=negative, gradient_terms=terms)


def build_denoiser(model: PictureModel, cond: Condition | None, guidance: float | Guidance = 1.0) -> Denoiser:
    """The guided denoiser for `cond`, its x0 clipped to [-1, 1]. A number is a guidance scale."""
    guidance = _as_guidance(guidance)
    denoise: Denoiser = model.given(cond)
    if guidance.scale != 1:
        reference = _reference_denoiser(model, cond, guidance)
        denoise = Guided(denoise, reference, guidance.scale, guidance.interval, guidance.rescale)
    if guidance.gradient_terms:
        denoise = GradientGuided(denoise, _sum_log_probs(guidance.gradient_terms))
    return Clipped(denoise)


def build_canvas_denoiser(
    model: PictureModel,
    cond: Condition | None,
    guidance: Guidance,
    rows: Sequence[int],
    canvas: Canvas,
    batch: int,
) -> Denoiser:
    """The guided denoiser of pictures of a canvas' size, for some of the images: those of these rows of `cond`.

    At most `batch` windows are predicted at once.
    """
    number = canvas.windows_per_call(batch, len(rows))
    device, repeated = next(model.parameters()).device, [*rows] * number
    part = None if cond is None else cond[torch.tensor(repeated)].to(device)
    denoise = build_denoiser(model, part, guidance.for_rows(repeated, device))
    return denoise if canvas.num_windows == 1 else WindowedDenoiser(denoise, canvas, number)


def _as_guidance(guidance: float | Guidance) -> Guidance:
    return guidance if isinstance(guidance, Guidance) else Guidance(guidance)


def _sum_log_probs(terms: tuple[GradientTerm, ...]) -> LogProbFn:
    """One log-probability for all terms: inside a GradientGuided no gradient is left for another one around it."""
    parts = [(term.log_prob(term.rows), term.scale) for term in terms]

    def log_prob(x: Images, x0: Images, t: Time) -> PerImage:
        return sum((scale * part(x, x0, t) for part, scale in parts), start=x.new_zeros(len(x)))

    return log_prob


def _reference_denoiser(model: PictureModel, cond: Condition | None, guidance: Guidance) -> Denoiser:
    """The denoiser that guidance leads away from."""
    other = model if guidance.guide_model is None else guidance.guide_model
    if guidance.negative is not None:
        return other.given(guidance.negative)
    if guidance.guide_model is not None:
        return other.given(cond)
    if cond is None:
        raise InputError(
            f"guidance {guidance.scale:g} needs a condition, and this model was trained without labels, attributes and "
            "text: leave guidance out, or give a guide model"
        )
    return model.given(cond.null())


def set_eta(sampler: Sampler, eta: float | None) -> Sampler:
    """DDIM with this η, 0 (deterministic) to 1 (DDPM). None leaves any sampler as it is.

    Raises InputError for another sampler, and for η out of range.
    """
    if eta is None:
        return sampler
    if not isinstance(sampler, DDIM):
        raise InputError(
            f"eta is an option of ddim, and the sampler is {type(sampler).__name__}: choose ddim, or no eta"
        )
    if not 0 <= eta <= 1:
        raise InputError(f"eta must be between 0 and 1, got {eta:g}")
    return replace(sampler, eta=eta)


def make_noise(seeds: Sequence[int | NoiseLineage]) -> Noise:
    """The noise of each image: that of its seed, with the rotations of its lineage."""
    lineages = [seed if isinstance(seed, NoiseLineage) else NoiseLineage(seed) for seed in seeds]
    if any(lineage.rotations for lineage in lineages):
        return RotatedNoise(lineages)
    return Seeded([lineage.seed for lineage in lineages])


def initial_state(
    model: PictureModel,
    seeds: Sequence[int | NoiseLineage],
    grid: Grid,
    temperature: float | None = None,
    canvas: Canvas | None = None,
) -> tuple[State, Noise]:
    """The state at the grid's first time, one image a seed, and the noise that the sampler goes on with.

    `temperature` is a factor of the initial noise; None: the model's default. `canvas`: of pictures of another size
    than the model's.
    """
    canvas = canvas or own_canvas(model)
    temperature = model.config.sampling.temperature if temperature is None else temperature
    noise = make_noise(seeds)
    shape = (len(seeds), model.codec.shape[0], canvas.height, canvas.width)
    blank = torch.empty(shape, device=next(model.parameters()).device)
    return State(initial_noise(model, grid, blank, noise, temperature), grid[0]), noise


def initial_noise(
    model: Denoiser | PictureModel, grid: Grid, like: Images, noise: Noise, temperature: float = 1.0
) -> Images:
    """Noise of deviation temperature · σ at the grid's first time, of the shape of `like`."""
    return noise(like) * (temperature * model.schedule.at(grid[0], like)[1])


def generate(
    model: PictureModel,
    seeds: Sequence[int | NoiseLineage],
    cond: Condition | None,
    sampler: Sampler,
    grid: Grid,
    guidance: float | Guidance = 1.0,
    batch: int = 16,
    temperature: float | None = None,
    canvas: Canvas | None = None,
) -> Iterator[State]:
    """The states after every step, `batch` images at a time; the last state of each batch is at grid[-1].

    Image i has the noise of seeds[i], whatever other images are in its batch, and row i of `cond`. On a canvas, images
    are drawn at another size than the model's, and `batch` is the number of windows that are predicted at once.
    """
    guidance, canvas = _as_guidance(guidance), canvas or own_canvas(model)
    device = next(model.parameters()).device
    share_cpu(device)
    try:
        for rows in batched_rows(len(seeds), canvas.images_per_batch(batch)):
            state, noise = initial_state(model, [seeds[i] for i in rows], grid, temperature, canvas)
            denoise = build_canvas_denoiser(model, cond, guidance, rows, canvas, batch)
            for after in trajectory(denoise, sampler, grid, state.x, noise):
                yield after
                share_cpu(device)
    finally:
        share_cpu.release()


def batched_rows(count: int, size: int) -> Iterator[range]:
    """The numbers from 0 to count − 1, `size` at a time."""
    return (range(first, min(first + size, count)) for first in range(0, count, size))


def final_samples(states: Iterator[State], grid: Grid) -> Images:
    """The samples at the end of `generate`, on the CPU: (B, C, H, W)."""
    return torch.cat([s.x.cpu() for s in states if s.t == grid[-1]])


def sample_images(
    model: PictureModel,
    seeds: Sequence[int | NoiseLineage],
    cond: Condition | None,
    *,
    sampler: str | None = None,
    grid: str | None = None,
    steps: int | None = None,
    guidance: float | Guidance | None = None,
    batch: int = 16,
) -> Images:
    """Samples of a condition in model space, (B, C, H, W) on the CPU; None: the model's default.

    For conditions that are no labels or texts, like those of a data set; `draw_request` is for those that are.
    """
    times = model.grid(steps, grid)
    guidance = model.config.sampling.guidance if guidance is None else guidance
    return final_samples(generate(model, seeds, cond, model.sampler(sampler), times, guidance, batch), times)


def resample_noise(schedule: Schedule, state: State, noise: Noise) -> State:
    """A state at the same time with the same x0, as far as it was estimated, and other noise."""
    return State(schedule.diffuse(state.preview, state.t, noise), state.t)


def resume_trajectory(denoise: Denoiser, sampler: Sampler, grid: Grid, state: State, noise: Noise) -> Iterator[State]:
    """The states on the rest of the grid, from one at one of its times. Multi-step samplers start without history."""
    yield from trajectory(denoise, sampler, grid[grid <= state.t], state.x, noise)
