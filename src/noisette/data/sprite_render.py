"""The picture of a frame of an Aseprite file: its cels over each other, by opacity and blend mode.

A blend mode gives a color B(Cb, Cs). Source over backdrop is computed with Cs and with B; the result goes from the
first to the second by αb, and from there by αb αs, as in Aseprite. After each layer values are rounded to 8 bits;
Aseprite's integers differ by 1, for a few percent of pixels with low alpha by up to 4.
"""

import zlib
from collections.abc import Callable

import numpy as np
from jaxtyping import Float32, UInt8

from .aseprite import CHANNELS, Cel, Colors, Layer, Sprite
from .entry import BadPicture

CHUNK_PIXELS = 2**18  # that are blended at a time

Blend = Callable[[np.ndarray, np.ndarray], np.ndarray]
RGBA = UInt8[np.ndarray, "h w 4"]


def _overlay(b: np.ndarray, s: np.ndarray) -> np.ndarray:
    return np.where(b <= 0.5, 2 * b * s, 1 - 2 * (1 - b) * (1 - s))


def _divide(b: np.ndarray, s: np.ndarray, at_zero: float = 1.0) -> np.ndarray:
    """b / s, at most 1; where s is 0: 0 for b = 0, else 1."""
    quotient = np.divide(b, s, out=np.full_like(b, at_zero), where=s > 0)
    return np.where(b <= 0, 0, np.minimum(quotient, 1))


def _soft_light(b: np.ndarray, s: np.ndarray) -> np.ndarray:
    root = np.where(b <= 0.25, ((16 * b - 12) * b + 4) * b, np.sqrt(b))
    return np.where(s <= 0.5, b - (1 - 2 * s) * b * (1 - b), b + (2 * s - 1) * (root - b))


BLEND_MODES: dict[int, Blend] = {  # of Aseprite; the backdrop b and the source s are 0 to 1
    1: lambda b, s: b * s,  # multiply
    2: lambda b, s: b + s - b * s,  # screen
    3: _overlay,
    4: np.minimum,  # darken
    5: np.maximum,  # lighten
    6: lambda b, s: _divide(b, 1 - s),  # color dodge
    7: lambda b, s: 1 - _divide(1 - b, s),  # color burn
    8: lambda b, s: _overlay(s, b),  # hard light
    9: _soft_light,
    10: lambda b, s: np.abs(b - s),  # difference
    11: lambda b, s: b + s - 2 * b * s,  # exclusion
    16: lambda b, s: np.minimum(b + s, 1),  # addition
    17: lambda b, s: np.maximum(b - s, 0),  # subtract
    18: _divide,
}
UNREAD_MODES = {12: "hue", 13: "saturation", 14: "color", 15: "luminosity"}


def render_frame(sprite: Sprite, number: int) -> RGBA:
    """A frame, with straight alpha. Raises BadPicture if a cel is damaged or has a blend mode that is not read."""
    canvas = np.zeros((sprite.height, sprite.width, 4), np.uint8)
    frame = sprite.frames[number]
    for cel in frame.cels:
        layer = sprite.layers[cel.layer]
        if layer.is_drawn and cel.width and cel.height:
            _draw(canvas, _unpack(sprite, cel, frame.palette, layer), cel, layer)
    canvas[canvas[..., 3] == 0] = 0
    return canvas


def _unpack(sprite: Sprite, cel: Cel, palette: Colors, layer: Layer) -> RGBA:
    """The pixels of a cel. Nothing beyond its size is unpacked."""
    size, data = cel.width * cel.height * CHANNELS[sprite.depth], cel.data
    if cel.is_packed:
        try:
            data = zlib.decompressobj().decompress(data, size)
        except zlib.error as error:
            raise BadPicture("is damaged: a cel cannot be unpacked") from error
    if len(data) < size:
        raise BadPicture("is damaged: a cel has too few pixels")
    values = np.frombuffer(data, np.uint8, size).reshape(cel.height, cel.width, -1)
    if sprite.depth == 32:
        return values
    if sprite.depth == 16:
        return values[..., [0, 0, 0, 1]]
    colors = palette.copy()
    if not layer.is_background:
        colors[sprite.clear_index] = 0
    return colors[values[..., 0]]


def _draw(canvas: RGBA, pixels: UInt8[np.ndarray, "height width 4"], cel: Cel, layer: Layer) -> None:
    """Draw a cel on the canvas, where it is on it."""
    top, left = max(cel.y, 0), max(cel.x, 0)
    bottom, right = min(cel.y + cel.height, canvas.shape[0]), min(cel.x + cel.width, canvas.shape[1])
    if bottom <= top or right <= left:
        return
    if layer.blend_mode in UNREAD_MODES or (layer.blend_mode and layer.blend_mode not in BLEND_MODES):
        name = UNREAD_MODES.get(layer.blend_mode, f"number {layer.blend_mode}")
        raise BadPicture(f"has a layer with the blend mode {name}, which is not read: merge it with the layer below")
    mode, opacity = BLEND_MODES.get(layer.blend_mode), layer.opacity / 255 * cel.opacity / 255
    rows = max(1, CHUNK_PIXELS // (right - left))
    for first in range(top, bottom, rows):
        last = min(first + rows, bottom)
        source = pixels[first - cel.y : last - cel.y, left - cel.x : right - cel.x]
        part = canvas[first:last, left:right]
        part[:] = _blend(part, source, opacity, mode)


def _blend(backdrop: RGBA, source: RGBA, opacity: float, mode: Blend | None) -> RGBA:
    below, above = (pixels.astype(np.float32) / 255 for pixels in (backdrop, source))
    (cb, ab), (cs, alpha) = _split(below), _split(above)
    alpha = alpha * np.float32(opacity)
    total = alpha + ab - alpha * ab

    def over(color: np.ndarray) -> np.ndarray:
        return np.divide(color * alpha + cb * ab * (1 - alpha), total, out=np.zeros_like(cb), where=total > 0)

    mixed = over(cs)
    if mode is not None:
        blended = over(mode(cb, cs))
        mixed = mixed + (blended - mixed) * ab
        mixed = mixed + (blended - mixed) * ab * alpha
    return np.rint(np.concatenate([mixed, total], 2).clip(0, 1) * 255).astype(np.uint8)


def _split(pixels: Float32[np.ndarray, "h w 4"]) -> tuple[np.ndarray, np.ndarray]:
    """Color and alpha, each with an axis of channels."""
    return pixels[..., :3], pixels[..., 3:]
