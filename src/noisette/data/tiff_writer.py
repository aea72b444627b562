"""Writing gray pictures of 16-bit or floating-point samples as TIFF, with the mark of generated pictures."""

import json
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import Shaped
from PIL import Image, TiffImagePlugin

from ..io.files import atomic_write
from .origin_mark import Origin, xmp_packet
from .png import SOFTWARE

DESCRIPTION_TAG, SOFTWARE_TAG, XMP_TAG = 270, 305, 700
BYTE_TYPE = 1


def encode_tiff(
    samples: Shaped[np.ndarray, "h w"], metadata: Mapping[str, object], origin: Origin = "generated"
) -> bytes:
    """A TIFF file of uint16 or float32 samples, uncompressed. metadata: JSON in its description, kept short."""
    assert samples.dtype in (np.uint16, np.float32)
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[DESCRIPTION_TAG], tags[SOFTWARE_TAG] = json.dumps(metadata), SOFTWARE
    if packet := xmp_packet(origin):
        tags[XMP_TAG], tags.tagtype[XMP_TAG] = packet.encode(), BYTE_TYPE
    file = BytesIO()
    Image.fromarray(np.ascontiguousarray(samples)).save(file, "TIFF", tiffinfo=tags)
    return file.getvalue()


def write_tiff(path: Path, samples: Shaped[np.ndarray, "h w"], metadata: Mapping[str, object]) -> None:
    """Write a TIFF file atomically. Arguments as in `encode_tiff`."""
    atomic_write(path, encode_tiff(samples, metadata))
