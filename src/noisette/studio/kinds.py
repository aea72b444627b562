"""The kinds of edit that a page offers: what each asks for, and the call into the library that it is."""

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import torch

from ..edit.inpaint import canvas
from ..edit.picture import Given, read_picture, read_small
from ..edit.retouch import One, Turn, enlarged, filled, found, mended, varied
from ..edit.segment import chance, inside, uncertainty
from ..errors import InputError
from ..model import PictureModel
from ..shapes import Bytes, Images
from ..task import Draw, Segment, Upscale
from .brush import known_of

VARY, FILL, AROUND, ENLARGE, TILE = "vary it", "fill in", "draw around it", "enlarge it", "make it seamless"
FIND = "find its mask"
NAMES = {VARY: "vary", FILL: "inpaint", AROUND: "outpaint", ENLARGE: "upscale", TILE: "tile", FIND: "segment"}
OF_TASK = {Draw: (VARY, FILL, AROUND, ENLARGE, TILE), Upscale: (ENLARGE,), Segment: (FIND,)}
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
    attributes: tuple[str, ...] = ()  # like hue=0.3
    text: str | None = None

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
class Work:
    """An edit that is ready to be drawn."""

    draw: Callable[[Turn], Bytes]  # a picture for each seed of the turn
    told: Mapping[str, object] = field(default_factory=dict)  # what the files are to say of it
    image: Images | None = None  # what the model has to be given, in model space
    sum_up: Callable[[Bytes], Mapping[str, One]] = lambda drawn: {}  # what all of them say together


def kinds(model: PictureModel) -> tuple[str, ...]:
    """What can be done with a model."""
    return OF_TASK[type(model.config.task)]


def read(data: bytes, model: PictureModel) -> Given:
    """A picture's file, as the pictures are that the model edits."""
    task, own = model.config.task, model.pictures
    pictures = replace(task.given, height=own.height, width=own.width) if isinstance(task, Segment) else own
    return from_file(data, lambda path: read_picture(path, pictures))


def work(model: PictureModel, data: bytes, ask: Ask) -> Work:
    """The edit that is asked for, checked."""
    if ask.kind not in kinds(model):
        raise InputError(f"this model cannot {ask.kind}: it can {' and '.join(kinds(model))}")
    made = EDITS[ask.kind](model, data, ask)
    told = {"edit": NAMES[ask.kind], "picture_sha256": hashlib.sha256(data).hexdigest()}
    return replace(made, told=told | dict(made.told))


def _vary(model: PictureModel, data: bytes, ask: Ask) -> Work:
    pixels = read(data, model).pixels
    return Work(lambda t: varied(model.pictures, t, pixels, ask.strength), {"strength": ask.strength})


def _fill(model: PictureModel, data: bytes, ask: Ask) -> Work:
    pictures, pixels = model.pictures, read(data, model).pixels
    there = known_of(ask.mask, pictures.height, pictures.width)
    return Work(lambda t: filled(pictures, t, pixels, there, ask.rounds), {"rounds": ask.rounds})


def _around(model: PictureModel, data: bytes, ask: Ask) -> Work:
    pictures, pixels = model.pictures, read(data, model).pixels
    longer = max(pictures.height, pictures.width)
    if ask.margin > longer:
        raise InputError(f"a margin of {ask.margin} pixels is too wide: give up to {longer}")
    larger, around = canvas(pixels, torch.ones(1, 1, pictures.height, pictures.width), ask.margin)
    told = {"margin": ask.margin, "rounds": ask.rounds}
    return Work(lambda t: filled(pictures, t, larger, around, ask.rounds), told)


def _enlarge(model: PictureModel, data: bytes, ask: Ask) -> Work:
    pictures = model.pictures
    small, factor = from_file(data, lambda path: read_small(path, pictures))
    trained = isinstance(model.config.task, Upscale)
    rounds = 1 if trained else ask.rounds  # one that learned to enlarge needs no second try
    return Work(
        lambda t: enlarged(pictures, t, small.pixels, factor, rounds),
        {"factor": factor, "rounds": rounds},
        pictures.encode(small.pixels) if trained else None,
    )


def _tile(model: PictureModel, data: bytes, ask: Ask) -> Work:
    pictures, pixels = model.pictures, read(data, model).pixels
    band = min(pictures.height, pictures.width) // 4
    told = {"axes": ask.axes, "band": band, "rounds": ask.rounds}
    return Work(lambda t: mended(pictures, t, pixels, ask.axes, band, ask.rounds), told)


def _find(model: PictureModel, data: bytes, ask: Ask) -> Work:
    task, pictures = model.config.task, model.pictures
    assert isinstance(task, Segment)

    def draw(turn: Turn) -> Bytes:
        return pictures.decode(found(pictures, turn)).cpu()

    def sum_up(drawn: Bytes) -> Mapping[str, One]:
        share = chance(pictures.encode(drawn))
        maps = {"the mask": inside(share).float(), "where they differ": uncertainty(share)}
        return {what: (255 * of).round().to(torch.uint8) for what, of in maps.items()}

    return Work(draw, {}, task.given.encode(read(data, model).pixels), sum_up)


EDITS: Mapping[str, Callable[[PictureModel, bytes, Ask], Work]] = {
    VARY: _vary, FILL: _fill, AROUND: _around, ENLARGE: _enlarge, TILE: _tile, FIND: _find,
}  # fmt: skip


def from_file(data: bytes, reader: Callable[[Path], T]) -> T:
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
