"""Pictures in memory as a source: the same data set as from a file, and refusals that say what would be right."""

import inspect
from pathlib import Path

import numpy as np
import pytest
import torch

from noisette.data import prepare
from noisette.data.in_memory import source_from_array
from noisette.errors import InputError

RNG = np.random.default_rng(0)
unchecked = inspect.unwrap(source_from_array)  # without the tests' checks of annotations, as users call it
NHWC = RNG.integers(0, 256, (12, 8, 10, 3), dtype=np.uint8)


def pixels(source) -> np.ndarray:
    return np.stack([entry.read() for entry in source.entries])


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_layouts_and_kinds_of_arrays_are_the_same_pictures(channels: int) -> None:
    array = RNG.integers(0, 256, (5, 8, 9, channels), dtype=np.uint8)
    chw = array.transpose(0, 3, 1, 2)
    for same in (array, chw, torch.from_numpy(array), torch.from_numpy(chw.copy())):
        assert np.array_equal(pixels(source_from_array(same)), array)
    if channels == 1:
        assert np.array_equal(pixels(source_from_array(array[..., 0])), array)


@pytest.mark.parametrize("value_range", [(0, 1), (-1, 1), (0.0, 1.0)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_floats_with_their_range_are_the_bytes_that_they_came_from(value_range, dtype) -> None:
    low, high = value_range
    floats = (NHWC / 255 * (high - low) + low).astype(dtype)
    assert np.array_equal(pixels(source_from_array(floats, value_range=value_range)), NHWC)
    if dtype is np.float32:
        assert np.array_equal(pixels(source_from_array(torch.from_numpy(floats), value_range=value_range)), NHWC)


def test_the_data_set_is_that_of_an_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", images=NHWC, labels=np.arange(12) % 3)
    from_file = prepare(tmp_path / "set.npz", tmp_path / "file")
    from_memory = prepare(source_from_array(NHWC, labels=np.arange(12) % 3), tmp_path / "memory")
    assert (tmp_path / "file/data/pixels.npy").read_bytes() == (tmp_path / "memory/data/pixels.npy").read_bytes()
    assert from_memory.manifest.files == from_file.manifest.files
    assert from_memory.pictures == from_file.pictures and from_memory.sigma_data == from_file.sigma_data


def test_labels_attributes_and_texts() -> None:
    n = len(NHWC)
    source = unchecked(
        NHWC,
        labels=["cat", None, 3, "", -1, np.int64(2), *["dog"] * (n - 6)],
        attributes={"hue": [0.5, None, float("nan"), 2, *[1.0] * (n - 4)], "shape": ["round"] * n},
        texts=["a cat", None, *["a dog"] * (n - 2)],
    )
    assert [e.label for e in source.entries[:7]] == ["cat", None, "3", None, None, "2", "dog"]
    assert [dict(e.attributes) for e in source.entries[:4]] == [
        {"hue": 0.5, "shape": "round"}, {"shape": "round"}, {"shape": "round"}, {"hue": 2.0, "shape": "round"},
    ]  # fmt: skip
    assert [e.text for e in source.entries[:3]] == ["a cat", None, "a dog"]
    rows = [{"hue": float(i)} for i in range(n)]
    assert [e.attributes["hue"] for e in source_from_array(NHWC, attributes=rows).entries] == list(range(n))
    for labels in (torch.arange(n), np.arange(n), list(range(n)), np.array([str(i) for i in range(n)])):
        assert [e.label for e in source_from_array(NHWC, labels=labels).entries] == [str(i) for i in range(n)]


FLOATS = NHWC.astype(np.float32) / 255


@pytest.mark.parametrize(
    ("array", "options", "message"),
    [
        (FLOATS, {}, r"pixels are float32: give value_range=\(0, 1\) or value_range=\(-1, 1\)"),
        (FLOATS, {"value_range": (0, 255)}, r"value_range must be \(0, 1\) or \(-1, 1\), got \(0, 255\)"),
        (FLOATS * 255, {"value_range": (0, 1)}, r"must lie between 0 and 1 .* got 0 to 255"),
        (FLOATS - 0.5, {"value_range": (0, 1)}, "must lie between 0 and 1"),
        (np.where(FLOATS > 0.9, np.nan, FLOATS), {"value_range": (0, 1)}, "must lie between 0 and 1"),
        (NHWC, {"value_range": (0, 1)}, "uint8, 0 to 255: leave it out"),
        (NHWC.astype(np.int64), {}, "uint8, or floats with value_range, got int64"),
        (NHWC[0, 0], {}, "pixels must be N×C×H×W"),
        (NHWC[:0], {}, "no size 0"),
        (RNG.integers(0, 9, (4, 8, 8, 5), dtype=np.uint8), {}, "1 .L., 2 .LA., 3 .RGB. or 4 .RGBA. channels"),
        (RNG.integers(0, 9, (4, 3, 8, 4), dtype=np.uint8), {}, "can be read as N×C×H×W and as N×H×W×C"),
        ([[1]], {}, "torch tensor or a NumPy array, got list"),
        (NHWC, {"labels": ["a"] * 11}, "labels has 11 values for 12 pictures"),
        (NHWC, {"labels": "a" * 12}, "labels must be a sequence"),
        (NHWC, {"labels": [0.5] * 12}, r"labels\[0\] must be a name, a whole number or None, got 0.5"),
        (NHWC, {"labels": np.eye(12)}, "labels must have one dimension"),
        (NHWC, {"attributes": {"hue": [1.0]}}, r"attributes\['hue'\] has 1 values for 12 pictures"),
        (NHWC, {"attributes": [{}]}, "attributes has 1 dicts for 12 pictures"),
        (NHWC, {"attributes": {"hue": [float("inf")] * 12}}, "attribute 'hue' of picture 0 must be a finite number"),
        (NHWC, {"texts": ["a"]}, "texts has 1 values for 12 pictures"),
        (NHWC, {"texts": [1] * 12}, r"texts\[0\] must be a string or None, got 1"),
    ],
)  # fmt: skip
def test_what_cannot_be_used(array, options, message: str) -> None:
    with pytest.raises(InputError, match=message):
        unchecked(array, **options)
