"""Sources that are in memory: a torch tensor or NumPy array of pictures, with labels, attributes and texts."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..shapes import UInt8Images
from .arrays import ArrayEntries
from .entry import AttributeValue, Source

Labels = Sequence[str | int | None] | np.ndarray | Tensor
Attributes = Mapping[str, Sequence[float | str | None] | np.ndarray | Tensor] | Sequence[Mapping[str, float | str]]
VALUE_RANGES = ((0, 1), (-1, 1))
RANGE_TOLERANCE = 1e-3  # of the range's width, by which float values may lie outside


def source_from_array(
    pixels: Tensor | np.ndarray,
    labels: Labels | None = None,
    attributes: Attributes | None = None,
    texts: Sequence[str | None] | None = None,
    value_range: tuple[float, float] | None = None,
) -> Source:
    """A source of N pictures for `prepare`.

    pixels: (N, C, H, W), (N, H, W, C) or, in gray, (N, H, W), with C of 1 (L), 2 (LA), 3 (RGB) or 4 (RGBA, straight
    alpha). uint8; or floats with value_range=(0, 1) or (-1, 1), which are rounded to 8 bits.
    labels: a name, an integer (negative: none) or None per picture.
    attributes: {name: N values} or N dicts; a value is a finite number, a word, or None or NaN for unknown.
    texts: a caption or None per picture.
    Raises InputError for other types, shapes, values and lengths.
    """
    images = _to_nhwc(_to_uint8(_to_numpy(pixels, "pixels"), value_range, "pixels"), "pixels")
    n = len(images)
    names = [None] * n if labels is None else [_label(v, i) for i, v in enumerate(_column(labels, "labels", n))]
    rows = [{} for _ in range(n)] if attributes is None else _attribute_rows(attributes, n)
    captions = [None] * n if texts is None else _column(texts, "texts", n)
    words = [_text(caption, i) for i, caption in enumerate(captions)]
    return Source("an array in memory", "array", ArrayEntries((images,), names, rows, words))


def to_pixels(
    pictures: Tensor | np.ndarray, value_range: tuple[float, float] | None = None, name: str = "pixels"
) -> UInt8Images:
    """Pictures in memory as a uint8 tensor (N, C, H, W), 0 to 255, straight alpha, on the CPU.

    pictures, value_range: as in `source_from_array`. name: of the argument, for messages.
    Raises InputError for other shapes and types, floats without a range, and values outside it.
    """
    nhwc = _to_nhwc(_to_uint8(_to_numpy(pictures, name), value_range, name), name)
    return torch.from_numpy(np.ascontiguousarray(nhwc.transpose(0, 3, 1, 2)))


def _to_numpy(values: object, name: str) -> np.ndarray:
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        return values.float().numpy() if values.dtype == torch.bfloat16 else values.numpy()
    if not isinstance(values, np.ndarray):
        raise InputError(f"{name} must be a torch tensor or a NumPy array, got {type(values).__name__}")
    return values


def _to_uint8(array: np.ndarray, value_range: tuple[float, float] | None, name: str) -> np.ndarray:
    if array.dtype == np.uint8:
        if value_range is not None:
            raise InputError(f"value_range is for floats, and {name} are uint8, 0 to 255: leave it out")
        return array
    if array.dtype.kind != "f":
        raise InputError(f"{name} must be uint8, or floats with value_range, got {array.dtype}")
    if value_range is None:
        raise InputError(f"{name} are {array.dtype}: give value_range=(0, 1) or value_range=(-1, 1)")
    if tuple(value_range) not in VALUE_RANGES:
        raise InputError(f"value_range must be (0, 1) or (-1, 1), got {value_range}")
    low, high = value_range
    slack = RANGE_TOLERANCE * (high - low)
    if array.size and not (array.min() >= low - slack and array.max() <= high + slack):  # also for NaN
        raise InputError(
            f"{name} must lie between {low} and {high} as value_range says, got {array.min():g} to {array.max():g}"
        )
    scaled = (array.astype(np.float64) - low) / (high - low) * 255
    return np.rint(scaled).clip(0, 255).astype(np.uint8)


def _to_nhwc(array: np.ndarray, name: str) -> np.ndarray:
    shape = "×".join(map(str, array.shape)) or "a single number"
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or 0 in array.shape:
        raise InputError(f"{name} must be N×C×H×W, N×H×W×C or N×H×W, no size 0, got {shape}")
    first, last = array.shape[1] in (1, 2, 3, 4), array.shape[3] in (1, 2, 3, 4)
    if first and last:
        raise InputError(f"{name} of shape {shape} can be read as N×C×H×W and as N×H×W×C: give larger pictures")
    if not first and not last:
        raise InputError(f"{name} must have 1 (L), 2 (LA), 3 (RGB) or 4 (RGBA) channels, got shape {shape}")
    return array if last else array.transpose(0, 2, 3, 1)


def _column(values: object, name: str, n: int) -> list[object]:
    """The values of a column as Python objects, one per picture."""
    if isinstance(values, Tensor | np.ndarray):
        if values.ndim != 1:
            raise InputError(f"{name} must have one dimension, got shape {'×'.join(map(str, values.shape))}")
        values = values.tolist()
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise InputError(f"{name} must be a sequence with one value per picture, got {type(values).__name__}")
    if len(values) != n:
        raise InputError(f"{name} has {len(values)} values for {n} pictures: give one per picture")
    return [v.item() if isinstance(v, np.generic | Tensor) else v for v in values]


def _label(value: object, i: int) -> str | None:
    if isinstance(value, str):
        return value or None
    if isinstance(value, int | float) and math.isfinite(value) and value == int(value):
        return str(int(value)) if value >= 0 else None
    if value is None:
        return None
    raise InputError(f"labels[{i}] must be a name, a whole number or None, got {value!r}")


def _text(value: object, i: int) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    raise InputError(f"texts[{i}] must be a string or None, got {value!r}")


def _attribute_rows(attributes: Attributes, n: int) -> list[dict[str, AttributeValue]]:
    if isinstance(attributes, Mapping):
        columns = {name: _column(values, f"attributes[{name!r}]", n) for name, values in attributes.items()}
        dicts: list[Mapping[str, object]] = [{name: column[i] for name, column in columns.items()} for i in range(n)]
    else:
        dicts = [*attributes]
        if len(dicts) != n:
            raise InputError(f"attributes has {len(dicts)} dicts for {n} pictures: give one per picture")
    rows: list[dict[str, AttributeValue]] = []
    for i, row in enumerate(dicts):
        if not isinstance(row, Mapping):
            raise InputError(f"attributes[{i}] must be a dict of values, got {row!r}")
        values = {name: _attribute(value, f"attribute {name!r} of picture {i}") for name, value in row.items()}
        rows.append({name: value for name, value in values.items() if value is not None})
    return rows


def _attribute(value: object, where: str) -> AttributeValue | None:
    """A number or word; None for an unknown value."""
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, int | float) and not math.isinf(value):
        return None if math.isnan(value) else float(value)
    raise InputError(f"{where} must be a finite number, a word or None, got {value!r}")
