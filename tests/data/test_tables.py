"""Metadata tables of pandas and spreadsheets, and the time and memory that parsing takes."""

import json
import struct
import time
import tracemalloc
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest

from noisette.data import open_source, prepare, scan
from noisette.data.attributes import MAX_CATEGORIES, MAX_COLUMNS, build_columns
from noisette.data.entry import Source
from noisette.data.metadata import parse_metadata
from noisette.errors import InputError

from .build import folder, noise, put

ROWS = [("a.png", "Größe", "1.5"), ("b.png", "naïve", "2")]
PLAIN = "file_name,label,size\n" + "".join(",".join(row) + "\n" for row in ROWS)


def read(root: Path, table: bytes, name: str = "metadata.csv") -> Source:
    folder(root, "a.png", "b.png")
    put(root / name, table)
    return open_source(root)


@pytest.mark.parametrize(
    "table",
    [
        PLAIN.encode(),
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        PLAIN.encode("cp1252"),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace(",", "\t").encode("utf-16"),  # "Unicode text" of a spreadsheet
        PLAIN.replace(",", ";").encode(),
        PLAIN.replace(",", ";").replace("1.5", "1,5").encode("cp1252"),
        b"sep=;\r\n" + PLAIN.replace(",", ";").encode(),
        PLAIN.replace(",", "|").encode(),
        ", ".join(["file_name", '"label"', "size"]).encode()
        + b'\n"a.png", "Gr\xc3\xb6\xc3\x9fe", 1.5\nb.png, "na\xc3\xafve", 2\n',
        b"\n\r\n" + PLAIN.encode(),
        "\n".join(f"{i - 1 if i else 'index'}," + line for i, line in enumerate(PLAIN.splitlines())).encode(),
        "\n".join(f"{i or 'ID'}," + line for i, line in enumerate(PLAIN.splitlines())).encode(),
        "\n".join(f"{line},," for line in PLAIN.splitlines()).encode() + b"\n,,,,\n,,,,\n",
        "\n".join(f"{i}," + line for i, line in enumerate(PLAIN.splitlines())).replace("0,", ",", 1).encode(),
        PLAIN.replace("file_name", "filename").encode(),
        "\n".join((f'"{i}",' if i else "") + line for i, line in enumerate(PLAIN.splitlines())).encode(),  # by R
        "\n".join(line + ("," if i else "") for i, line in enumerate(PLAIN.splitlines())).encode(),
        "\n".join(line + ("," if i else ",Unnamed: 3") for i, line in enumerate(PLAIN.splitlines())).encode(),
    ],
)
def test_all_encodings_and_separators_give_the_same_table(tmp_path: Path, table: bytes) -> None:
    found = read(tmp_path, table)
    assert [(e.name, e.label, e.attributes) for e in found.entries] == [
        ("a.png", "Größe", {"size": 1.5}),
        ("b.png", "naïve", {"size": 2.0}),
    ]


def test_numbers_that_do_not_count_the_rows_are_attributes(tmp_path: Path) -> None:
    found = read(tmp_path, b"file_name,id,frame\na.png,7,0\nb.png,8,1\n")
    assert [e.attributes for e in found.entries] == [{"id": 7, "frame": 0}, {"id": 8, "frame": 1}]
    counted = parse_metadata(b"file_name,id\na.png,1\nb.png,2\n", "metadata.csv", "here")
    assert counted.notes == ("columns that number the rows in metadata.csv of here, left out: id",)


def test_tables_of_another_name_are_reported(tmp_path: Path) -> None:
    found = read(tmp_path, PLAIN.encode(), "labels.csv")
    assert found.notes == (
        "other files, ignored: 1 .csv",
        "tables, not read: labels.csv; one of labels must be called metadata.csv and have a column file_name",
    )


def test_messages_are_short(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must name a column file_name: it has") as raised:
        read(tmp_path, b"\0" * 10_000)
    assert len(str(raised.value)) < 1000


def test_guesses_and_ignored_columns_are_reported(tmp_path: Path) -> None:
    found = read(tmp_path / "1", b",file_name,caption,box\n0,a.png,caf\xe9,x\n1,b.png,two,\n")
    where = f"metadata.csv of {tmp_path / '1'}"
    assert found.notes == (
        f"{where} is not UTF-8, so it was read as Windows-1252",
        f"columns without a name in {where}, left out: 1",
        f"texts are those of the column caption of {where}",
    )
    assert [e.text for e in found.entries] == ["café", "two"]
    nested = [
        {"image": {"path": n, "bytes": None}, "objects": {"bbox": [1]}, "tags": ["x"], "": 1}
        for n in ("a.png", "b.png")
    ]
    found = read(tmp_path / "2", "\n".join(map(json.dumps, nested)).encode(), "metadata.jsonl")
    where = f"metadata.jsonl of {tmp_path / '2'}"
    assert found.notes == (
        f"file names are those of the column image of {where}",
        f"columns of lists or objects in {where}, left out: objects, tags",
        f"columns without a name in {where}, left out: 1",
    )
    assert [e.attributes for e in found.entries] == [{}, {}]


def test_numbers_beyond_single_precision_are_left_out(tmp_path: Path) -> None:
    found = read(tmp_path, b"file_name,score,small\na.png,1e300,1\nb.png,-1e180,nan\n")
    assert [e.attributes for e in found.entries] == [{"small": 1.0}, {}]
    assert "columns with numbers beyond 1e+30 in metadata.csv" in found.notes[0]
    assert prepare(tmp_path, tmp_path / "run", held_out=0.5).pictures.attributes == ("small",)
    whole = "\n".join(json.dumps({"file_name": n, "hp": 10**400 if n == "a.png" else 2}) for n in ("a.png", "b.png"))
    (tmp_path / "metadata.csv").unlink()
    found = read(tmp_path, whole.encode(), "metadata.jsonl")
    assert [e.attributes for e in found.entries] == [{}, {}]
    assert "columns with numbers beyond 1e+30 in metadata.jsonl" in " ".join(found.notes)


def test_names_are_compared_in_nfc(tmp_path: Path) -> None:
    """In file names (decomposed on macOS), tables and labels."""
    apart = unicodedata.normalize("NFD", "é.png")
    put(tmp_path / apart, noise(0))
    put(tmp_path / "b.png", noise(1))
    put(tmp_path / "metadata.csv", f"file_name,label\né.png,{unicodedata.normalize('NFD', 'ñ')}\nb.png,x\n".encode())
    found = open_source(tmp_path)
    assert {e.name: e.label for e in found.entries} == {apart: "ñ", "b.png": "x"}
    for e in found.entries:
        e.read()
    (tmp_path / "metadata.csv").unlink()
    put(tmp_path / unicodedata.normalize("NFD", "ü") / "c.png", noise(2))
    assert {e.label for e in open_source(tmp_path).entries} == {"ü", None}


def test_parsing_time_is_linear_in_the_size() -> None:
    def seconds(n: int) -> float:
        first = json.dumps({"file_name": "0.png", **{f"c{i}": 1 for i in range(n)}})
        data = "\n".join([first, *(f'{{"file_name":"{i}.png"}}' for i in range(1, n))]).encode()
        start = time.process_time()
        rows = parse_metadata(data, "metadata.jsonl", "x").rows
        columns, _ = build_columns([row.attributes for row in rows])
        assert len(rows) == n and len(columns) == min(n, MAX_COLUMNS)
        return time.process_time() - start

    seconds(100)
    assert min(seconds(16_000) for _ in range(2)) < 40 * min(seconds(2_000) for _ in range(3))  # linear: 8


def test_attributes_beyond_the_maximum_are_left_out(tmp_path: Path) -> None:
    record: dict[str, float | str] = {f"c{i}": float(i) for i in range(MAX_COLUMNS + 5)}
    columns, notes = build_columns([record])
    assert len(columns) == MAX_COLUMNS and notes == (
        f"attributes left out: 5, beyond {MAX_COLUMNS} words and numbers together",
    )


def test_scan_reports_the_attributes_that_training_uses(tmp_path: Path) -> None:
    names = [f"{i}.png" for i in range(MAX_CATEGORIES + 20)]
    rows = "".join(f"{name},u{i},{i % 3}\n" for i, name in enumerate(names))
    source = folder(tmp_path / "set", *names)
    put(source / "metadata.csv", b"file_name,uid,kind\n" + rows.encode())
    attributes, notes = scan(source).attributes
    assert attributes == ["kind"] and notes == (
        f"attribute uid, left out: it has {len(names)} different words, the maximum is {MAX_CATEGORIES}",
    )
    assert prepare(source, tmp_path / "run").pictures.attributes == ("kind",)


def test_npz_bomb_is_refused_before_unpacking(tmp_path: Path) -> None:
    zeros = np.zeros((70, 1024, 1024), np.uint8)
    np.savez_compressed(tmp_path / "bomb.npz", images=zeros)
    np.savez_compressed(tmp_path / "extra.npz", images=noise(0, 40, 40)[None], extra=zeros)
    del zeros
    tracemalloc.start()
    with pytest.raises(InputError, match=r"images in .* unpacks to more than 100 times its size"):
        open_source(tmp_path / "bomb.npz")
    assert len(open_source(tmp_path / "extra.npz").entries) == 1
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


def test_npz_with_a_long_header_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """NumPy reads a header whole: 2 GB from an archive of 2 MB."""
    with zipfile.ZipFile(tmp_path / "long.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", b"\x93NUMPY\2\0" + struct.pack("<I", 2**31) + b" " * 2**26)
    tracemalloc.start()
    with pytest.raises(InputError, match=r"images\.npy in .* has a damaged header"):
        open_source(tmp_path / "long.npz")
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


@pytest.mark.parametrize("label", [1.0, float("nan")])
def test_whole_float_labels_are_read_as_integers(tmp_path: Path, label: float) -> None:
    rows = [{"file_name": "a.png", "label": label}, {"file_name": "b.png", "label": 2.0}]
    found = read(tmp_path, "\n".join(map(json.dumps, rows)).encode(), "metadata.jsonl")
    assert [e.label for e in found.entries] == ["1" if label == 1 else None, "2"]


def test_table_without_file_names_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must name a column file_name: it has id;other"):
        read(tmp_path, b"id;other\n1;2\n")
