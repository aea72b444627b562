"""Films: pictures in time, as a file that a browser plays. GIF plays everywhere; an animated PNG keeps every colour; an
MP4, for which an extra must be there, goes where films go.

Every pixel stays a square: pictures are enlarged by whole numbers, for an MP4 by even ones. Its colours are stored for
two pixels by two, so that there, too, a colour ends where its pixel ends.
"""

import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from math import ceil
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageColor, ImageDraw

from ..errors import InputError
from ..files import atomic_write
from ..shapes import Bytes
from .caption import Letters
from .grid import INK, LARGEST, MARGIN, PAPER, TEXT, enlarged, sheet, shown

FORMATS = {".gif": "GIF", ".png": "PNG", ".apng": "PNG", ".mp4": "MP4"}
WITHIN = 480  # pixels that the longer side of a film is enlarged to, about
SLOWEST = 10  # frames a second that players of MP4 expect at least; slower films repeat their frames
PRECISELY = "scale=out_color_matrix=bt709:out_range=tv:flags=neighbor+accurate_rnd+full_chroma_int"
SAID = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv")


def kind_of(path: Path) -> str:
    """What a film of that name is. An InputError where it is none, or needs what is not installed."""
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise InputError(f"a film is not written as {path.name}: call it .gif, .mp4, or .png for an animated PNG")
    if kind == "MP4" and find_spec("imageio_ffmpeg") is None:
        raise InputError("an MP4 needs imageio-ffmpeg: pip install 'noisette[mp4]', or write a .gif")
    return kind


def times(columns: int, rows: int, width: int, height: int, even: bool = False, within: int = WITHIN) -> int:
    """The whole number by which a sheet is enlarged to about `within` pixels; an even one where it must be."""
    longer = max(columns * (width + 1), rows * (height + 1)) - 1
    found = max(1, min(LARGEST, within // longer))
    return max(2, found - found % 2) if even else found


def framed(
    frames: Sequence[Bytes],
    columns: int | None = None,
    scale: int | None = None,
    paper: str | None = None,
    said: Sequence[str] = (),
    even: bool = False,
) -> list[Image.Image]:
    """Each moment (B, C, H, W) as a sheet, enlarged by `scale`; on a `paper` of that colour, else as clear as it is.

    What is `said` of each moment stands below it; `even` is for MP4.
    """
    number, _, height, width = frames[0].shape
    columns = min(number, columns or max(1, round((number * height / width) ** 0.5)))
    scale = scale or times(columns, -(-number // columns), width, height, even)
    sheets = [enlarged(sheet(moment, columns, 1), scale) for moment in frames]
    if paper is not None:
        sheets = [_on(image, coloured(paper)) for image in sheets]
    return [_captioned(image, words, scale) for image, words in zip(sheets, said, strict=True)] if said else sheets


def coloured(name: str) -> tuple[int, int, int]:
    """The colour of that name: white, #1c1917, …"""
    try:
        return ImageColor.getrgb(name)[:3]
    except ValueError as error:
        raise InputError(f"no colour is called {name!r}: give one such as white, navy or #1c1917") from error


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
    lasting = [duration] * (len(frames) - 1) + [hold]
    if kind == "GIF":
        frames = [_in_256_colours(_over(f)) for f in frames]

    def save(file: BinaryIO) -> None:
        first, rest = frames[0], list(frames[1:])
        more: dict[str, Any] = {"optimize": False} if kind == "GIF" else {}
        first.save(file, kind, save_all=True, append_images=rest, duration=lasting, loop=0, **more)

    atomic_write(path, save)


def _over(image: Image.Image) -> Image.Image:
    """RGB, on a checkerboard where it is transparent."""
    return shown(image, max(1, image.width // 16))


def _in_256_colours(image: Image.Image) -> Image.Image:
    """Exactly, where it has no more; else in those that are nearest to its own, found on a smaller copy."""
    if image.getcolors(256) is not None:
        return image.quantize(256, dither=Image.Dither.NONE)
    less = max(1, min(image.size) // 128)
    small = image.resize((image.width // less, image.height // less), Image.Resampling.NEAREST)
    return image.quantize(palette=small.quantize(256, kmeans=1), dither=Image.Dither.NONE)


def _on(image: Image.Image, paper: tuple[int, int, int]) -> Image.Image:
    under = Image.new("RGBA", image.size, (*paper, 255))
    return Image.alpha_composite(under, image.convert("RGBA")).convert("RGB")


def _captioned(image: Image.Image, words: str, scale: int) -> Image.Image:
    """On paper, with words below; as tall and wide as even numbers, if the picture is."""
    over, letters = shown(image, max(1, 2 * scale)), Letters(TEXT, words)
    canvas = Image.new("RGB", (image.width, image.height + 2 * MARGIN + 2), PAPER)
    canvas.paste(over)
    letters.write(ImageDraw.Draw(canvas), (MARGIN / 2, image.height + MARGIN + 1), words, INK, "lm")
    return canvas


def _mp4(frames: Sequence[Image.Image], duration: int) -> bytes:
    """H.264, which wants sides of even length: one more row or column is repeated where they are odd."""
    import imageio_ffmpeg

    width, height = (side + side % 2 for side in frames[0].size)
    repeats = max(1, ceil(duration * SLOWEST / 1000))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        writer = imageio_ffmpeg.write_frames(
            str(path), (width, height), fps=1000 * repeats / duration, macro_block_size=2, quality=9,
            output_params=["-an", "-movflags", "+faststart", "-vf", PRECISELY, *SAID],
        )  # fmt: skip
        writer.send(None)
        for frame in frames:
            pixels = np.asarray(_over(frame))
            more = ((0, height - frame.height), (0, width - frame.width), (0, 0))
            for _ in range(repeats):
                writer.send(np.pad(pixels, more, mode="edge").tobytes())
        writer.close()
        return path.read_bytes()
