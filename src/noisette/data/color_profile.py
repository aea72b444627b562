"""Conversion of pictures from the color space of their ICC profile to sRGB, in which all models work."""

from functools import lru_cache
from io import BytesIO

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageCms

from .entry import Pixels

MODE_OF_SPACE = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # Pillow's mode of a profile's color space
MAX_ROUNDING = 2  # levels of 255; a conversion that changes less is one from sRGB to itself
CACHED_PROFILES = 16  # a set has few different ones


def to_srgb(pixels: Pixels, profile: bytes) -> tuple[Pixels, str | None]:
    """Pixels (h, w, c) in sRGB, and the name of the profile; None: nothing was changed.

    A profile that is damaged, of another number of channels, or sRGB itself changes nothing. Alpha is kept.
    """
    mode = "L" if pixels.shape[2] <= 2 else "RGB"
    found = _open_transform(profile, mode)
    if found is None:
        return pixels, None
    transform, name = found
    channels = 1 if mode == "L" else 3
    color = np.ascontiguousarray(pixels[..., :channels])
    converted = _apply(transform, color[..., 0] if mode == "L" else color, mode)[..., :channels]
    if int(np.abs(converted.astype(np.int16) - color).max()) <= MAX_ROUNDING:
        return pixels, None
    return np.concatenate([converted, pixels[..., channels:]], axis=2), name


def fits_mode(profile: bytes, mode: str) -> bool:
    """Whether a profile can be used for pictures of a mode: "L", "RGB" or "CMYK"."""
    return _open_transform(profile, mode) is not None


def cmyk_to_srgb(image: Image.Image, pixels: Pixels, profile: bytes) -> tuple[Pixels, str | None]:
    """The pixels of a CMYK image in sRGB, and the name of its profile.

    pixels: the image as RGB without a profile, which is returned, with None, if the profile cannot be used.
    """
    found = _open_transform(profile, "CMYK")
    if found is None:
        return pixels, None
    transform, name = found
    return _apply(transform, np.asarray(image), "CMYK"), name


def _apply(transform: ImageCms.ImageCmsTransform, values: np.ndarray, mode: str) -> UInt8[np.ndarray, "h w 3"]:
    image = Image.frombytes(mode, (values.shape[1], values.shape[0]), np.ascontiguousarray(values).tobytes())
    return np.asarray(transform.apply(image))


@lru_cache(maxsize=CACHED_PROFILES)
def _open_transform(profile: bytes, mode: str) -> tuple[ImageCms.ImageCmsTransform, str] | None:
    """The transform from a profile to sRGB, and the profile's name. None: it is not one for pictures of `mode`."""
    try:
        opened = ImageCms.ImageCmsProfile(BytesIO(profile))
        if MODE_OF_SPACE.get(opened.profile.xcolor_space.strip()) != mode:
            return None
        transform = ImageCms.buildTransform(
            opened,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        name = (opened.profile.profile_description or "").strip("\0 \n") or "without a name"
    except Exception:  # littlecms and Pillow raise several types for damaged profiles
        return None
    return transform, name if name.isprintable() else repr(name)[1:-1]
