"""A run finds its data again, and nothing else."""

import json
import shutil
from pathlib import Path

import pytest

from noisette.data import Dataset, prepare
from noisette.errors import InputError

from .build import folder, noise, put


def test_the_same_again_is_opened_and_not_made(source: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = prepare(source, run, size=16)
    stamp = (run / "data/pixels.npy").stat().st_mtime_ns
    again = prepare(source, run, size=(16, 16), mode="RGBA")
    assert again.manifest == first.manifest and (run / "data/pixels.npy").stat().st_mtime_ns == stamp
    elsewhere = prepare(source, tmp_path / "other", size=16)
    assert (elsewhere.array == first.array).all() and elsewhere.manifest.files == first.manifest.files


def test_the_run_folder_is_enough(source: Path, tmp_path: Path) -> None:
    first = prepare(source, tmp_path / "run")
    shutil.rmtree(source)
    shutil.move(tmp_path / "run", tmp_path / "moved")
    data = Dataset.open(tmp_path / "moved")
    assert data.manifest == first.manifest and data.folder == tmp_path / "moved"
    assert (data.array == first.array).all()
    with pytest.raises(InputError, match="no source is called"):
        prepare(source, tmp_path / "moved")


def test_other_data_is_refused_and_what_is_other_is_named(source: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    prepare(source, run, size=16)
    before = (run / "data.json").read_bytes()

    def refused(words: str, **options: object) -> None:
        with pytest.raises(InputError, match=words):
            prepare(source, run, **({"size": 16} | options))
        assert (run / "data.json").read_bytes() == before

    refused("holds other data: size was 16×16 and is now 24×20;", size=(20, 24))
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
    refused(r"1 gone \(dog/00.png\); 1 changed")
    shutil.rmtree(source)
    with pytest.raises(InputError, match=r"1797 new \(0000, …\); 30 gone"):
        prepare("digits", run, size=16)


def test_other_labels_are_refused(tmp_path: Path) -> None:
    root, table = folder(tmp_path / "set", "a.png", "b.png"), tmp_path / "set/metadata.csv"
    table.write_text("file_name,label\na.png,x\nb.png,y\n")
    prepare(root, tmp_path / "run")
    table.write_text("file_name,label\na.png,y\nb.png,x\n")
    with pytest.raises(InputError, match="labels, attributes or texts are others"):
        prepare(root, tmp_path / "run")


def test_lost_or_damaged_pixels(source: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = prepare(source, run)
    good = (run / "data/pixels.npy").read_bytes()
    flipped = bytearray(good)
    flipped[1000] ^= 1
    for bad in (bytes(flipped), good[:-1], b""):
        (run / "data/pixels.npy").write_bytes(bad)
        with pytest.raises(InputError, match=r"pixels.npy is not what data.json describes"):
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
    told = json.loads((run / "data.json").read_text())
    for change, words in [
        ({"schema": 2}, "written by a newer version"),
        ({"schema": None}, "or it is damaged"),
        ({"files": [{"name": "x"}]}, "or it is damaged"),
        ({"pictures": {"mode": "CMYK"}}, "or it is damaged"),
        ({"surprise": 1}, "or it is damaged"),
        ({"rows": 31}, "another shape"),
    ]:
        (run / "data.json").write_text(json.dumps(told | change))
        with pytest.raises(InputError, match=words):
            Dataset.open(run)
    (run / "data.json").write_text("[]")
    with pytest.raises(InputError, match="or it is damaged"):
        prepare(source, run)
