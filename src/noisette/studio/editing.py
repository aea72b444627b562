"""From what the page "Edit" asks to edited pictures, which are seen while they are drawn."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from ..condition import Condition
from ..context import parsed
from ..edit.generate import Guidance, steered, with_eta
from ..edit.origin import Origin
from ..edit.retouch import Turn
from ..model import PictureModel
from ..noise import Seeded
from ..sampler import State
from ..shapes import Bytes
from .kinds import Ask, Work, work
from .live import Tell, Telling, watched
from .session import Way


@dataclass(frozen=True, eq=False)
class Edited:
    """A picture that came of an edit, (1, C, H, W), and what its file says of it."""

    pixels: Bytes
    told: dict[str, object]
    caption: str  # seed 3; or what it is of all the others
    stem: str  # of its file


def edited(model: PictureModel, data: bytes, ask: Ask, way: Way) -> Iterator[Bytes | list[Edited]]:
    """What is seen on the way, all pictures at once, and at last the pictures: first those that sum the others up."""
    todo = work(model, data, ask)
    cond = model.condition(
        ask.label, ask.number, attributes=parsed(ask.attributes), text=ask.text, image=todo.image
    )  # fmt: skip

    def drawn(tell: Tell) -> Bytes:
        return todo.draw(turn(model, way, cond, ask.seed, ask.number, tell))

    for seen in watched(drawn):
        if isinstance(seen, State):
            yield model.pictures.decode(seen.preview.cpu())
        else:
            yield [*_sums(model, ask, todo, seen), *_samples(model, way, ask, todo, seen)]


def turn(model: PictureModel, way: Way, cond: Condition | None, seed: int, number: int, tell: Tell) -> Turn:
    """`number` pictures of seeds from `seed` on, drawn at once; row i of `cond` is what picture i is asked to be."""
    device = next(model.parameters()).device
    denoise = steered(model, None if cond is None else cond.to(device), Guidance(way.guidance, way.interval))
    sampler = Telling(with_eta(model.sampler(way.sampler), way.eta), tell)
    grid, seeds = model.grid(way.steps, way.grid), Seeded(range(seed, seed + number))
    return Turn(denoise, sampler, grid, seeds, number, device, temperature=model.config.sampling.temperature)


def _sums(model: PictureModel, ask: Ask, todo: Work, drawn: Bytes) -> list[Edited]:
    told = {**todo.told, "model": model.hash, "seed": ask.seed, "of": len(drawn)}
    return [
        Edited(pixels, told | {"is": what}, what, f"{told['edit']}-{what.replace(' ', '-')}")
        for what, pixels in todo.sum_up(drawn).items()
    ]


def _samples(model: PictureModel, way: Way, ask: Ask, todo: Work, drawn: Bytes) -> list[Edited]:
    times, made = Origin.own(model, way.grid, way.steps), []
    for seed, row in zip(range(ask.seed, ask.seed + ask.number), drawn.split(1), strict=True):
        origin = Origin(
            model.hash, seed, ask.label, way.sampler, way.grid, way.steps, way.guidance, ask.number, times,
            ask.attributes, eta=way.eta, interval=way.interval, text=ask.text,
        )  # fmt: skip
        made.append(Edited(row, {**todo.told, **asdict(origin)}, f"seed {seed}", f"{todo.told['edit']}-{seed:06d}"))
    return made
