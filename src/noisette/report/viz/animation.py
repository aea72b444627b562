"""Animations as GIF (plays everywhere), animated PNG (keeps all colors and alpha) or MP4 (needs `noisette[mp4]`).

Pictures are enlarged by whole numbers, so that each pixel stays a square. For MP4 the factor is even: MP4 stores color
once per 2×2 pixels, and with an even factor such a block never spans two pixels.
"""

import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from io import BytesIO
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageColor, ImageDraw

from ...data.contact_sheet import (
    BACKGROUND,
    MARGIN,
    MAX_SCALE,
    TEXT_COLOR,
    TEXT_SIZE,
    CaptionFont,
    contact_sheet,
    enlarge,
    flatten_alpha,
)
from ...data.origin_mark import mark_gif
from ...data.png import SOFTWARE, mark_chunks
from ...errors import InputError
from ...io.files import atomic_write
from ...shapes import UInt8Images

FORMATS = {".gif": "GIF", ".png": "PNG", ".apng": "PNG", ".mp4": "MP4"}
TARGET_SIZE = 480  # approximate length of the longer side of a film in pixels
MAX_FILM_PIXELS = 2**28  # of all frames, which are in memory together: 1 GB
MIN_FPS = 10  # MP4 players expect at least so many frames per second; slower films repeat frames
MP4_SCALE_FILTER = "scale=out_color_matrix=bt709:out_range=tv:flags=neighbor+accurate_rnd+full_chroma_int"
MP4_COLOR_FLAGS = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv")


def film_format(path: Path) -> str:
    """The format for a file name: GIF, PNG or MP4. InputError for other suffixes, and for MP4 without its package."""
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise InputError(f"{path.name}: the name of a film must end in .gif, .mp4 or .png (animated PNG)")
    if kind == "MP4" and find_spec("imageio_ffmpeg") is None:
        raise InputError("writing an MP4 needs imageio-ffmpeg: pip install 'noisette[mp4]', or write a .gif")
    return kind


def choose_scale(
    columns: int, rows: int, width: int, height: int, require_even: bool = False, target_size: int = TARGET_SIZE
) -> int:
    """The integer factor that enlarges a sheet of columns × rows pictures to about `target_size` pixels, at least 1.

    With `require_even` the factor is even, at least 2.
    """
    longer = max(columns * (width + 1), rows * (height + 1)) - 1
    scale = max(1, min(MAX_SCALE, target_size // longer))
    return max(2, scale - scale % 2) if require_even else scale


def make_frames(
    frames: Sequence[UInt8Images],
    columns: int | None = None,
    scale: int | None = None,
    background: str | None = None,
    captions: Sequence[str] = (),
    require_even: bool = False,
) -> list[Image.Image]:
    """Each of `frames` (B, C, H, W) as a sheet of `columns`, enlarged by the integer `scale`.

    `background`: a color for transparent pixels, such as white or #1c1917; None keeps them transparent. `captions`
    are written below the frames. `require_even` makes the scale even, for MP4. InputError for frames of more than
    MAX_FILM_PIXELS together.
    """
    number, _, height, width = frames[0].shape
    columns = min(number, columns or max(1, round((number * height / width) ** 0.5)))
    rows = -(-number // columns)
    scale = scale or choose_scale(columns, rows, width, height, require_even)
    if (pixels := len(frames) * columns * rows * width * height * scale**2) > MAX_FILM_PIXELS:
        raise InputError(
            f"the film would have {len(frames):,} frames of {pixels / len(frames) / 1e6:,.1f} million pixels: lower "
            f"the scale or the number of pictures or frames, to at most {MAX_FILM_PIXELS / 1e6:.0f} million in all"
        )
    sheets = [enlarge(contact_sheet(frame, columns, 1), scale) for frame in frames]
    if background is not None:
        sheets = [_composite(image, parse_color(background)) for image in sheets]
    return (
        [_add_caption(image, caption, scale) for image, caption in zip(sheets, captions, strict=True)]
        if captions
        else sheets
    )


def parse_color(name: str) -> tuple[int, int, int]:
    """RGB of a color name or code: white, #1c1917, …"""
    try:
        return ImageColor.getrgb(name)[:3]
    except ValueError as error:
        raise InputError(f"{name!r} is not a color: give a name or code such as white, navy or #1c1917") from error


def write_film(path: Path, frames: Sequence[Image.Image], duration: int = 120, hold: int = 1500) -> None:
    """Write frames of the same size as a looping film, atomically.

    Each frame lasts `duration` milliseconds, the last one `hold`. GIF has no partial transparency and MP4 none at all,
    so there transparent pixels show a checkerboard; an animated PNG keeps them.
    """
    kind = film_format(path)
    if not frames:
        raise InputError(f"{path.name}: a film needs at least one frame")
    if kind == "MP4":
        repeats = max(1, round(hold / duration))
        atomic_write(path, _encode_mp4([*frames, *[frames[-1]] * (repeats - 1)], duration))
        return
    durations = [duration] * (len(frames) - 1) + [hold]
    if kind == "GIF":
        frames = [_quantize(_flatten(f)) for f in frames]

    # a film among pictures is not trained on, since it says who wrote it
    options: dict[str, Any] = (
        {"optimize": False, "comment": SOFTWARE.encode()} if kind == "GIF" else {"pnginfo": mark_chunks()}
    )
    file = BytesIO()
    first, rest = frames[0], list(frames[1:])
    first.save(file, kind, save_all=True, append_images=rest, duration=durations, loop=0, **options)
    atomic_write(path, mark_gif(file.getvalue(), "generated") if kind == "GIF" else file.getvalue())


def _flatten(image: Image.Image) -> Image.Image:
    """RGB, with a checkerboard behind transparent pixels."""
    return flatten_alpha(image, max(1, image.width // 16))


def _quantize(image: Image.Image) -> Image.Image:
    """A palette image: exact for up to 256 colors; else the nearest of 256 colors, chosen on a smaller copy."""
    if image.getcolors(256) is not None:
        return image.quantize(256, dither=Image.Dither.NONE)
    factor = max(1, min(image.size) // 128)
    small = image.resize((image.width // factor, image.height // factor), Image.Resampling.NEAREST)
    return image.quantize(palette=small.quantize(256, kmeans=1), dither=Image.Dither.NONE)


def _composite(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    canvas = Image.new("RGBA", image.size, (*background, 255))
    return Image.alpha_composite(canvas, image.convert("RGBA")).convert("RGB")


def _add_caption(image: Image.Image, text: str, scale: int) -> Image.Image:
    """The image with a line of text below. Even width and height stay even."""
    flat, font = flatten_alpha(image, max(1, 2 * scale)), CaptionFont(TEXT_SIZE, text)
    canvas = Image.new("RGB", (image.width, image.height + 2 * MARGIN + 2), BACKGROUND)
    canvas.paste(flat)
    font.draw_text(ImageDraw.Draw(canvas), (MARGIN / 2, image.height + MARGIN + 1), text, TEXT_COLOR, "lm")
    return canvas


def _encode_mp4(frames: Sequence[Image.Image], duration: int) -> bytes:
    """H.264 video as bytes. It needs even sides: an odd side is extended by repeating the last row or column."""
    import imageio_ffmpeg

    width, height = (side + side % 2 for side in frames[0].size)
    repeats = max(1, ceil(duration * MIN_FPS / 1000))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        writer = imageio_ffmpeg.write_frames(
            str(path), (width, height), fps=1000 * repeats / duration, macro_block_size=2, quality=9,
            output_params=["-an", "-movflags", "+faststart", "-vf", MP4_SCALE_FILTER, *MP4_COLOR_FLAGS],
        )  # fmt: skip
        writer.send(None)
        for frame in frames:
            pixels = np.asarray(_flatten(frame))
            padding = ((0, height - frame.height), (0, width - frame.width), (0, 0))
            for _ in range(repeats):
                writer.send(np.pad(pixels, padding, mode="edge").tobytes())
        writer.close()
        return path.read_bytes()
