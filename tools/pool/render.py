"""Pictures at several sizes: rendered large, cropped to what is visible, made square, averaged by area."""

import io

import numpy as np
from PIL import Image
from resvg_py import svg_to_bytes

SIZES = (16, 32, 64)
SCALE = 4  # SVGs are rendered at this multiple of the largest size
MIN_VISIBLE = 12  # alpha above which a pixel counts as visible


def render(data: str | bytes) -> dict[int, np.ndarray] | None:
    """RGBA pixels (side, side, 4) uint8 for each of SIZES; None for a picture that cannot be rendered or is empty."""
    side = SCALE * max(SIZES)
    try:
        if isinstance(data, str):
            data = bytes(svg_to_bytes(svg_string=data, width=side, height=side, dpi=96, skip_system_fonts=True))
        image = Image.open(io.BytesIO(data)).convert("RGBA")
    except (ValueError, OSError, RuntimeError):
        return None
    alpha = image.getchannel("A").point(lambda a: 255 * (a > MIN_VISIBLE))
    box = alpha.getbbox()
    if box is None or min(box[2] - box[0], box[3] - box[1]) < 2:
        return None
    image = _square(image.crop(box))
    return {size: np.asarray(_resize(image, size)) for size in SIZES}


def _square(image: Image.Image) -> Image.Image:
    """The picture in the middle of a transparent square."""
    side = max(image.size)
    square = Image.new("RGBA", (side, side))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square


def _resize(image: Image.Image, size: int) -> Image.Image:
    """Area averages with premultiplied alpha; a smaller picture is enlarged by a whole factor, its pixels repeated."""
    if image.width > size:
        return image.convert("RGBa").resize((size, size), Image.Resampling.BOX).convert("RGBA")
    factor = size // image.width
    large = image.resize((factor * image.width,) * 2, Image.Resampling.NEAREST)
    canvas = Image.new("RGBA", (size, size))
    canvas.paste(large, ((size - large.width) // 2,) * 2)
    return canvas
