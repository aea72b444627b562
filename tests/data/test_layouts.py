"""Layouts of data set folders: splits, packed sets, captions, links, caches, and run folders."""

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from noisette.data import open_source, scan
from noisette.data.entry import Source
from noisette.data.png import encode_png
from noisette.errors import InputError
from noisette.report.viz.animation import write_film
from noisette.report.viz.figure import new_figure

from .build import encoded, folder, noise, put


def labels(source: Source) -> set[str | None]:
    return {e.label for e in source.entries}


@pytest.mark.parametrize(
    "names", [("train", "test"), ("Training", "val"), ("train_set", "valid", "test"), ("train2017", "val2017")]
)
def test_split_folders_are_not_labels(tmp_path: Path, names: tuple[str, ...]) -> None:
    flat = open_source(folder(tmp_path / "flat", *(f"{n}/{i}.png" for n in names for i in range(2))))
    assert labels(flat) == {None} and len(flat.entries) == 2 * len(names)
    assert (
        f"the folders {', '.join(f'{n} (2)' for n in sorted(names))} are splits of one set, not labels" in flat.notes[0]
    )
    classes = open_source(
        folder(tmp_path / "classes", *(f"{n}/images/{c}/a.png" for n in names for c in ("cat", "dog")))
    )
    assert labels(classes) == {"cat", "dog"}
    alone = open_source(folder(tmp_path / "one", *(f"train/{c}/a.png" for c in ("cat", "dog"))))
    assert labels(alone) == {"cat", "dog"}


@pytest.mark.parametrize(
    "names",
    [
        ("training_set/training_set", "test_set/test_set"),
        ("seg_train/seg_train", "seg_test/seg_test", "seg_pred/seg_pred"),
        ("asl_alphabet_train", "asl_alphabet_test"),
        ("train", "test", "extra"),
        ("fold1", "fold2", "fold3"),
        ("trainval", "test"),
        ("development", "holdout"),
        ("images_background", "images_evaluation"),
        ("train2017", "val2017", "unlabeled2017"),
    ],
)
def test_splits_of_downloaded_sets_are_not_labels(tmp_path: Path, names: tuple[str, ...]) -> None:
    found = open_source(folder(tmp_path, *(f"{n}/{c}/{i}.png" for n in names for c in ("cat", "dog") for i in "ab")))
    assert labels(found) == {"cat", "dog"} and "are splits of one set, not labels" in found.notes[0]


@pytest.mark.parametrize(
    ("files", "note"),
    [
        # GTSRB and Fruits-360: other folders beside the splits
        (
            ("Train/cat/a.png", "Train/dog/b.png", "Test/c.png", "Meta/d.png"),
            "the folders Test (1), Train (2) are splits",
        ),
        # Tiny ImageNet: pictures of val are in one folder
        (
            ("train/cat/images/a.png", "train/dog/images/b.png", "val/images/c.png", "test/images/d.png"),
            "the folders test (1), train (2), val (1) are splits",
        ),
        # Kaggle's chest X-rays and malaria: the archive holds a copy of itself
        (
            tuple(f"{p}{s}/{c}/a.png" for p in ("", "set/") for s in ("train", "val", "test") for c in ("cat", "dog")),
            "the folder set holds the same folders as the one around it",
        ),
        (
            tuple(f"{p}{c}/a.png" for p in ("", "set/") for c in ("cat", "dog")),
            "the folder set holds the same folders as the one around it",
        ),
        (("part_1/cat/a.png", "part_2/dog/b.png", "part_2/cat/c.png"), "the folders part_1 (1), part_2 (2) are parts"),
    ],
)
def test_labels_of_downloaded_sets_with_more_folders(tmp_path: Path, files: tuple[str, ...], note: str) -> None:
    found = open_source(folder(tmp_path, *files))
    assert labels(found) <= {"cat", "dog", None} and {"cat", "dog"} <= labels(found)
    assert all((e.label is None) == ("cat" not in e.name and "dog" not in e.name) for e in found.entries)
    assert any(n.startswith(note) for n in found.notes)


@pytest.mark.parametrize(
    "names",
    [
        ("HAM10000_images_part_1", "HAM10000_images_part_2"),
        ("images_001/images", "images_002/images"),
        ("shard-0", "shard-1"),
        ("100CANON", "101CANON"),
    ],
)
def test_parts_of_a_set_are_not_labels(tmp_path: Path, names: tuple[str, ...]) -> None:
    found = open_source(folder(tmp_path, *(f"{n}/{i}.png" for n in names for i in "ab")))
    assert labels(found) == {None} and "are parts of one set, not labels" in found.notes[0]


def test_parts_of_img2dataset_are_not_labels_and_digits_are(tmp_path: Path) -> None:
    parts = open_source(folder(tmp_path / "parts", *(f"{n:05d}/{n:05d}{i:04d}.png" for n in (0, 1) for i in (0, 1))))
    assert labels(parts) == {None}
    digits = open_source(folder(tmp_path / "digits", *(f"{n}/{i}.png" for n in range(3) for i in (0, 1))))
    assert labels(digits) == {"0", "1", "2"}


def test_letters_of_domains_are_labels(tmp_path: Path) -> None:
    """As in the sets of CycleGAN."""
    found = open_source(folder(tmp_path / "set", *(f"{s}{c}/0.png" for s in ("train", "test") for c in "AB")))
    assert {e.name: e.label for e in found.entries} == {f"{s}{c}/0.png": c for s in ("train", "test") for c in "AB"}
    one = open_source(folder(tmp_path / "one", "trainA/0.png", "trainB/0.png"))
    assert labels(one) == {"trainA", "trainB"}


@pytest.mark.parametrize("names", [("road_test", "car_test"), ("extra", "unlabeled"), ("crash_test", "train")])
def test_names_like_those_of_splits_are_labels(tmp_path: Path, names: tuple[str, ...]) -> None:
    assert labels(open_source(folder(tmp_path, *(f"{n}/a.png" for n in names)))) == set(names)


def test_a_folder_named_train_beside_other_classes_is_a_label(tmp_path: Path) -> None:
    assert labels(open_source(folder(tmp_path, "train/a.png", "car/a.png", "bus/a.png"))) == {"train", "car", "bus"}


def test_folders_within_labels_are_reported(tmp_path: Path) -> None:
    found = open_source(folder(tmp_path, "animals/cat/a.png", "animals/dog/b.png", "things/car/c.png"))
    assert labels(found) == {"animals", "things"}
    (note,) = found.notes
    assert note.startswith("folders within labels, which are not labels: animals/cat, animals/dog, things/car")


def test_metadata_within_splits(tmp_path: Path) -> None:
    folder(tmp_path, "train/a.png", "train/b.png", "test/a.png", "test/left.png")
    put(tmp_path / "train/metadata.csv", b"file_name,label,text\na.png,x,a flask\nb.png,y,\n")
    put(tmp_path / "test/metadata.jsonl", b'{"file_name": "a.png", "label": "x"}')
    found = open_source(tmp_path)
    assert {e.name: e.label for e in found.entries} == {"train/a.png": "x", "train/b.png": "y", "test/a.png": "x"}
    assert "metadata files: test/metadata.jsonl, train/metadata.csv" in found.notes
    put(tmp_path / "train/metadata.jsonl", b'{"file_name": "a.png"}')
    with pytest.raises(InputError, match=r"holds both train/metadata.jsonl and train/metadata.csv"):
        open_source(tmp_path)


def test_labels_from_dataset_json(tmp_path: Path) -> None:
    names = [f"{i // 3:05d}/img{i:08d}.png" for i in range(6)]
    folder(tmp_path, *names)
    bare = open_source(tmp_path)
    assert labels(bare) == {None} and "parts of a packed set" in bare.notes[0]
    for given, expected in (
        ([0, 1, 2, 0, 1, 2], {"0", "1", "2"}),
        ([[1, 0], [0, 1]] * 3, {"0", "1"}),
        (None, {None}),
    ):
        pairs = None if given is None else [[n, v] for n, v in zip(names, given, strict=True)]
        put(tmp_path / "dataset.json", json.dumps({"labels": pairs}).encode())
        assert labels(open_source(tmp_path)) == expected
    put(tmp_path / "dataset.json", json.dumps({"labels": [[n, [0.5, i]] for i, n in enumerate(names)]}).encode())
    assert open_source(tmp_path).entries[2].attributes == {"attribute 0": 0.5, "attribute 1": 2.0}
    for bad in ({"labels": [1, 2]}, {"labels": [[names[0], [1]], [names[1], [1, 2]]]}):
        put(tmp_path / "dataset.json", json.dumps(bad).encode())
        with pytest.raises(InputError, match=r"the labels in dataset.json of .* pack the set again"):
            open_source(tmp_path)
    for other in (b"{}", b"[", b'"x"'):  # another program's file
        put(tmp_path / "dataset.json", other)
        assert labels(open_source(tmp_path)) == {None}


def test_a_dataset_json_that_names_a_picture_twice_is_refused(tmp_path: Path) -> None:
    folder(tmp_path, "00000/img00000000.png", "00000/img00000001.png")
    names = ["00000/img00000000.png", "00000/img00000001.png", "00000/img00000000.png"]
    put(tmp_path / "dataset.json", json.dumps({"labels": [[n, i] for i, n in enumerate(names)]}).encode())
    with pytest.raises(InputError, match=r"names 00000/img00000000\.png twice: keep one label per picture"):
        open_source(tmp_path)


def test_a_dataset_json_of_other_pictures_is_reported(tmp_path: Path) -> None:
    folder(tmp_path, "00000/img00000000.png", "00000/img00000001.png")
    put(tmp_path / "dataset.json", b'{"labels": [["00000/img00000007.png", 1]]}')
    found = open_source(tmp_path)
    assert labels(found) == {None}
    assert "labels of dataset.json, not used: no picture has a name that is in it" in " ".join(found.notes)


def test_captions_beside_pictures(tmp_path: Path) -> None:
    folder(tmp_path, "a.png", "b.png", "c.png", "d.jpg")
    put(tmp_path / "a.txt", "a röd fish\n".encode())
    put(tmp_path / "b.txt", b"0 0.5 0.5 0.25 0.25\n1 0.1 0.1 0.2 0.2")  # bounding boxes
    put(tmp_path / "c.caption", b"\xff\xfe")
    put(tmp_path / "readme.txt", b"hello")
    found = open_source(tmp_path)
    assert [e.text for e in found.entries] == ["a röd fish", None, None, None]
    assert found.notes == ("texts from text files beside the pictures: 1", "other files, ignored: 1 .caption, 2 .txt")


def test_links_are_followed_only_with_the_option(tmp_path: Path) -> None:
    folder(tmp_path / "all", "cat/a.png", "cat/b.png", "dog/c.png", "bird/d.png")
    chosen = tmp_path / "chosen"
    chosen.mkdir()
    for name in ("cat", "dog"):
        (chosen / name).symlink_to(tmp_path / "all" / name)
    with pytest.raises(InputError, match=r"linked folders, left out: cat, dog; --follow-links reads"):
        open_source(chosen)
    followed = open_source(chosen, follow_links=True)
    assert [(e.name, e.label) for e in followed.entries] == [
        ("cat/a.png", "cat"),
        ("cat/b.png", "cat"),
        ("dog/c.png", "dog"),
    ]
    (chosen / "e.png").symlink_to(tmp_path / "all/bird/d.png")
    assert not scan(chosen, follow_links=True).quarantined and scan(chosen, follow_links=True).labels["cat"] == 2


def test_cyclic_links_are_quarantined(tmp_path: Path) -> None:
    root = folder(tmp_path / "set", "cat/a.png", "dog/b.png")
    (root / "loop.png").symlink_to("loop.png")
    (root / "one.png").symlink_to("two.png")
    (root / "two.png").symlink_to("one.png")
    (root / "cat" / "up").symlink_to(root)
    (root / "dog" / "cat").symlink_to(root / "cat")
    (root / "ring").symlink_to("ring")
    for follow in (False, True):
        found = scan(root, follow_links=follow)
        reasons = {q.name: q.reason for q in found.quarantined}
        assert set(reasons.values()) == {"is a link that leads to itself"}
        assert reasons.keys() >= {"loop.png", "one.png", "two.png"}
        assert {p.name for p in found.pictures} >= {"cat/a.png", "dog/b.png"}


def test_the_cache_of_the_hub_is_read(tmp_path: Path) -> None:
    """snapshots/REVISION/… holds links to blobs/HASH."""
    cache = tmp_path / "datasets--someone--sprites"
    for i, name in enumerate(("cat/a.png", "dog/b.png")):
        blob = put(cache / "blobs" / f"{i:064x}", encoded(noise(i)))
        link = cache / "snapshots" / "abc" / name
        link.parent.mkdir(parents=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    secret = put(tmp_path / "secret.png", noise(9))
    (cache / "snapshots/abc/cat/x.png").symlink_to(secret)
    found = scan(cache / "snapshots" / "abc")
    assert found.labels == {"cat": 1, "dog": 1}
    (bad,) = found.quarantined
    assert bad.name == "cat/x.png" and bad.reason.startswith("is a link to a file outside the folder")


def test_run_folders_models_and_generated_pictures_are_left_out(tmp_path: Path) -> None:
    root = folder(tmp_path / "pictures", "cat/a.png", "dog/b.png")
    before = {e.name: e.label for e in open_source(root).entries}
    run = folder(root / "runs/first", "samples/0001.png", "samples/0002.png")
    put(run / "data.json", json.dumps({"schema": 1, "source": str(root), "fingerprint": "0"}).encode())
    folder(root / "exported", "card.png")
    put(root / "exported/config.json", b"{}")
    put(root / "exported/model.safetensors", b"0")
    sheet = torch.from_numpy(noise(5).transpose(2, 0, 1))[None].contiguous()
    put(root / "drawn/000001.png", encode_png(sheet, {"seed": 1}))
    put(root / "cat/sheet.png", encode_png(sheet))
    for name in ("film.gif", "film.png", "film.apng", "FILM.PNG"):
        write_film(root / "dog" / name, [Image.new("RGBA", (8, 8), c) for c in ("red", "blue")], 50)
    plot = new_figure(1, 1)
    plot.add_subplot().plot([1, 2])
    plot.write(root / "steps.png")
    found = open_source(root)
    assert {e.name: e.label for e in found.entries} == before
    assert "run folders and models of noisette, left out: exported, runs/first" in found.notes
    assert "pictures generated by noisette, left out: 7" in found.notes
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for path in sorted(p for p in root.rglob("*") if p.is_file()):
            archive.write(path, path.relative_to(root).as_posix())
    assert {e.name: e.label for e in open_source(tmp_path / "set.zip").entries} == before
    drawn = open_source(root / "drawn")  # a folder of generated pictures only is read
    assert len(drawn.entries) == 1 and drawn.notes == ("all pictures were generated by noisette",)
    with pytest.raises(InputError, match=r"holds no pictures \(run folders and models of noisette, left out"):
        open_source(run)


def test_data_json_of_another_program_is_ignored(tmp_path: Path) -> None:
    folder(tmp_path, "cat/a.png", "dog/b.png")
    put(tmp_path / "cat/data.json", b'{"schema": 1}')
    put(tmp_path / "config.json", b"{}")
    assert len(open_source(tmp_path).entries) == 2


def test_error_for_folders_without_readable_pictures(tmp_path: Path) -> None:
    put(tmp_path / "svg/a.svg", b"<svg/>")
    put(tmp_path / "svg/b.svg", b"<svg/>")
    put(tmp_path / "ico/a.ico", b"\0\0\1\0")
    with pytest.raises(InputError, match=r"holds no pictures, but 2 .svg drawings: export them as PNG"):
        open_source(tmp_path / "svg")
    with pytest.raises(InputError, match=r"holds no pictures, but 1 .ico icons: export them as PNG"):
        open_source(tmp_path / "ico")


def test_names_in_zips(tmp_path: Path) -> None:
    """UTF-8 without its flag is recognized; an unknown encoding is reported."""
    utf8, cp932 = "猫/ä.png", "猫/b.png"
    for name, encoding, expected in ((utf8, "utf-8", "猫"), (cp932, "cp932", None)):
        raw = name.encode(encoding)
        with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
            archive.writestr("x" * len(raw), encoded(noise(0)))
            archive.writestr("dog/c.png", encoded(noise(1)))
        data = (tmp_path / "set.zip").read_bytes().replace(b"x" * len(raw), raw)
        found = open_source(put(tmp_path / "named.zip", data))
        unknown = any(n.startswith("names in an unknown encoding, which may read wrongly: 1") for n in found.notes)
        assert unknown == (expected is None) and (unknown or labels(found) == {"猫", "dog"})


def test_error_names_the_zip_compression_method(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("a.png", encoded(noise(0)))
        archive.writestr("b.png", encoded(noise(1)))
    data = bytearray((tmp_path / "set.zip").read_bytes())
    for method, name in ((9, "Deflate64"), (98, "PPMd"), (77, "method 77")):
        local, central = data.rindex(b"PK\3\4"), data.rindex(b"PK\1\2")
        data[local + 8 : local + 10] = data[central + 10 : central + 12] = method.to_bytes(2, "little")
        (bad,) = scan(put(tmp_path / "other.zip", bytes(data))).quarantined
        assert bad.reason == f"is packed with {name}, which cannot be read: pack the zip again with Deflate"


def test_npz_with_splits(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), np.uint8)
    parts = {"train": pixels[:6], "val": pixels[6:8], "test": pixels[8:]}
    numbers = {k: np.arange(len(v))[:, None] % 3 for k, v in parts.items()}
    medmnist = {f"{k}_images": v for k, v in parts.items()} | {f"{k}_labels": v for k, v in numbers.items()}
    keras = {
        "x_train": parts["train"],
        "y_train": numbers["train"][:, 0],
        "x_test": parts["test"],
        "y_test": numbers["test"][:, 0],
    }
    np.savez(tmp_path / "medmnist.npz", **medmnist)
    np.savez_compressed(tmp_path / "keras.npz", **keras)
    found = open_source(tmp_path / "medmnist.npz")
    assert [e.label for e in found.entries] == [str(v) for k in parts for v in numbers[k][:, 0]]
    assert all((e.read() == p).all() for e, p in zip(found.entries, pixels, strict=True))
    assert "train_images (6), val_images (2), test_images (4) are splits of one set" in found.notes[0]
    assert len(open_source(tmp_path / "keras.npz").entries) == 10
    np.savez(tmp_path / "volumes.npz", train_images=np.zeros((3, 28, 28, 28), np.uint8))
    with pytest.raises(InputError, match="3×28×28×28, which are volumes: save their slices"):
        open_source(tmp_path / "volumes.npz")


def test_members_of_a_zip_without_a_name_are_ignored(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for i, name in enumerate(("a.png", "b.png", "X")):
            archive.writestr(name, encoded(noise(i)))
    path = tmp_path / "set.zip"
    data = path.read_bytes()
    at = data.rindex(b"PK\x01\x02")  # the directory's entry of X, whose name becomes empty
    end = bytearray(data[data.index(b"PK\x05\x06") :])
    end[12:16] = (int.from_bytes(end[12:16], "little") - 1).to_bytes(4, "little")
    entry = data[at : data.index(b"PK\x05\x06")]
    path.write_bytes(data[:at] + entry[:28] + b"\0\0" + entry[30:46] + entry[47:] + bytes(end))
    assert [e.name for e in open_source(path).entries] == ["a.png", "b.png"]
