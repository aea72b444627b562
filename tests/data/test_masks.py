"""Pairs are read as they were meant, or refused by name."""

import itertools
import json
import re
import shlex
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from masked import folder
from noisette.data import Dataset, prepare
from noisette.data.mask_values import MaskSurvey, parse_mask_value, read_mask
from noisette.errors import InputError

from .build import encoded, put


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
        layers = side.images_and_masks(rows)
        assert layers.shape == (len(side), 4, 8, 8)
        for name, one in zip(side.names(rows), layers, strict=True):
            number = re.sub(r"\D", "", Path(name).stem)
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
    assert 0.3 < data.layer_std("mask") < 1 and data.layer_std("picture") == data.sigma_data
    again = prepare(source, tmp_path / "run", masks=True)  # nothing has changed, and it knows
    assert np.array_equal(again.train.images_and_masks(torch.arange(2)), data.train.images_and_masks(torch.arange(2)))


def test_a_mask_is_shrunk_as_its_picture_is(masked: Path, tmp_path: Path) -> None:
    large = folder(tmp_path / "large", 6, side=32)
    data = prepare(large, tmp_path / "run", masks=True, size=8)
    side = data.train
    for name, one in zip(
        side.names(torch.arange(len(side))), side.images_and_masks(torch.arange(len(side))), strict=True
    ):
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
    layers = data.train.images_and_masks(torch.arange(len(data.train)))
    assert layers.shape[1] == 3 and (layers[:, -1, :, :4] == -1).all() and (layers[:, -1, :, 12:] == -1).all()
    assert (layers[:, -1, 15, 4:12] == 1).all()


def as_read(pixels: np.ndarray) -> np.ndarray:
    """The mask of a set of one."""
    survey, mask = MaskSurvey(), read_mask(pixels)
    survey.add("it", pixels.shape[:2], mask)
    return survey.read("here").to_pixels(mask)


def test_what_masks_may_be() -> None:
    inside = np.array([[0, 1], [1, 0]], np.uint8)[..., None]
    white = 255 * inside
    cut_out = np.concatenate([np.full((2, 2, 3), 90, np.uint8), white], 2)
    for stored in (white, inside, white.repeat(3, 2), cut_out):
        assert np.array_equal(as_read(stored), white)
    soft = np.array([[0, 100], [200, 255]], np.uint8)[..., None]
    assert np.array_equal(as_read(soft), soft)


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
    ("problem", "message"),
    [
        ("missing", "1 pictures have no mask in .*: images/03.png"),
        ("orphan", "1 masks have no picture in .*: masks/99.png"),
        ("size", r"1 masks differ in size from their pictures in .*: images/03.png \(8×8, its mask 9×8\)"),
        ("twice", "two masks of one picture, masks/03.bmp and masks/03.png"),
        (
            "dark",
            "the masks of .* hold the number 3, ids of classes or objects, not black and white: give --mask-value 3 to",
        ),
        ("none", "holds no masks: add masks/NAME.png to images/NAME.png"),
        ("all", "all masks of .* have one value: give masks with both black and white"),
        ("table", "1 masks do not exist in .*: masks/nn.png"),
        ("empty table", "1 pictures have no mask in the metadata in .*: images/00.png"),
    ],
)
def test_pairs_that_are_none(masked: Path, tmp_path: Path, problem: str, message: str) -> None:
    spoil(problem, masked)
    with pytest.raises(InputError, match=message):
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
    with pytest.raises(InputError, match=r"masks.npy has another hash than data.json says"):
        Dataset.open(tmp_path / "run")
    prepare(masked, tmp_path / "run", masks=True)
    assert path.read_bytes() == kept and before.manifest.masks_sha256


def test_one_picture_with_two_masks_is_two_pictures_on_one_side(masked: Path, tmp_path: Path) -> None:
    shutil.copy(masked / "images" / "00.png", masked / "images" / "30.png")
    shutil.copy(masked / "masks" / "01.png", masked / "masks" / "30.png")
    data = prepare(masked, tmp_path / "run", masks=True)
    two = [f for f in data.manifest.files if Path(f.name).stem in ("00", "30")]
    assert two[0].row != two[1].row and two[0].split == two[1].split and two[0].group == two[1].group


def numbered(root: Path, values: tuple[int, ...], write) -> Path:
    """Masks of bars, one for each of the values, on 0."""
    for path in sorted((root / "masks").iterdir()):
        mask = np.zeros((8, 8), np.int64)
        for i, value in enumerate(values):
            mask[1 + i, 1:6] = value
        write(mask, path)
    return root


def palette(mask: np.ndarray, path: Path) -> None:
    image = Image.fromarray(mask.astype(np.uint8))
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0] + [224, 224, 192] * 252)
    image.save(path)


def colors(mask: np.ndarray, path: Path) -> None:
    Image.fromarray(np.stack([mask * 100, mask * 50, mask * 0], 2).astype(np.uint8)).save(path)


def levels(mask: np.ndarray, path: Path) -> None:
    Image.fromarray(mask.astype(np.uint8)).save(path)


def deep(mask: np.ndarray, path: Path) -> None:
    Image.fromarray(mask.astype(np.uint16)).save(path)


@pytest.mark.parametrize(
    ("values", "write", "words"),
    [
        ((1, 2), levels, "the numbers 1, 2"),
        ((1, 2), deep, "the numbers 1, 2"),
        (tuple(range(1, 8)), levels, "the numbers 1, 2, 3, 4 and 3 more"),
        ((100, 200, 220), deep, "the numbers 100, 200, 220"),
        ((1, 2, 3, 255), levels, "the numbers 1, 2, 3, 255"),  # 255 is the border of objects
        ((1, 255), levels, "the numbers 1, 255"),  # and may cover as much as the objects
        ((1, 2), palette, "the palette entries 1, 2"),
        ((1, 2), colors, "the colors #643200, #c86400"),
    ],
)
def test_masks_of_numbers_are_refused(masked: Path, tmp_path: Path, values, write, words: str) -> None:
    source = numbered(masked, values, write)
    with pytest.raises(InputError, match=f"hold {words}, ids of classes or objects, not black and white") as raised:
        prepare(source, tmp_path / "run", masks=True)
    # the commands that the message names, one for each class, are those that work
    message = str(raised.value)
    named = [shlex.split(part)[0] for part in message.split("--mask-value ")[1:]]
    assert named[-1] == "any" and message.count(" --out RUN-") == len(named) - 1 == min(len(values), 4)
    assert ("and so on" in message) == (len(values) > 4)
    for value, count in zip(named[:-1], itertools.repeat(24 * 5)):
        one = prepare(source, tmp_path / f"RUN-{value}", masks=True, mask_value=parse_mask_value(value))
        assert (np.asarray(one.masks) == 255).sum() == count
    whole = prepare(source, tmp_path / "run", masks=True, mask_value="any")
    assert (np.asarray(whole.masks) == 255).sum() == 24 * 5 * len(values)
    with pytest.raises(InputError, match="mask value was any and is now not given"):
        prepare(source, tmp_path / "run", masks=True)
    one = "#643200" if write is colors else values[0]
    single = prepare(source, tmp_path / "other", masks=True, mask_value=one)
    assert (np.asarray(single.masks) == 255).sum() == 24 * 5
    with pytest.raises(InputError, match=r"no mask of .* holds the value 77: they hold the "):
        prepare(source, tmp_path / "third", masks=True, mask_value=77)


@pytest.mark.parametrize("values", [(85, 170, 255), (128, 255), (50, 200, 250)])
def test_grays_that_fill_areas_are_classes_and_soft_edges_are_not(tmp_path: Path, values: tuple[int, ...]) -> None:
    for i in range(12):
        inside = np.zeros((16, 16), np.uint8)
        inside[2:14, 2 + i % 3 : 13] = 255
        soft = np.asarray(Image.fromarray(inside).resize((64, 64)).resize((16, 16)).rotate(9, Image.Resampling.BICUBIC))
        classes = np.zeros((16, 16), np.uint8)
        for k, value in enumerate(values):
            classes[1 + 4 * k : 5 + 4 * k, 2:14] = value
        for name, mask in (("soft", soft), ("classes", classes)):
            put(
                tmp_path / name / f"{i}.png",
                encoded(np.random.default_rng(i).integers(0, 256, (16, 16, 3), dtype=np.uint8)),
            )
            put(tmp_path / name / f"{i}_mask.png", encoded(mask[..., None]))
    assert 0.2 < np.asarray(prepare(tmp_path / "soft", tmp_path / "run", masks=True).masks).mean() / 255 < 0.8
    shown = ", ".join(map(str, values))
    with pytest.raises(InputError, match=f"hold the numbers {shown}, ids of classes or objects"):
        prepare(tmp_path / "classes", tmp_path / "other", masks=True)


def test_masks_with_objects_numbered_to_the_top_are_recognized(masked: Path, tmp_path: Path) -> None:
    """As many bright numbers as dark ones: what gives them away is that each mask counts from 1."""
    for i, path in enumerate(sorted((masked / "masks").iterdir())):
        mask = np.zeros((8, 8), np.uint8)
        mask.flat[: 30 + i] = np.arange(1, 31 + i)
        Image.fromarray(np.kron(mask, np.ones((1, 1), np.uint8))).save(path)
    with pytest.raises(InputError, match="ids of classes or objects"):
        prepare(masked, tmp_path / "run", masks=True)


@pytest.mark.parametrize(
    "mode", ["0 and 1", "16 bit, 0 and 1", "16 bit, white", "soft", "JPEG", "1 bit", "gray palette"]
)
def test_masks_in_black_and_white_are_taken(masked: Path, tmp_path: Path, mode: str) -> None:
    for path in sorted((masked / "masks").iterdir()):
        mask = np.asarray(Image.open(path)) > 0
        if mode == "soft":
            mask = np.kron(mask, np.ones((2, 2))) * 255
            mask = (mask[::2, ::2] + mask[1::2, ::2]) / 2
            mask[3, 3:6] = (40, 128, 230)
        stored = {
            "0 and 1": lambda m=mask: Image.fromarray(m.astype(np.uint8)),
            "16 bit, 0 and 1": lambda m=mask: Image.fromarray(m.astype(np.uint16)),
            "16 bit, white": lambda m=mask: Image.fromarray((m * 65535).astype(np.uint16)),
            "soft": lambda m=mask: Image.fromarray(m.astype(np.uint8)),
            "JPEG": lambda m=mask: Image.fromarray((m * 255).astype(np.uint8)),
            "1 bit": lambda m=mask: Image.fromarray(m),
            "gray palette": lambda m=mask: Image.fromarray((m * 255).astype(np.uint8)).convert("P"),
        }[mode]()
        if mode == "JPEG":
            path.unlink()
            stored.save(path.with_suffix(".jpg"), quality=60)
        else:
            stored.save(path)
    data = prepare(masked, tmp_path / "run", masks=True)
    assert 0.05 < (np.asarray(data.masks) >= 128).mean() < 0.6


CLASS_COLORS = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)


def write_classes(root: Path, kind: str) -> Path:
    """A set whose masks hold classes or objects in areas of 8×8 pixels, stored in several ways."""
    for i in range(12):
        rng = np.random.default_rng(i)
        put(root / "images" / f"{i}.png", encoded(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)))
        few = np.kron(rng.permutation(np.resize(np.arange(4), 16)).reshape(4, 4), np.ones((8, 8))).astype(np.uint8)
        many = np.kron(rng.choice(151, (4, 4)), np.ones((8, 8))).astype(np.uint16)
        clear = np.where(few > 0, 255, 0).astype(np.uint8)
        palette = Image.fromarray(few, "P")
        palette.putpalette(CLASS_COLORS.tobytes())
        image, options = {
            "150 classes": (Image.fromarray(many.astype(np.uint8)), {}),
            "high ids in 16 bits": (Image.fromarray(np.where(many > 0, many + 40000, 0).astype(np.uint16)), {}),
            "colors in a JPEG": (Image.fromarray(CLASS_COLORS[few]), {"quality": 95}),
            "grays in a JPEG": (Image.fromarray(few * 85), {"quality": 90}),
            "colors in a lossy WebP": (Image.fromarray(CLASS_COLORS[few]), {"quality": 90}),
            "colors in a lossless WebP": (Image.fromarray(CLASS_COLORS[few]), {"lossless": True}),
            "colors around which is nothing": (Image.fromarray(np.dstack([CLASS_COLORS[few], clear])), {}),
            "a palette with a transparent entry": (palette, {"transparency": 0}),
        }[kind]
        suffix = next((s for name, s in (("JPEG", ".jpg"), ("WebP", ".webp")) if name in kind), ".png")
        (root / "masks").mkdir(exist_ok=True)
        image.save(root / "masks" / f"{i}{suffix}", **options)
    return root


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("150 classes", "hold the numbers .* and .* more, ids of classes"),
        ("high ids in 16 bits", "hold the numbers 400.* more, ids of classes"),
        ("colors in a JPEG", "JPEG or lossy WebP, .* save the masks as PNG"),
        ("grays in a JPEG", "JPEG or lossy WebP, .* save the masks as PNG"),
        ("colors in a lossy WebP", "JPEG or lossy WebP, .* save the masks as PNG"),
        ("colors in a lossless WebP", "hold the colors #0000ff, #00ff00, #ff0000, ids of classes"),
        ("colors around which is nothing", "hold the colors #0000ff, #00ff00, #ff0000, ids of classes"),
        ("a palette with a transparent entry", "hold the colors #0000ff, #00ff00, #ff0000, ids of classes"),
    ],
)
def test_classes_are_recognized_however_they_are_stored(tmp_path: Path, kind: str, message: str) -> None:
    source = write_classes(tmp_path / "set", kind)
    with pytest.raises(InputError, match=message):
        prepare(source, tmp_path / "run", masks=True)
    if "#ff0000" in message:
        red = prepare(source, tmp_path / "red", masks=True, mask_value="#ff0000")
        assert (np.asarray(red.masks) == 255).mean() == 1 / 4
        whole = prepare(source, tmp_path / "any", masks=True, mask_value="any")
        assert (np.asarray(whole.masks) == 255).mean() == 3 / 4
    if "WebP, " in message:
        with pytest.raises(InputError, match=message):
            prepare(source, tmp_path / "run", masks=True, mask_value="any")


@pytest.mark.parametrize("quality", [40, 95])
def test_soft_masks_in_jpeg_are_black_and_white(tmp_path: Path, quality: int) -> None:
    """Blurred widely, so that each level covers an area; or with sharp edges, which JPEG surrounds with noise."""
    for i in range(12):
        sharp = np.zeros((64, 64), np.uint8)
        sharp[8:56, 4 + i : 40] = 255
        wide = np.asarray(Image.fromarray(sharp).resize((4, 4)).resize((64, 64), Image.Resampling.BILINEAR))
        for name, mask in (("sharp", sharp), ("wide", wide)):
            put(tmp_path / name / f"{i}.png", encoded(np.full((64, 64, 3), 10 * i, np.uint8)))
            Image.fromarray(mask).convert("RGB").save(tmp_path / name / f"{i}_mask.jpg", quality=quality)
    for name in ("sharp", "wide"):
        data = prepare(tmp_path / name, tmp_path / f"run-{name}", masks=True)
        assert 0.2 < (np.asarray(data.masks) >= 128).mean() < 0.6


@pytest.mark.parametrize("suffix", ["_mask", "-mask", "_masks", "_cp_masks", "_seg", " mask"])
def test_names_of_masks(masked: Path, tmp_path: Path, suffix: str) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for picture in (masked / "images").iterdir():
        shutil.copy(picture, flat / picture.name)
        shutil.copy(masked / "masks" / picture.name, flat / f"{picture.stem}{suffix}.png")
    assert_paired(prepare(flat, tmp_path / "run", masks=True), masked)


@pytest.mark.parametrize(
    ("picture", "mask"),
    [
        ("train/{}.png", "train_masks/{}_mask.gif"),  # Carvana
        ("ISIC_Training_Input/ISIC_{}.png", "ISIC_Training_GroundTruth/ISIC_{}_segmentation.png"),
        ("images/{}.png", "annotations/trimaps/{}.png"),  # Oxford pets
        ("JPEGImages/{}.png", "SegmentationObject/{}.png"),
        ("images/{}.png", "labels/{}.png"),
        ("imgs/{}.png", "masks/{}_mask.png"),
        ("img_{}.png", "mask_{}.png"),
        ("{}_img.png", "{}_masks.png"),  # Cellpose
        ("{}.png", "{}_gt.png"),
        ("train/images/{}.png", "train/masks/{}.png"),
    ],
)
def test_layouts_of_masks(masked: Path, tmp_path: Path, picture: str, mask: str) -> None:
    other = tmp_path / "other"
    for path in (masked / "images").iterdir():
        for pattern, source in ((picture, path), (mask, masked / "masks" / path.name)):
            target = other / pattern.format(path.stem)
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.open(source).save(target)
    assert_paired(prepare(other, tmp_path / "run", masks=True), masked)


def test_a_mask_value_is_a_number_a_color_or_any(masked: Path, tmp_path: Path) -> None:
    assert [parse_mask_value(t) for t in ("7", "any", "#FF0000")] == [7, "any", "#ff0000"]
    for bad in ("0", "-1", "1.5", "red", "#12345", "", "9" * 5000):
        with pytest.raises(InputError, match="a mask value must be a number above 0, a color like #ff0000, or any"):
            value = parse_mask_value(bad)
            prepare(masked, tmp_path / "run", masks=True, mask_value=value)
    with pytest.raises(InputError, match="a mask value is for pictures with masks"):
        prepare(masked, tmp_path / "run", mask_value=3)
