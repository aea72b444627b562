"""Preparing an existing data set again: the same is opened, another is refused, damage is repaired."""

import json
import shutil
from pathlib import Path

import pytest

from noisette.data import Dataset, prepare
from noisette.errors import InputError
from noisette.io.json_files import read_json

from .build import folder, noise, put


def test_the_same_data_set_is_reopened_and_not_rebuilt(source: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = prepare(source, run, size=16)
    stamp = (run / "data/pixels.npy").stat().st_mtime_ns
    again = prepare(source, run, size=(16, 16), mode="RGBA")
    assert again.manifest == first.manifest and (run / "data/pixels.npy").stat().st_mtime_ns == stamp
    elsewhere = prepare(source, tmp_path / "other", size=16)
    assert (elsewhere.pixel_array == first.pixel_array).all() and elsewhere.manifest.files == first.manifest.files


def test_the_run_folder_is_enough(source: Path, tmp_path: Path) -> None:
    first = prepare(source, tmp_path / "run")
    shutil.rmtree(source)
    shutil.move(tmp_path / "run", tmp_path / "moved")
    data = Dataset.open(tmp_path / "moved")
    assert data.manifest == first.manifest and data.folder == tmp_path / "moved"
    assert (data.pixel_array == first.pixel_array).all()
    with pytest.raises(InputError, match="no source is called"):
        prepare(source, tmp_path / "moved")


def test_other_data_is_refused_and_the_difference_is_named(source: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    prepare(source, run, size=16)
    before = (run / "data.json").read_bytes()

    def refused(words: str, **options: object) -> None:
        with pytest.raises(InputError, match=words):
            prepare(source, run, **({"size": 16} | options))
        assert (run / "data.json").read_bytes() == before

    refused("holds another data set: size was 16×16 and is now 24×20;", size=(20, 24))
    refused("size was 16×16 and is now not given", size=None)
    refused("mode was not given and is now RGB; ", mode="RGB")
    refused("pixel art was False and is now True", pixel_art=True)
    refused("seed was 0 and is now 7", seed=7)
    refused("held out was 0.1 and is now 0.2", held_out=0.2)
    put(source / "cat/new.png", noise(99))
    refused(r"1 new \(cat/new.png\)")
    (source / "cat/new.png").rename(source / "cat/01.png")
    refused(r"1 changed \(cat/01.png\)")
    (source / "dog/00.png").unlink()
    refused(r"1 removed \(dog/00.png\); 1 changed")
    shutil.rmtree(source)
    with pytest.raises(InputError, match=r"1797 new \(0000, …\); 30 removed"):
        prepare("digits", run, size=16)


def test_other_labels_are_refused(tmp_path: Path) -> None:
    root, table = folder(tmp_path / "set", "a.png", "b.png"), tmp_path / "set/metadata.csv"
    table.write_text("file_name,label\na.png,x\nb.png,y\n")
    prepare(root, tmp_path / "run")
    table.write_text("file_name,label\na.png,y\nb.png,x\n")
    with pytest.raises(InputError, match="labels, attributes or texts have changed"):
        prepare(root, tmp_path / "run")


def test_lost_or_damaged_pixels(source: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = prepare(source, run)
    good = (run / "data/pixels.npy").read_bytes()
    flipped = bytearray(good)
    flipped[1000] ^= 1
    for bad in (bytes(flipped), good[:-1], b""):
        (run / "data/pixels.npy").write_bytes(bad)
        with pytest.raises(InputError, match=r"pixels.npy has another hash than data.json says"):
            Dataset.open(run)
        assert prepare(source, run).manifest == first.manifest  # the source is at hand: they are made again
        assert (run / "data/pixels.npy").read_bytes() == good
    (run / "data/pixels.npy").unlink()
    with pytest.raises(InputError, match=r"pixels.npy cannot be read"):
        Dataset.open(run)


def test_a_damaged_or_newer_manifest(source: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(InputError, match=r"holds no data set: there is no data.json"):
        Dataset.open(run)
    prepare(source, run)
    manifest = read_json(run / "data.json")
    for change, words in [
        ({"schema": 2}, "written by a newer version"),
        ({"schema": None}, "is damaged or does not describe a data set"),
        ({"files": []}, "no file is in the split 'train'"),
        ({"files": [{"name": "x"}]}, "is damaged or does not describe a data set"),
        ({"pictures": {"mode": "CMYK"}}, "is damaged or does not describe a data set"),
        ({"surprise": 1}, "is damaged or does not describe a data set"),
        ({"rows": 31}, "another shape"),
    ]:
        (run / "data.json").write_text(json.dumps(manifest | change))
        with pytest.raises(InputError, match=words):
            Dataset.open(run)
    (run / "data.json").write_text("[]")
    with pytest.raises(InputError, match="is damaged or does not describe a data set"):
        prepare(source, run)


def test_pixels_made_again_keep_the_pictures_and_the_split_of_an_earlier_version(source: Path, tmp_path: Path) -> None:
    """An earlier version left a picture out, and held out others."""
    prepare(source, tmp_path / "run")
    path = tmp_path / "run" / "data.json"
    manifest = read_json(path)
    gone = manifest["files"].pop()
    manifest["quarantined"] = [{"name": gone["name"], "reason": "has a damaged header", "sha256": gone["sha256"]}]
    for i, file in enumerate(manifest["files"]):
        file["split"] = "held_out" if i % 5 == 0 else "train"
    path.write_text(json.dumps(manifest), "utf8")
    (tmp_path / "run" / "data" / "pixels.npy").unlink()
    again = prepare(source, tmp_path / "run")
    assert {f.name: f.split for f in again.manifest.files} == {f["name"]: f["split"] for f in manifest["files"]}
    assert again.manifest.rows == len(manifest["files"])
