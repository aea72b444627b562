"""Pairs are read as they were meant, or refused by name."""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from masked import folder
from noisette.data import Dataset, prepare
from noisette.data.masks import mask_of
from noisette.errors import InputError


@pytest.fixture
def masked(tmp_path: Path) -> Path:
    return folder(tmp_path / "set")


def truth(root: Path, name: str) -> np.ndarray:
    return np.asarray(Image.open(root / "masks" / f"{name}.png")) > 0


def assert_paired(data: Dataset, originals: Path) -> None:
    """Every picture has the mask of its own number."""
    seen = 0
    for side in (data.train, data.held_out):
        rows = torch.arange(len(side))
        layers = side.layers(rows)
        assert layers.shape == (len(side), 4, 8, 8)
        for name, one in zip(side.names(rows), layers, strict=True):
            number = Path(name).stem
            assert np.array_equal(one[3].numpy() > 0, truth(originals, number))
            picture = np.asarray(Image.open(originals / "images" / f"{number}.png")).transpose(2, 0, 1)
            assert np.array_equal(((one[:3] + 1) * 127.5).round().numpy(), picture)
            seen += 1
    assert seen == 24


def beside(root: Path, to: Path) -> Path:
    """NAME.png and NAME_mask.png."""
    to.mkdir()
    for picture in (root / "images").iterdir():
        shutil.copy(picture, to / picture.name)
        shutil.copy(root / "masks" / picture.name, to / f"{picture.stem}_mask.png")
    return to


def tabled(root: Path, to: Path) -> Path:
    """A column of the metadata; the masks have other names."""
    to.mkdir()
    lines = ["file_name,mask,size"]
    for picture in sorted((root / "images").iterdir()):
        shutil.copy(picture, to / picture.name)
        shutil.copy(root / "masks" / picture.name, to / f"truth{picture.stem}.png")
        lines.append(f"{picture.name},truth{picture.stem}.png,3")
    (to / "metadata.csv").write_text("\n".join(lines))
    return to


def packed(root: Path, to: Path) -> Path:
    with zipfile.ZipFile(to.with_suffix(".zip"), "w") as archive:
        for path in sorted(root.rglob("*.png")):
            archive.write(path, f"top/{path.relative_to(root).as_posix()}")
    return to.with_suffix(".zip")


@pytest.mark.parametrize("way", [lambda root, to: root, beside, tabled, packed])
def test_pairs_are_found(masked: Path, tmp_path: Path, way) -> None:
    source = way(masked, tmp_path / "other")
    data = prepare(source, tmp_path / "run", masks=True)
    assert_paired(data, masked)
    assert data.pictures.labels == () and data.pictures.mode == "RGB"
    assert 0.3 < data.deviation("mask") < 1 and data.deviation("picture") == data.sigma_data
    again = prepare(source, tmp_path / "run", masks=True)  # nothing has changed, and it knows
    assert np.array_equal(again.train.layers(torch.arange(2)), data.train.layers(torch.arange(2)))


def test_a_mask_is_shrunk_as_its_picture_is(masked: Path, tmp_path: Path) -> None:
    large = folder(tmp_path / "large", 6, side=32)
    data = prepare(large, tmp_path / "run", masks=True, size=8)
    side = data.train
    for name, one in zip(side.names(torch.arange(len(side))), side.layers(torch.arange(len(side))), strict=True):
        block = truth(large, Path(name).stem).reshape(8, 4, 8, 4).mean((1, 3))
        np.testing.assert_allclose((one[3].numpy() + 1) / 2, block, atol=1 / 255)


def test_around_a_picture_with_alpha_nothing_is_found(tmp_path: Path) -> None:
    """A tall picture made square: what is put at its sides is clear, and outside."""
    root = tmp_path / "set"
    for i in range(4):
        (root / "images").mkdir(parents=True, exist_ok=True), (root / "masks").mkdir(exist_ok=True)
        pixels = np.full((16, 8, 4), 40 + 20 * i, np.uint8)
        pixels[0, 0, 3] = 0
        Image.fromarray(pixels).save(root / "images" / f"{i}.png")
        mask = np.zeros((16, 8), np.uint8)
        mask[4 * i :] = 255
        Image.fromarray(mask).save(root / "masks" / f"{i}.png")
    data = prepare(root, tmp_path / "run", masks=True, size=16)
    layers = data.train.layers(torch.arange(len(data.train)))
    assert layers.shape[1] == 3 and (layers[:, -1, :, :4] == -1).all() and (layers[:, -1, :, 12:] == -1).all()
    assert (layers[:, -1, 15, 4:12] == 1).all()


def test_what_masks_may_be() -> None:
    inside = np.array([[0, 1], [1, 0]], np.uint8)[..., None]
    white = 255 * inside
    cut_out = np.concatenate([np.full((2, 2, 3), 90, np.uint8), white], 2)
    for stored in (white, inside, white.repeat(3, 2), cut_out):
        assert np.array_equal(mask_of(stored), white)
    soft = np.array([[0, 100], [200, 255]], np.uint8)[..., None]
    assert np.array_equal(mask_of(soft), soft)


def spoil(what: str, root: Path) -> None:
    first = root / "masks" / "03.png"
    if what == "missing":
        first.unlink()
    elif what == "orphan":
        shutil.copy(first, root / "masks" / "99.png")
    elif what == "size":
        Image.open(first).resize((9, 8)).save(first)
    elif what == "twice":
        shutil.copy(first, root / "masks" / "03.bmp")
    elif what == "dark":
        for path in (root / "masks").iterdir():
            Image.fromarray(np.asarray(Image.open(path)) // 85).save(path)
    elif what == "none":
        shutil.rmtree(root / "masks")
    elif what == "all":
        for path in (root / "masks").iterdir():
            Image.new("L", (8, 8), 255).save(path)
    elif what == "table":
        (root / "metadata.jsonl").write_text(json.dumps({"file_name": "images/00.png", "mask": "masks/nn.png"}))
    elif what == "empty table":
        (root / "metadata.jsonl").write_text(json.dumps({"file_name": "images/00.png"}))


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("missing", "1 pictures have no mask in .*: images/03.png"),
        ("orphan", "1 masks have no picture in .*: masks/99.png"),
        ("size", r"1 masks are of another size than their pictures in .*: images/03.png \(8×8, its mask 9×8\)"),
        ("twice", "two masks of one picture, masks/03.bmp and masks/03.png"),
        ("dark", "no mask of .* has a white pixel, the brightest is 3 of 255"),
        ("none", "holds no masks: put masks/NAME.png beside images/NAME.png"),
        ("all", "one colour throughout"),
        ("table", "1 masks are not there in .*: masks/nn.png"),
        ("empty table", "1 pictures have no mask in the metadata in .*: images/00.png"),
    ],
)
def test_pairs_that_are_none(masked: Path, tmp_path: Path, what: str, said: str) -> None:
    spoil(what, masked)
    with pytest.raises(InputError, match=said):
        prepare(masked, tmp_path / "run", masks=True)
    assert not (tmp_path / "run" / "data.json").exists()


def test_a_mask_that_changes_is_noticed(masked: Path, tmp_path: Path) -> None:
    prepare(masked, tmp_path / "run", masks=True)
    Image.new("L", (8, 8), 255).save(masked / "masks" / "05.png")
    with pytest.raises(InputError, match=r"1 changed \(masks/05.png\)"):
        prepare(masked, tmp_path / "run", masks=True)
    with pytest.raises(InputError, match="masks was True and is now False"):
        prepare(masked, tmp_path / "run")


def test_damaged_masks_are_made_again(masked: Path, tmp_path: Path) -> None:
    before = prepare(masked, tmp_path / "run", masks=True)
    path = tmp_path / "run" / "data" / "masks.npy"
    kept = path.read_bytes()
    path.write_bytes(kept[:-1] + b"\x07")
    with pytest.raises(InputError, match=r"masks.npy is not what data.json describes"):
        Dataset.open(tmp_path / "run")
    prepare(masked, tmp_path / "run", masks=True)
    assert path.read_bytes() == kept and before.manifest.masks_sha256


def test_one_picture_with_two_masks_is_two_pictures_on_one_side(masked: Path, tmp_path: Path) -> None:
    shutil.copy(masked / "images" / "00.png", masked / "images" / "30.png")
    shutil.copy(masked / "masks" / "01.png", masked / "masks" / "30.png")
    data = prepare(masked, tmp_path / "run", masks=True)
    two = [f for f in data.manifest.files if Path(f.name).stem in ("00", "30")]
    assert two[0].row != two[1].row and two[0].split == two[1].split and two[0].group == two[1].group
