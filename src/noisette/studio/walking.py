"""From two kept pictures to the frames between them, and a film of those."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..context import parsed
from ..edit.generate import Guidance, with_eta
from ..edit.walk import places, walked
from ..errors import InputError
from ..model import PictureModel
from ..sampler import State
from ..shapes import Bytes
from ..viz.film import write_film
from ..viz.grid import enlarged, fitting
from ..viz.png import png, to_image
from . import breeding
from .export import zipped
from .live import Tell, Telling, watched
from .session import Cell, way_of

MOST = 64  # frames
WIDE = 320  # pixels that a film is enlarged to, about
KINDS = {"GIF": "gif", "animated PNG": "png"}


@dataclass(frozen=True, eq=False)
class Film:
    """Frames, (1, C, H, W) each, from one kept picture to another."""

    frames: tuple[Bytes, ...]


def between(model: PictureModel, one: Cell, other: Cell, frames: int, loop: bool) -> Iterator[Bytes | Film]:
    """What is seen of the frames that are being drawn; at last, all of them. With `loop`, there and back again.

    Their noises are turned from the one's to the other's, and what was asked for is mixed. They are walked to as the
    first one was.
    """
    if not 2 <= frames <= MOST:
        raise InputError(f"{frames} frames are no walk: ask for 2 to {MOST}")
    if one.name != other.name or {one.origin.model, other.origin.model} != {model.hash}:
        raise InputError("a walk is between two pictures of one model, as it is now: choose others")
    for cell in (one, other):
        breeding.by_its_noise(cell)
    way, found = way_of(one.origin), places(2, frames, closed=loop)
    wishes = [parsed(c.origin.attributes) or None for c in (one, other)]
    texts = [c.origin.text for c in (one, other)]
    text = texts if any(texts) else None
    asked = model.condition([one.origin.label, other.origin.label], 2, attributes=wishes, text=text)
    grid, sampler = model.grid(way.steps, way.grid), with_eta(model.sampler(way.sampler), way.eta)

    def drawn(tell: Tell) -> Film:
        told = Telling(sampler, tell)
        parts = walked(model, [one.kin, other.kin], asked, found, told, grid, Guidance(way.guidance, way.interval))
        return Film(tuple(row for part in parts for row in part.split(1)))

    for seen in watched(drawn):
        yield model.pictures.decode(seen.preview.cpu()) if isinstance(seen, State) else seen


def film(frames: Sequence[Bytes], kind: str, duration: int) -> bytes:
    """A film of frames, `duration` milliseconds each."""
    if kind not in KINDS:
        raise InputError(f"a film is no {kind!r} here: choose {' or '.join(KINDS)}")
    if not 20 <= duration <= 2000:
        raise InputError(f"a frame is shown for 20 to 2000 milliseconds, not for {duration}")
    scale = fitting(1, frames[0].shape[3], WIDE)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"walk.{KINDS[kind]}"
        write_film(path, [enlarged(to_image(f), scale) for f in frames], duration, duration)
        return path.read_bytes()


def packed(frames: Sequence[Bytes], content: bytes, kind: str) -> bytes:
    """The film and its frames, a zip."""
    files = {f"frame-{i:02d}.png": png(f) for i, f in enumerate(frames)}
    return zipped(files | {f"walk.{KINDS[kind]}": content})
