"""WebDataset tars and Parquet files: what is read, and what hostile ones do not do."""

import io
import json
import os
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from noisette.data import open_source, prepare, scan
from noisette.data.entry import Limits
from noisette.errors import InputError

from .build import encoded, noise

parquet = pytest.importorskip("pyarrow.parquet")
import pyarrow as pa  # noqa: E402


def write_tar(path: Path, files: dict[str, bytes], format: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w", format=format) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def samples(first: int, count: int) -> dict[str, bytes]:
    """Samples by the conventions of WebDataset."""
    files: dict[str, bytes] = {}
    for i in range(first, first + count):
        files[f"{i:04d}.png"] = encoded(noise(i, 8, 8))
        files[f"{i:04d}.cls"] = str(i % 2).encode()
        files[f"{i:04d}.json"] = json.dumps({"hue": i / 10, "text": "not used"}).encode()
        files[f"{i:04d}.txt"] = f"a fish {i}".encode()
    return files


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_samples_of_a_tar(format: int, tmp_path: Path) -> None:
    files = samples(0, 6)
    if format != tarfile.USTAR_FORMAT:
        files["long/" + "x" * 150 + ".png"] = encoded(noise(9, 8, 8))
        files["émoji.png"] = encoded(noise(10, 8, 8))
    source = open_source(write_tar(tmp_path / "a.tar", files, format))
    assert source.kind == "tar" and [e.name for e in source.entries] == [n for n in files if n.endswith(".png")]
    entry = source.entries[3]
    assert (entry.label, entry.text, dict(entry.attributes)) == ("1", "a fish 3", {"hue": 0.3})
    assert all(entry.read() == files[entry.name] for entry in source.entries)


def test_a_folder_of_tars_is_one_set(tmp_path: Path) -> None:
    root = tmp_path / "set"
    root.mkdir()
    write_tar(root / "s-0.tar", samples(0, 12))
    write_tar(root / "s-1.tar", samples(0, 12) | {"0003.png": encoded(noise(99, 8, 8))})
    found = scan(root)
    assert len(found.pictures) == 24 and len(found.distinct) == 13 and found.labels == {"0": 12, "1": 12}
    data = prepare(root, tmp_path / "run")
    assert len(data.train) + len(data.held_out) == 13
    assert prepare(root, tmp_path / "run").manifest == data.manifest  # opened again


def write_parquet(path: Path, count: int, **columns: list[object]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [{"bytes": encoded(noise(i, 8, 8)), "path": f"{i}.png"} for i in range(count)]
    label = {"_type": "ClassLabel", "names": ["cat", "dog"]}
    features = {"info": {"features": {"image": {"_type": "Image"}, "label": label}}}
    table = pa.table({"image": images} | columns).replace_schema_metadata({"huggingface": json.dumps(features)})
    parquet.write_table(table, path, row_group_size=5)
    return path


def test_rows_of_a_parquet_file(tmp_path: Path) -> None:
    labels, texts = [0, 1, -1] * 4, [f"a fish {i}" for i in range(12)]
    place = tmp_path / "set/data/train-00000-of-00001.parquet"
    write_parquet(place, 12, label=labels, caption=texts, hue=[i / 4 for i in range(12)])
    (tmp_path / "set/README.md").write_text("a card")
    for source in (open_source(place), open_source(tmp_path / "set")):
        assert source.kind == "parquet" and [e.label for e in source.entries] == ["cat", "dog", None] * 4
        assert [e.text for e in source.entries] == texts and source.entries[5].attributes == {"hue": 1.25}
        assert all(entry.read() == encoded(noise(i, 8, 8)) for i, entry in enumerate(source.entries))
    data = prepare(tmp_path / "set", tmp_path / "run")
    assert data.pictures.labels == ("cat", "dog") and len(data.train) + len(data.held_out) == 12


def test_hostile_tars(tmp_path: Path) -> None:
    good = encoded(noise(0, 8, 8))
    path = tmp_path / "a.tar"
    with tarfile.open(write_tar(path, {"../up.png": good, "/root.png": good, "ok.png": good}), "a") as archive:
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        for kind in (tarfile.CHRTYPE, tarfile.LNKTYPE):
            other = tarfile.TarInfo("device.png")
            other.type, other.linkname = kind, "ok.png"
            archive.addfile(other)
    found = scan(path, limits=Limits(max_file_bytes=len(good)))
    assert [p.name for p in found.pictures] == ["ok.png"]
    assert {q.name: q.reason for q in found.quarantined} == dict.fromkeys(
        ("../up.png", "/root.png"), "has a name that leads out of the tar file"
    )
    assert "link.png, which is no regular file" in " ".join(found.notes)
    write_tar(path, {"ok.png": good})
    with pytest.raises(InputError, match="is a file of 0 MiB: the maximum is 0 MiB"):
        scan(path, limits=Limits(max_file_bytes=len(good) - 1))


def test_tars_that_lie_about_sizes(tmp_path: Path) -> None:
    """An extended header of 4 GiB, and a file that is said to be longer than the tar."""
    good = write_tar(tmp_path / "good.tar", samples(0, 3)).read_bytes()
    for kind, words in (
        (tarfile.XHDTYPE, "cut off"),
        (tarfile.REGTYPE, "cut off"),
        (tarfile.GNUTYPE_LONGNAME, "cut off"),
    ):
        info = tarfile.TarInfo("large.png")
        info.size, info.type = 2**32, kind
        end = good.rstrip(b"\0")
        end += b"\0" * (-len(end) % 512)
        (tmp_path / "bad.tar").write_bytes(end + info.tobuf(tarfile.USTAR_FORMAT) + b"x" * 512)
        source = open_source(tmp_path / "bad.tar")
        assert len(source.entries) == 3 and words in source.notes[0]
    with (tmp_path / "sparse.tar").open("wb") as file:  # the header is there in full: a hole of 4 GiB
        file.write(info.tobuf(tarfile.USTAR_FORMAT))
        os.truncate(file.fileno(), 2**32 + 1024)
    with pytest.raises(InputError, match="holds no pictures"):
        open_source(tmp_path / "sparse.tar")


@pytest.mark.parametrize("name", ["a.tar", "a.parquet"])
def test_files_of_other_kinds_are_refused(name: str, tmp_path: Path) -> None:
    for content in (b"", b"PAR1", os.urandom(2000), b"\x1f\x8b" + bytes(2000)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError) as error:
            open_source(tmp_path / name)
        assert "\n" not in str(error.value)


def test_parquet_without_pictures_or_bytes(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"text": ["a"]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="has no column image, only text"):
        open_source(tmp_path / "a.parquet")
    parquet.write_table(pa.table({"image": [{"bytes": None, "path": "/etc/passwd"}]}), tmp_path / "b.parquet")
    with pytest.raises(InputError, match="is not stored in the Parquet file, only its name is"):
        scan(tmp_path / "b.parquet")


def test_without_pyarrow_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_parquet(tmp_path / "a.parquet", 2)
    monkeypatch.setattr(sys.modules["noisette.data.parquet_file"], "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'noisette\[parquet\]'"):
        open_source(tmp_path / "a.parquet")


def test_tar_and_parquet_in_processes(tmp_path: Path) -> None:
    """Each process reads at positions of its own."""
    from noisette.data.parallel import map_chunks

    write_parquet(tmp_path / "a.parquet", 40, label=[i % 2 for i in range(40)])
    write_tar(tmp_path / "a.tar", samples(0, 40))
    for name in ("a.tar", "a.parquet"):
        entries = open_source(tmp_path / name).entries
        found = list(map_chunks(lambda i, entries=entries: entries[i].read(), 40, workers=2))  # type: ignore[misc]
        assert found == [encoded(noise(i, 8, 8)) for i in range(40)]


def test_pixels_are_those_of_the_files(tmp_path: Path) -> None:
    data = prepare(write_tar(tmp_path / "a.tar", samples(0, 12)), tmp_path / "run")
    rows = {f.name: f.row for f in data.manifest.files}
    for i in range(12):
        assert (data.pixel_array[rows[f"{i:04d}.png"]] == noise(i, 8, 8).transpose(2, 0, 1)).all()
    assert isinstance(data.pixel_array, np.ndarray)
