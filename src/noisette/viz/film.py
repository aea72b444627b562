"""Films: pictures in time, as a file that a browser plays. GIF plays everywhere; an animated PNG keeps every colour."""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from ..errors import InputError
from ..files import atomic_write
from .grid import shown

FORMATS = {".gif": "GIF", ".png": "PNG", ".apng": "PNG"}


def write_film(path: Path, frames: Sequence[Image.Image], duration: int = 120, hold: int = 1500) -> None:
    """Write frames of one size, `duration` milliseconds each and `hold` for the last, looping, wholly or not at all.

    A GIF has no soft alpha, so transparent frames lie on a checkerboard there; in an animated PNG they stay as they
    are.
    """
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise InputError(f"a film is not written as {path.name}: call it .gif, or .png for an animated PNG")
    if not frames:
        raise InputError(f"a film without pictures is none: nothing was given for {path.name}")
    if kind == "GIF":
        frames = [shown(f, max(1, f.width // 16)).quantize(256, dither=Image.Dither.NONE) for f in frames]
    times = [duration] * (len(frames) - 1) + [hold]

    def save(file: BinaryIO) -> None:
        first, rest = frames[0], list(frames[1:])
        if kind == "GIF":
            first.save(file, "GIF", save_all=True, append_images=rest, duration=times, loop=0, optimize=False)
        else:
            first.save(file, "PNG", save_all=True, append_images=rest, duration=times, loop=0)

    atomic_write(path, save)
