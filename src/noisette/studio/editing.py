"""From what the page "Edit" asks to edited pictures: checks, and calls into the library."""

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import torch

from ..edit.generate import Guidance, steered, with_eta
from ..edit.inpaint import canvas
from ..edit.origin import Origin
from ..edit.picture import Given, read_picture, read_small
from ..edit.retouch import Turn, enlarged, filled, mended, varied
from ..errors import InputError
from ..model import PictureModel
from ..noise import Seeded
from ..sampler import State
from ..shapes import Bytes
from .brush import known_of
from .live import Tell, Telling, watched
from .session import Way

VARY, FILL, AROUND, ENLARGE, TILE = "vary it", "fill in", "draw around it", "enlarge it", "make it seamless"
NAMES = {VARY: "vary", FILL: "inpaint", AROUND: "outpaint", ENLARGE: "upscale", TILE: "tile"}
MOST = 16  # pictures at once
ROUNDS = 20
LARGEST = 2**24  # bytes of a picture's file
CALLED = "the picture"

T = TypeVar("T")


@dataclass(frozen=True)
class Ask:
    """What is to be done with a picture. Each kind looks at some of it."""

    kind: str
    label: str | None = None
    seed: int = 0
    number: int = 4
    strength: float = 0.5
    rounds: int = 5
    margin: int = 4
    axes: str = "xy"
    mask: str = ""  # row by row, 1 where a pixel is to be drawn

    def __post_init__(self) -> None:
        if self.kind not in NAMES:
            raise InputError(f"{self.kind!r} is no edit: ask for {', '.join(NAMES)}")
        if not 1 <= self.number <= MOST:
            raise InputError(f"{self.number} edited pictures are not drawn at once here: ask for 1 to {MOST}")
        if self.seed < 0:
            raise InputError(f"the seed is {self.seed}: give 0 or more")
        if not 1 <= self.rounds <= ROUNDS:
            raise InputError(f"{self.rounds} rounds are none that are taken here: ask for 1 to {ROUNDS}")
        if self.axes not in ("x", "y", "xy"):
            raise InputError(f"a picture is seamless in x, in y or in xy, not in {self.axes!r}")


@dataclass(frozen=True, eq=False)
class Edited:
    """A picture that came of an edit, (1, C, H, W), and what its file says of it."""

    pixels: Bytes
    told: dict[str, object]
    seed: int


def read(data: bytes, model: PictureModel) -> Given:
    """A picture's file, as the model's pictures are."""
    return _read(data, lambda path: read_picture(path, model.pictures))


def edited(model: PictureModel, data: bytes, ask: Ask, way: Way) -> Iterator[Bytes | list[Edited]]:
    """What is seen on the way, all pictures at once, and at last the pictures."""
    work, told = _work(model, data, ask)

    def drawn(tell: Tell) -> Bytes:
        return work(turn(model, way, ask.label, ask.seed, ask.number, tell))

    for seen in watched(drawn):
        if isinstance(seen, State):
            yield model.pictures.decode(seen.preview.cpu())
        else:
            yield [_edited(model, way, ask, told, i, row) for i, row in enumerate(seen.split(1))]


def turn(model: PictureModel, way: Way, label: str | None, seed: int, number: int, tell: Tell) -> Turn:
    """`number` pictures of seeds from `seed` on, drawn at once."""
    device = next(model.parameters()).device
    cond = model.condition(label, number)
    denoise = steered(model, None if cond is None else cond.to(device), Guidance(way.guidance, way.interval))
    sampler = Telling(with_eta(model.sampler(way.sampler), way.eta), tell)
    grid, seeds = model.grid(way.steps, way.grid), Seeded(range(seed, seed + number))
    return Turn(denoise, sampler, grid, seeds, number, device, temperature=model.config.sampling.temperature)


def _work(model: PictureModel, data: bytes, ask: Ask) -> tuple[Callable[[Turn], Bytes], dict[str, object]]:
    """The edit, and what the files are to say of it."""
    pictures = model.pictures
    height, width = pictures.height, pictures.width
    told: dict[str, object] = {"edit": NAMES[ask.kind], "picture_sha256": hashlib.sha256(data).hexdigest()}
    if ask.kind == ENLARGE:
        small, factor = _read(data, lambda path: read_small(path, pictures))
        more: dict[str, object] = {"factor": factor, "rounds": ask.rounds}
        return lambda t: enlarged(pictures, t, small.pixels, factor, ask.rounds), told | more
    given = read(data, model)
    pixels = given.pixels
    if ask.kind == VARY:
        return lambda t: varied(pictures, t, pixels, ask.strength), told | {"strength": ask.strength}
    if ask.kind == TILE:
        band = min(height, width) // 4
        more = {"axes": ask.axes, "band": band, "rounds": ask.rounds}
        return lambda t: mended(pictures, t, pixels, ask.axes, band, ask.rounds), told | more
    if ask.kind == AROUND:
        if ask.margin > max(height, width):
            raise InputError(f"a margin of {ask.margin} pixels is too wide: give up to {max(height, width)}")
        larger, around = canvas(pixels, torch.ones(1, 1, height, width), ask.margin)
        more = {"margin": ask.margin, "rounds": ask.rounds}
        return lambda t: filled(pictures, t, larger, around, ask.rounds), told | more
    there = known_of(ask.mask, height, width)
    return lambda t: filled(pictures, t, pixels, there, ask.rounds), told | {"rounds": ask.rounds}


def _edited(model: PictureModel, way: Way, ask: Ask, told: dict[str, object], i: int, row: Bytes) -> Edited:
    times = Origin.own(model, way.grid, way.steps)
    origin = Origin(
        model.hash, ask.seed + i, ask.label, way.sampler, way.grid, way.steps, way.guidance, ask.number, times,
        eta=way.eta, interval=way.interval, temperature=model.config.sampling.temperature,
    )  # fmt: skip
    return Edited(row, told | asdict(origin), ask.seed + i)


def _read(data: bytes, reader: Callable[[Path], T]) -> T:
    """Through a file of our own; its name is not told."""
    if len(data) > LARGEST:
        raise InputError(f"a picture's file may have {LARGEST // 2**20} MB at most")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture"
        path.write_bytes(data)
        try:
            return reader(path)
        except InputError as error:
            raise InputError(str(error).replace(str(path), CALLED)) from error
