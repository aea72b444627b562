"""From what a page asks to walks and pictures: checks, and calls into the library."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from ..condition import Condition
from ..context import parsed
from ..denoiser import Prediction
from ..edit.branch import onwards, renoised
from ..edit.generate import ALWAYS, Guidance, generate, noise_of, start, steered, with_eta
from ..edit.kin import Kin
from ..edit.origin import Origin
from ..errors import InputError
from ..model import PictureModel
from ..sampler import State
from ..shapes import Bytes, Grid
from ..viz.strip import at_unit_scale
from .live import stepped
from .session import Branch, Cell, Walk, Way, Wish

MOST = 64  # pictures at once
STEPS = 1000
MOST_GUIDANCE = 100.0
MEMORY = 2**27  # bytes that the states of one walk may take


def way(
    model: PictureModel,
    sampler: str | None = None,
    grid: str | None = None,
    steps: int | None = None,
    guidance: float | None = None,
    eta: float | None = None,
    share: tuple[float, float] = (0.0, 1.0),
) -> Way:
    """How to walk, checked; the model's own way where nothing is said. `share` of the walk, from 0 at the noise to 1 at
    the picture, is guided."""
    own = model.config.sampling
    name, steps = sampler or own.sampler, own.steps if steps is None else steps
    if not 1 <= steps <= STEPS:
        raise InputError(f"{steps} steps are none that are taken here: ask for 1 to {STEPS}")
    if not 0 <= share[0] <= share[1] <= 1:
        raise InputError(f"guidance from {share[0]:g} to {share[1]:g} of the walk is never: give two shares, 0 to 1")
    times = model.grid(steps, grid or own.grid)
    with_eta(model.sampler(name), eta)
    interval = ALWAYS if share == (0, 1) else tuple(float(times[round(s * steps)]) for s in reversed(share))
    scale = own.guidance if guidance is None else guidance
    if not abs(scale) <= MOST_GUIDANCE:  # which NaN is not either
        raise InputError(f"a guidance of {scale:g} is none: ask for {-MOST_GUIDANCE:g} to {MOST_GUIDANCE:g}")
    return Way(name, grid or own.grid, steps, scale, eta, (interval[0], interval[1]))


def wish(
    model: PictureModel, name: str, labels: Sequence[str], seed: int, number: int, way: Way,
    attributes: Sequence[str] = (), text: str | None = None,
) -> Wish:  # fmt: skip
    """`number` pictures of seeds from `seed` on; of several labels one after the other, of none any in turn, unless
    there is a text, which says enough. All have the same attributes and the same text."""
    several(number)
    if seed < 0:
        raise InputError(f"the seed is {seed}: give 0 or more")
    asked: Sequence[str | None] = labels or (() if text else model.pictures.labels) or [None]
    kin = tuple(Kin(seed + i) for i in range(number))
    told = (tuple(attributes),) * number if attributes else ()
    texts = (text,) * number if text else ()
    return Wish(name, kin, tuple(asked[i % len(asked)] for i in range(number)), way, told, texts)


def listed(attributes: str) -> tuple[str, ...]:
    """Attributes that are written with commas between."""
    return tuple(one.strip() for one in attributes.split(",") if one.strip())


def several(number: int) -> int:
    """That many pictures, if so many are drawn at once."""
    if not 1 <= number <= MOST:
        raise InputError(f"{number} pictures are not drawn at once here: ask for 1 to {MOST}")
    return number


def walk(model: PictureModel, wish: Wish) -> Iterator[Walk]:
    """The walk before its first step, and after each."""
    _affordable(model, wish)
    grid, n = model.grid(wish.way.steps, wish.way.grid), len(wish.kin)
    states = [_kept(start(model, wish.kin, grid)[0])]
    yield Walk(wish, model.hash, tuple(states))
    sampler = with_eta(model.sampler(wish.way.sampler), wish.way.eta)
    cond = _condition(model, wish)
    guidance = Guidance(wish.way.guidance, wish.way.interval)
    for state in stepped(generate(model, wish.kin, cond, sampler, grid, guidance, n)):
        states.append(_kept(state))
        yield Walk(wish, model.hash, tuple(states))


def branch(
    model: PictureModel, walk: Walk, step: int, seed: int | None = None, label: str | None = None
) -> Iterator[Walk]:
    """The walk that leaves `walk` after `step`: with other noise from `seed` on, with another label, or with both.

    Its wish is that of the walk that it left.
    """
    if walk.branch is not None:
        raise InputError("that walk is a branch itself: branch off from the walk that it left")
    if not 0 <= step < walk.steps:
        raise InputError(f"nothing can branch off at step {step}: choose one before the last, 0 to {walk.steps - 1}")
    if model.hash != walk.model:
        raise InputError("the model has changed since this was drawn: draw again, then branch")
    n, way = len(walk.wish.kin), walk.wish.way
    labels = walk.wish.labels if label is None else (label,) * n
    kin = walk.wish.kin if seed is None else tuple(Kin(seed + i) for i in range(n))
    noise, device = noise_of(kin), next(model.parameters()).device
    state = _kept(walk.states[step], device)
    if seed is not None:
        state = renoised(model.schedule, state, noise) if step else start(model, kin, _grid(model, way))[0]
    told = replace(walk.wish, labels=labels)
    states = [*walk.states[:step], _kept(state)]
    cond = _condition(model, told)
    denoise = steered(model, None if cond is None else cond.to(device), Guidance(way.guidance, way.interval))
    sampler = with_eta(model.sampler(way.sampler), way.eta)
    for after in stepped(onwards(denoise, sampler, _grid(model, way), state, noise)):
        states.append(_kept(after))
        yield Walk(walk.wish, model.hash, tuple(states), Branch(step, seed, label))


def seen(model: PictureModel, walk: Walk, step: int, noisy: bool = False) -> Bytes:
    """What the model saw after a step, (B, C, H, W); or, `noisy`, where the walk itself was."""
    state = walk.states[max(0, min(step, walk.steps))]
    if state.t == 0:
        return model.pictures.finished(state.x)
    if noisy or not state.history:
        return model.pictures.decode(at_unit_scale(state, model.schedule))
    return model.pictures.decode(state.preview)


def cells(model: PictureModel, walk: Walk) -> list[Cell]:
    """The pictures of a walk that has come to its end."""
    if not walk.done:
        raise InputError(
            f"the walk stopped after {walk.steps} of {walk.wish.way.steps} steps: draw it to its end first"
        )
    way, n = walk.wish.way, len(walk.wish.kin)
    times = Origin.own(model, way.grid, way.steps)
    rows, told = seen(model, walk, walk.steps).split(1), walk.wish.attributes or ((),) * n
    texts = walk.wish.texts or (None,) * n
    return [
        Cell(
            walk.wish.model,
            row,
            Origin(
                walk.model, kin.seed, label, way.sampler, way.grid, way.steps, way.guidance, n, times, attributes,
                way.eta, way.interval, kin.turns, text=text, temperature=model.config.sampling.temperature,
            ),
            walk.branch,
        )
        for row, kin, label, attributes, text in zip(
            rows, walk.wish.kin, walk.wish.labels, told, texts, strict=True
        )
    ]  # fmt: skip


def blank(model: PictureModel) -> Bytes:
    """A picture of nothing, (1, C, H, W)."""
    return torch.zeros(1, *model.pictures.shape, dtype=torch.uint8)


def _grid(model: PictureModel, way: Way) -> Grid:
    return model.grid(way.steps, way.grid)


def _condition(model: PictureModel, wish: Wish) -> Condition | None:
    """What each picture is asked to be."""
    labels = None if set(wish.labels) == {None} else wish.labels
    attributes = [parsed(told) or None for told in wish.attributes]
    texts = None if set(wish.texts) <= {None} else wish.texts
    return model.condition(labels, len(wish.kin), attributes=attributes or None, text=texts)


def _kept(state: State, device: object = "cpu") -> State:
    """A state with what was last seen and no more, on another device."""
    to = str(device)
    history = tuple((t, Prediction(p.x0.to(to), p.eps.to(to))) for t, p in state.history[:1])
    return State(state.x.to(to), state.t, history)


def _affordable(model: PictureModel, wish: Wish) -> None:
    channels, height, width = model.pictures.shape
    need = 3 * 4 * len(wish.kin) * (wish.way.steps + 1) * channels * height * width
    if need > MEMORY:
        raise InputError(
            f"{len(wish.kin)} pictures of {wish.way.steps} steps take {need // 2**20} MB, and "
            f"{MEMORY // 2**20} are what one walk may take: ask for fewer of either"
        )
