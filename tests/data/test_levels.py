"""Gray pictures of more than 8 bits: scaled by percentiles when they are read, and back when samples are written."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from noisette.data import Dataset, open_source, prepare, scan
from noisette.data.decode import decode_deep
from noisette.data.entry import BadPicture
from noisette.data.input_picture import read_picture
from noisette.data.levels import Levels, measure_levels, scale_source
from noisette.data.pictures import Pictures
from noisette.data.tiff_writer import encode_tiff, write_tiff
from noisette.errors import InputError
from noisette.models.picture_model import PictureModel

from .build import encoded, noise, put


def deep(seed: int, low: float = 700, high: float = 3200, side: int = 12, dtype: type = np.uint16) -> np.ndarray:
    """A gray picture of samples in a small part of its range."""
    return np.random.default_rng(seed).uniform(low, high, (side, side)).astype(dtype)


def tiff(samples: np.ndarray) -> bytes:
    """A TIFF file of a strip, byte by byte as TIFF 6.0 says: uint16 or float32."""
    h, w = samples.shape
    kind, bits = (3, 32) if samples.dtype == np.float32 else (1, 16)
    data = samples.astype(samples.dtype.newbyteorder("<")).tobytes()
    fields = [(256, 4, w), (257, 4, h), (258, 3, bits), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1),
              (278, 4, h), (279, 4, len(data)), (339, 3, kind)]  # fmt: skip
    head = struct.pack("<2sHI", b"II", 42, 8 + len(data)) + data + struct.pack("<H", len(fields))
    return head + b"".join(struct.pack("<HHII", tag, type_, 1, value) for tag, type_, value in fields) + bytes(4)


def folder_of(root: Path, *pictures: np.ndarray, encode=tiff) -> Path:
    for i, samples in enumerate(pictures):
        put(root / f"{i:02d}.tif", encode(samples))
    return root


SETS = {
    "uint16": [deep(i) for i in range(10)],
    "float32": [deep(i, -0.3, 4.5, dtype=np.float32) for i in range(10)],
}


@pytest.mark.parametrize("kind", SETS)
@pytest.mark.parametrize("encode", [tiff, lambda s: encoded(Image.fromarray(s), "TIFF")])
def test_samples_are_read_as_they_are(kind: str, encode) -> None:
    samples = SETS[kind][0]
    found, is_short = decode_deep(encode(samples))
    assert np.array_equal(found, samples) and is_short == (kind == "uint16")


@pytest.mark.parametrize("kind", SETS)
def test_the_levels_are_percentiles_of_all_samples(kind: str, tmp_path: Path) -> None:
    source = open_source(folder_of(tmp_path / "set", *SETS[kind]))
    levels = measure_levels(source, (2.0, 97.5))
    low, high = np.percentile(np.stack(SETS[kind]).astype(np.float64), (2, 97.5))
    assert (levels.low, levels.high) == pytest.approx((low, high), rel=1e-6)
    assert levels.is_integer == (kind == "uint16")
    scaled, same = scale_source(source, (2.0, 97.5))
    assert same == levels
    for entry, samples in zip(scaled.entries, SETS[kind], strict=True):
        expected = np.clip((samples.astype(np.float64) - low) / (high - low), 0, 1) * 255
        assert np.abs(entry.read()[..., 0] - expected).max() <= 0.5 + 1e-6


def test_large_pictures_count_as_much_as_small_ones(tmp_path: Path) -> None:
    """16,384 of the samples of each, evenly spaced."""
    large, small = deep(0, 0, 1000, 400), deep(1, 3000, 4000, 128)
    source = open_source(folder_of(tmp_path / "set", large, small))
    levels = measure_levels(source, (25.0, 75.0))
    assert levels.low == pytest.approx(500, abs=20) and levels.high == pytest.approx(3500, abs=20)


@pytest.mark.parametrize("kind", SETS)
def test_levels_are_kept_and_inverted(kind: str, tmp_path: Path) -> None:
    """In data.json and in the model's config.json; from a file through the model's space back to its samples."""
    place = folder_of(tmp_path / "set", *SETS[kind])
    data = prepare(place, tmp_path / "run", percentiles=(0, 100))
    levels = data.pictures.levels
    assert levels is not None and data.pictures.mode == "L"
    assert "samples from" in " ".join(data.notes) and "(percentiles 0 and 100) are black to white" in " ".join(
        data.notes
    )
    assert Dataset.open(tmp_path / "run").pictures == data.pictures
    assert prepare(place, tmp_path / "run", percentiles=(0, 100)).pictures == data.pictures
    with pytest.raises(InputError, match="percentiles was 0,100 and is now 1,99"):
        prepare(place, tmp_path / "run", percentiles=(1, 99))
    step = (levels.high - levels.low) / 255
    subset = data.train
    for i, record in enumerate(subset.files):
        x0 = subset.x0(torch.tensor([i]))
        restored, samples = levels.restore(x0[0]), SETS[kind][int(record.name[:2])]
        assert restored.dtype == samples.dtype
        assert np.abs(restored.astype(np.float64) - samples).max() <= step / 2 + (0.5 if kind == "uint16" else 1e-6)
    model = _model(data.pictures)
    model.save_pretrained(tmp_path / "model")
    assert PictureModel.from_pretrained(tmp_path / "model").pictures.levels == levels


def _model(pictures: Pictures) -> PictureModel:
    from dataclasses import replace

    from tiny_models import tiny

    model = tiny("L", (), pictures.height, pictures.width)
    model.config = replace(model.config, pictures=pictures)
    return model


def test_pages_of_a_stack(tmp_path: Path) -> None:
    pages = [Image.fromarray(deep(i)) for i in range(4)]
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:])
    source, levels = scale_source(open_source(tmp_path / "stack.tif"), (0.0, 100.0))
    assert len(source.entries) == 4 and levels.low == min(int(deep(i).min()) for i in range(4))
    assert np.array_equal(source.entries[2].read(), levels.scale(deep(2)))


def test_other_pictures_of_the_set_are_left_out(tmp_path: Path) -> None:
    place = folder_of(tmp_path / "set", *SETS["uint16"][:3])
    put(place / "color.png", noise(0, 12, 12))
    broken = SETS["float32"][0].copy()
    broken[3, 3] = np.nan
    put(place / "nan.tif", tiff(broken))
    result = scan(place, percentiles=(0.1, 99.9))
    assert len(result.pictures) == 3 and {q.name: q.reason for q in result.quarantined} == {
        "color.png": "has 8 bits or colors, and percentiles are for gray pictures of more bits",
        "nan.tif": "holds samples that are no finite numbers",
    }
    (bad,) = scan(place).quarantined
    assert bad.name == "nan.tif" and "give --percentiles, or save it with 8 or 16 bits" in bad.reason


def test_pictures_to_edit_are_scaled_alike(tmp_path: Path) -> None:
    """A deep file by the model's levels; one of 8 bits, such as a sample, as it is."""
    levels = Levels(700, 3200, True)
    pictures = Pictures("L", 12, 12, levels=levels)
    read = read_picture(put(tmp_path / "a.tif", tiff(deep(0))), pictures).pixels
    assert np.array_equal(read[0, 0].numpy(), levels.scale(deep(0))[..., 0])
    plain = noise(0, 12, 12, 1)
    assert np.array_equal(read_picture(put(tmp_path / "b.png", plain), pictures).pixels[0, 0].numpy(), plain[..., 0])


@pytest.mark.parametrize("kind", SETS)
def test_the_tiff_is_read_by_other_programs(kind: str, tmp_path: Path) -> None:
    """By Pillow, with the samples, the record and the mark of generated pictures, and by the fields of the file."""
    samples = SETS[kind][0]
    data = encode_tiff(samples, {"seed": 3, "low": 1.5})
    (tmp_path / "a.tif").write_bytes(data)
    with Image.open(tmp_path / "a.tif") as image:
        assert np.array_equal(np.asarray(image), samples)
        tags = image.tag_v2
        assert json.loads(tags[270]) == {"seed": 3, "low": 1.5} and tags[305] == "noisette"
        assert b"digitalsourcetype/trainedAlgorithmicMedia" in bytes(tags[700])
    assert b"xmp:CreatorTool='noisette'" in data[:4096]


def test_our_tiffs_are_no_pictures_of_their_own(tmp_path: Path) -> None:
    """The copy of a PNG is left out; without the PNG it is a generated picture like any other."""
    write_tiff(tmp_path / "set/a.tif", deep(0), {})
    put(tmp_path / "set/a.png", noise(0, 12, 12, 1))
    put(tmp_path / "set/b.tif", tiff(deep(1)))
    assert [e.name for e in open_source(tmp_path / "set").entries] == ["a.png", "b.tif"]
    (tmp_path / "set/a.png").unlink()
    source = open_source(tmp_path / "set")
    assert [e.name for e in source.entries] == ["b.tif"]
    assert "pictures generated by noisette, left out: 1" in source.notes


@pytest.mark.parametrize(
    ("percentiles", "words"),
    [((5, 5), "increasing, got 5 and 5"), ((-1, 50), "from 0 to 100"), ((50, 101), "got 50 and 101")],
)
def test_wrong_percentiles(percentiles, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        scan(folder_of(tmp_path / "set", deep(0)), percentiles=tuple(map(float, percentiles)))


def test_sets_without_levels(tmp_path: Path) -> None:
    put(tmp_path / "set/a.png", noise(0, 12, 12))
    with pytest.raises(InputError, match="has no gray pictures of 9 to 16 bits or of floating-point numbers"):
        scan(tmp_path / "set", percentiles=(0.0, 100.0))
    endless = folder_of(tmp_path / "endless", np.full((9, 9), np.nan, np.float32))
    with pytest.raises(InputError, match=r"leave them out \(.+ holds samples that are no finite numbers\)"):
        scan(endless, percentiles=(0.0, 100.0))
    flat = folder_of(tmp_path / "flat", np.full((9, 9), 5, np.uint16))
    with pytest.raises(InputError, match="at both percentiles are 5: give percentiles that are further apart"):
        scan(flat, percentiles=(0.0, 100.0))
    with pytest.raises(InputError, match="the first below the second, got"):
        Levels(3.0, float("nan"), False)
    with pytest.raises(InputError, match="levels of whole numbers must be 0 to 65535"):
        Levels(0.0, 1e6, True)
    with pytest.raises(InputError, match="pictures with levels have the mode L, got RGB"):
        Pictures("RGB", levels=Levels(0.0, 1.0, False))
    with pytest.raises(BadPicture, match="declares a transparent value"):
        decode_deep(encoded(Image.fromarray(deep(0)), "PNG", transparency=900))
