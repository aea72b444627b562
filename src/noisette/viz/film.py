"""Films: pictures in time, as a file that a browser plays. GIF plays everywhere; an animated PNG keeps every colour; an
MP4, for which an extra must be there, goes where films go."""

import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from ..errors import InputError
from ..files import atomic_write
from .grid import shown

FORMATS = {".gif": "GIF", ".png": "PNG", ".apng": "PNG", ".mp4": "MP4"}


def kind_of(path: Path) -> str:
    """What a film of that name is. An InputError where it is none, or needs what is not installed."""
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise InputError(f"a film is not written as {path.name}: call it .gif, .mp4, or .png for an animated PNG")
    if kind == "MP4" and find_spec("imageio_ffmpeg") is None:
        raise InputError("an MP4 needs imageio-ffmpeg: pip install 'noisette[mp4]', or write a .gif")
    return kind


def write_film(path: Path, frames: Sequence[Image.Image], duration: int = 120, hold: int = 1500) -> None:
    """Write frames of one size, `duration` milliseconds each and `hold` for the last, looping, wholly or not at all.

    A GIF has no soft alpha and an MP4 none at all, so transparent frames lie on a checkerboard there; in an animated
    PNG they stay as they are.
    """
    kind = kind_of(path)
    if not frames:
        raise InputError(f"a film without pictures is none: nothing was given for {path.name}")
    if kind == "MP4":
        still = max(1, round(hold / duration))
        atomic_write(path, _mp4([*frames, *[frames[-1]] * (still - 1)], duration))
        return
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


def _mp4(frames: Sequence[Image.Image], duration: int) -> bytes:
    """H.264, which wants sides of even length: one more row or column is repeated where they are odd."""
    import imageio_ffmpeg

    width, height = (side + side % 2 for side in frames[0].size)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        writer = imageio_ffmpeg.write_frames(
            str(path), (width, height), fps=1000 / duration, macro_block_size=2, quality=9, output_params=["-an"]
        )
        writer.send(None)
        for frame in frames:
            writer.send(shown(frame, max(1, frame.width // 16)).crop((0, 0, width, height)).tobytes())
        writer.close()
        return path.read_bytes()
