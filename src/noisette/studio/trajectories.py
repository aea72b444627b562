"""From the page's inputs to trajectories and pictures: limits of the studio, and calls into the library."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from ..diffusion.denoiser import Prediction
from ..diffusion.sampler import State
from ..errors import InputError
from ..models.picture_model import PictureModel
from ..report.viz.strip import to_unit_scale
from ..sampling.generate import (
    FULL_INTERVAL,
    build_denoiser,
    initial_state,
    make_noise,
    resample_noise,
    resume_trajectory,
)
from ..sampling.lineage import NoiseLineage
from ..sampling.record import MAX_SEED, SampleSettings, check_integer
from ..sampling.request import Helpers, SampleRequest
from ..sampling.request import make_request as make_sample_request
from ..sampling.run import run_request
from ..shapes import UInt8Images
from .limits import check_count, check_steps, check_words
from .previews import lock_steps
from .session import BoardRequest, BoardSample, Branch, Trajectory

MAX_STATE_BYTES = 2**27  # of the states of one trajectory


def make_settings(
    model: PictureModel,
    sampler: str | None = None,
    grid: str | None = None,
    steps: int | None = None,
    guidance: float | None = None,
    eta: float | None = None,
    guided_range: tuple[float, float] = (0.0, 1.0),
) -> SampleSettings:
    """Settings with the model's defaults for None. `guided_range`: the part of the steps, from 0 (noise) to 1
    (picture), in which guidance is applied. Raises InputError for values out of range."""
    defaults = model.config.sampling
    steps = check_steps(defaults.steps if steps is None else steps)
    if not 0 <= guided_range[0] <= guided_range[1] <= 1:
        raise InputError(
            f"guided range must be two fractions of the steps, 0 to 1, the first not above the second, got "
            f"{guided_range[0]:g} to {guided_range[1]:g}"
        )
    scale, times = defaults.guidance if guidance is None else guidance, model.grid(steps, grid)
    first, last = (float(times[round(part * steps)]) for part in reversed(guided_range))
    is_full = guided_range == (0, 1) or scale == 1  # without guidance there is nothing to restrict
    model.sampler(sampler)
    return SampleSettings(
        model=model.hash,
        sampler=sampler or defaults.sampler,
        grid=grid or defaults.grid,
        steps=steps,
        guidance=float(scale),
        batch=1,
        eta=eta,
        interval=FULL_INTERVAL if is_full else (first, last),
        temperature=defaults.temperature,
    )


def request_images(
    model: PictureModel,
    settings: SampleSettings,
    number: int,
    labels: Sequence[str | None],
    *,
    seed: int = 0,
    attributes: Sequence[str] = (),
    text: str | None = None,
    temperature: float | None = None,
    helpers: Helpers | None = None,
) -> SampleRequest:
    """`number` images, drawn at once, with these settings. Image i takes the i-th label, over and over."""
    check_words(labels, attributes, text)
    check_integer("seed", seed, 0, MAX_SEED - number)
    return make_sample_request(
        model, number, labels, seed=seed, attributes=attributes, text=text, steps=settings.steps,
        sampler=settings.sampler, grid=settings.grid, guidance=settings.guidance, guidance_interval=settings.interval,
        eta=settings.eta, temperature=settings.temperature if temperature is None else temperature, batch=number,
        helpers=helpers,
    )  # fmt: skip


def make_request(
    model: PictureModel, model_name: str, labels: Sequence[str], seed: int, number: int, settings: SampleSettings,
    attributes: Sequence[str] = (), text: str | None = None,
) -> BoardRequest:  # fmt: skip
    """`number` pictures of seeds from `seed` on. Without labels, all in turn, or none where there is a text."""
    request = request_images(model, settings, check_count(number), labels, seed=seed, attributes=attributes, text=text)
    return BoardRequest(model_name, request)


def split_attributes(attributes: str) -> tuple[str, ...]:
    """Attributes from text with commas: "hue=0.3, shape=round"."""
    return tuple(part.strip() for part in attributes.split(",") if part.strip())


def check_seeds(request: SampleRequest) -> None:
    """Raise InputError for a seed, of an image or of a rotation, that is no whole number from 0 to MAX_SEED."""
    for lineage in request.lineages:
        for seed in (lineage.seed, *(rotation.seed for rotation in lineage.rotations)):
            check_integer("seed", seed, 0, MAX_SEED)


def draw_trajectory(model: PictureModel, board_request: BoardRequest) -> Iterator[Trajectory]:
    """The trajectory before its first step, and after each."""
    request = board_request.request
    check_seeds(request)
    request.check_own_size("the studio")
    _check_memory(model, request)
    steps = lock_steps(run_request(model, request))
    start, _ = initial_state(model, request.lineages, request.make_grid(model), request.temperature)
    states = [_compact_state(start)]
    yield Trajectory(board_request.model_name, request, tuple(states))
    for state in steps:
        states.append(_compact_state(state))
        yield Trajectory(board_request.model_name, request, tuple(states))


def draw_branch(
    model: PictureModel, trajectory: Trajectory, step: int, seed: int | None = None, label: str | None = None
) -> Iterator[Trajectory]:
    """The trajectory that leaves another one after `step`, with other noise from `seed` on, another label, or both.

    Its request is that of the trajectory that it left.
    """
    request, model_name = trajectory.request, trajectory.model_name
    if trajectory.branch is not None:
        raise InputError("this trajectory is a branch itself: branch off from the original one")
    if not 0 <= step < trajectory.num_steps:
        raise InputError(f"a branch must begin at a step before the last, 0 to {trajectory.num_steps - 1}, got {step}")
    if model.hash != request.model:
        raise InputError("the model has changed since this was drawn: draw again, then branch")
    branched = request
    if label is not None:
        branched = replace(branched, labels=(label,) * len(request))
    if seed is not None:
        check_integer("seed", seed, 0, MAX_SEED - len(request))
        branched = replace(branched, lineages=tuple(NoiseLineage(seed + i) for i in range(len(request))))
    helpers, device = branched.resolve_helpers(model, Helpers()), next(model.parameters()).device
    grid, noise = branched.make_grid(model), make_noise(branched.lineages)
    state = _compact_state(trajectory.states[step], device)
    if seed is not None and step:
        state = resample_noise(model.schedule, state, noise)
    elif seed is not None:
        state = initial_state(model, branched.lineages, grid, branched.temperature)[0]
    states, cond = [*trajectory.states[:step], _compact_state(state)], branched.make_condition(model, helpers)
    guidance = branched.make_guidance(model, helpers).for_rows(range(len(branched)), device)
    denoise = build_denoiser(model, None if cond is None else cond.to(device), guidance)
    for after in lock_steps(resume_trajectory(denoise, branched.make_sampler(model), grid, state, noise)):
        states.append(_compact_state(after))
        yield Trajectory(model_name, request, tuple(states), Branch(step, seed, label))


def decode_step(model: PictureModel, trajectory: Trajectory, step: int, noisy: bool = False) -> UInt8Images:
    """The model's estimate of x0 after a step, (B, C, H, W); or x_t, with `noisy`."""
    state = trajectory.states[max(0, min(step, trajectory.num_steps))]
    if state.t == 0:
        return model.codec.decode_samples(state.x)
    if noisy or not state.history:
        return model.codec.decode(to_unit_scale(state, model.schedule))
    return model.codec.decode(state.preview)


def make_samples(model: PictureModel, trajectory: Trajectory) -> list[BoardSample]:
    """The pictures of a finished trajectory. Raises InputError for an unfinished one."""
    request = trajectory.request
    if not trajectory.is_finished:
        raise InputError(
            f"sampling stopped after {trajectory.num_steps} of {request.steps} steps: draw it to its end first"
        )
    rows = decode_step(model, trajectory, trajectory.num_steps).split(1)
    return [BoardSample(trajectory.model_name, row, request.record(i), trajectory.branch) for i, row in enumerate(rows)]


def make_blank(model: PictureModel) -> UInt8Images:
    """A transparent or black picture, (1, C, H, W)."""
    return torch.zeros(1, *model.codec.shape, dtype=torch.uint8)


def _compact_state(state: State, device: object = "cpu") -> State:
    """A state with its last prediction only, on another device."""
    to = str(device)
    history = tuple((t, Prediction(p.x0.to(to), p.eps.to(to))) for t, p in state.history[:1])
    return State(state.x.to(to), state.t, history)


def _check_memory(model: PictureModel, request: SampleRequest) -> None:
    channels, height, width = model.codec.shape
    need = 3 * 4 * len(request) * (request.steps + 1) * channels * height * width
    if need > MAX_STATE_BYTES:
        raise InputError(
            f"{len(request)} pictures of {request.steps} steps need {need // 2**20} MB, and one trajectory may take "
            f"{MAX_STATE_BYTES // 2**20}: draw fewer pictures or take fewer steps"
        )
