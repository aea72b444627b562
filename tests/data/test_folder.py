"""Folders, zips of them, and the metadata that says what the pictures are."""

import io
import json
import os
import stat
import zipfile
from pathlib import Path

import pytest

from noisette.data import open_source, scan
from noisette.data.entry import Limits, Source
from noisette.errors import InputError

from .build import encoded, folder, noise, put


def zipped(root: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(p for p in root.rglob("*") if p.is_file()):
            archive.write(file, file.relative_to(root.parent).as_posix())
    return path


def labels(source: Source) -> dict[str, str | None]:
    return {e.name: e.label for e in source.entries}


def test_sub_folders_are_labels(tmp_path: Path) -> None:
    folder(tmp_path, "cat/a.png", "cat/old/b.PNG", "dog/a.jpeg", "free.webp", ".hidden/x.png", "dog/.DS_Store")
    put(tmp_path / "notes.txt", b"hello")
    found = open_source(tmp_path)
    assert labels(found) == {"cat/a.png": "cat", "cat/old/b.PNG": "cat", "dog/a.jpeg": "dog", "free.webp": None}
    assert found.kind == "folder" and found.notes == (
        "pictures outside subfolders, without a label: 1",
        "other files, ignored: 1 .txt",
    )


def test_a_folder_that_all_share_is_no_label(tmp_path: Path) -> None:
    found = open_source(folder(tmp_path, "sprites/a.png", "sprites/b.png"))
    assert set(labels(found).values()) == {None}
    assert found.notes == ("all pictures are in one folder, sprites, so its name is not used as a label",)
    put(tmp_path / "sprites/red/c.png", noise(3))
    put(tmp_path / "sprites/blue/c.png", noise(4))
    assert set(labels(open_source(tmp_path)).values()) == {None, "red", "blue"}


def test_a_zip_is_read_as_its_folder(tmp_path: Path) -> None:
    root = folder(tmp_path / "set", "cat/a.png", "dog/b.png", "dog/c.png", "__MACOSX/cat/._a.png")
    packed = open_source(zipped(root, tmp_path / "set.zip"))
    plain = open_source(root)
    assert packed.kind == "zip"
    assert {n.removeprefix("set/"): label for n, label in labels(packed).items()} == labels(plain)
    for one, other in zip(packed.entries, plain.entries, strict=True):
        assert one.read() == other.read()


def jsonl(path: Path, *rows: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in rows), encoding="utf-8")


def test_metadata_jsonl(tmp_path: Path) -> None:
    folder(tmp_path, "a.png", "b.png", "sub/c.png", "d.png")
    jsonl(
        tmp_path / "metadata.jsonl",
        {"file_name": "a.png", "label": "potion", "text": "a red flask", "size": 3, "magic": True},
        "",
        {"file_name": "sub\\c.png", "label": 7, "size": 4.5, "magic": None, "kind": "green"},
        {"file_name": "./b.png", "label": None, "size": float("nan"), "magic": False},
    )
    found = open_source(tmp_path)
    a, b, c = found.entries
    assert (a.name, a.label, a.text, a.attributes) == ("a.png", "potion", "a red flask", {"size": 3.0, "magic": "true"})
    assert (b.name, b.label, b.text, b.attributes) == ("b.png", None, None, {"magic": "false"})
    assert (c.name, c.label, c.attributes) == ("sub/c.png", "7", {"size": 4.5, "kind": "green"})
    assert found.notes == ("pictures that are not in metadata.jsonl, left out: 1",)


def test_metadata_csv(tmp_path: Path) -> None:
    folder(tmp_path, "x/a.png", "y/b.png")
    (tmp_path / "metadata.csv").write_text(
        '\ufefffile_name,text,weight,year,code\r\nx/a.png,"one, two",1.5,1999,7\r\ny/b.png,,,2001,x9\r\n',
        encoding="utf-8",
    )
    a, b = open_source(tmp_path).entries
    assert (a.label, a.text, a.attributes) == ("x", "one, two", {"weight": 1.5, "year": 1999.0, "code": "7"})
    assert (b.label, b.text, b.attributes) == ("y", None, {"year": 2001.0, "code": "x9"})  # folders still label


def test_metadata_inside_the_folder_of_a_zip(tmp_path: Path) -> None:
    root = folder(tmp_path / "set", "a.png", "b.png")
    jsonl(root / "metadata.jsonl", {"file_name": "a.png", "label": "p"}, {"file_name": "b.png", "label": "q"})
    found = open_source(zipped(root, tmp_path / "set.zip"))
    assert labels(found) == {"set/a.png": "p", "set/b.png": "q"}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (['{"file_name": "gone.png"}', '{"file_name": "a.png"}'], "names 1 of 2 files that do not exist: gone.png"),
        (['{"file_name": "../a.png"}'], "names ../a.png, which lies outside"),
        (['{"file_name": "/etc/passwd"}'], "names /etc/passwd, which lies outside"),
        (['{"file_name": "C:\\\\a.png"}'], "names C:/a.png, which lies outside"),
        (['{"file_name": "a.png"}', '{"file_name": "a.png"}'], "names a.png twice"),
        (['{"file_name": "a.png"'], "line 1 of metadata.jsonl of .* is not JSON"),
        (["[1]"], "line 1 of .* is not an object"),
        (["[" * 100_000], "line 1 of .* is not JSON"),
        (['{"name": "a.png"}'], "row 1 of .* has no file_name"),
        (['{"file_name": "a.png", "label": ["x"]}'], 'a label in .* is \\["x"\\]'),
        (["", " "], "has no rows"),
    ],
)  # fmt: skip
def test_bad_metadata_is_refused_in_words(tmp_path: Path, rows: list[str], words: str) -> None:
    jsonl(folder(tmp_path, "a.png") / "metadata.jsonl", *rows)
    with pytest.raises(InputError, match=words):
        open_source(tmp_path)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (b"name,label\na.png,x\n", "must name a column file_name: it has name, label"),
        (b"file_name,label\na.png\n", "row 1 of .* does not have 2 cells"),
        (b"file_name,label\na.png,x\nb.png,y,z\n", "row 2 of .* does not have 2 cells"),
        (b"file_name,a,a\na.png,1,2\n", "names a column twice"),
        (b'file_name,a\n"a.png,1\n', "cannot be read as CSV"),
        (b"file_name\n\x81\xfe.png\n", "is not UTF-8"),
        (b"", "must name a column file_name: it is empty"),
    ],
)
def test_a_bad_table_is_refused_in_words(tmp_path: Path, table: bytes, words: str) -> None:
    put(folder(tmp_path, "a.png") / "metadata.csv", table)
    with pytest.raises(InputError, match=words):
        open_source(tmp_path)
    jsonl(tmp_path / "metadata.jsonl", {"file_name": "a.png"})
    with pytest.raises(InputError, match=r"both metadata.jsonl and metadata.csv"):
        open_source(tmp_path)


def test_halves_of_characters_can_be_written_down(tmp_path: Path) -> None:
    folder(tmp_path, "a.png")
    jsonl(tmp_path / "metadata.jsonl", r'{"file_name": "a.png", "text": "\ud800", "la\ud800": "\udfff"}')
    (one,) = open_source(tmp_path).entries
    assert f"{one.text}{one.attributes}".encode()
    if os.name == "posix":
        put(Path(os.fsdecode(os.fsencode(tmp_path) + b"/sub/caf\xe9.png")), noise(1))
        (tmp_path / "metadata.jsonl").unlink()
        assert [e.name.encode() for e in open_source(tmp_path).entries] == [b"a.png", rb"sub/caf\udce9.png"]
        assert len(scan(tmp_path).pictures) == 2


def test_nothing_to_train_on(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no pictures \(it is empty\)"):
        open_source(tmp_path)
    put(tmp_path / "a.txt", b"x")
    with pytest.raises(InputError, match="holds no pictures, only 1 other files"):
        open_source(tmp_path)
    put(tmp_path / "a.npy", b"x")
    with pytest.raises(InputError, match=r"but arrays \(give one of them: a.npy\)"):
        open_source(tmp_path)
    with pytest.raises(InputError, match=r"holds more than 1 files"):
        open_source(tmp_path, limits=Limits(max_entries=1))


def test_links_are_not_followed_out(tmp_path: Path) -> None:
    outside = folder(tmp_path / "outside", "secret.png", "more/b.png")
    root = folder(tmp_path / "set", "a.png", "b.png")
    (root / "link.png").symlink_to(outside / "secret.png")
    (root / "inner.png").symlink_to(root / "a.png")
    (root / "gone.png").symlink_to(root / "nothing.png")
    (root / "folder").symlink_to(outside)
    os.mkfifo(root / "pipe.png")
    found = scan(root)
    assert [p.name for p in found.pictures] == ["a.png", "b.png", "inner.png"]
    reasons = {q.name: q.reason for q in found.quarantined}
    assert reasons["link.png"] == "is a link to a file outside the folder (--follow-links reads what links lead to)"
    assert "no such file" in reasons["gone.png"] and "device or a pipe" in reasons["pipe.png"]
    assert "linked folders, left out: folder; --follow-links reads what links lead to" in found.notes


def test_a_zip_that_means_harm(tmp_path: Path) -> None:
    path, good = tmp_path / "bad.zip", encoded(noise())
    link = zipfile.ZipInfo("link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("good.png", good)
        archive.writestr("../../slip.png", good)
        archive.writestr("/root.png", good)
        archive.writestr("..\\back.png", good)
        archive.writestr(link, "/etc/passwd")
        archive.writestr("bomb.png", bytes(2**23))
        archive.writestr("large.png", os.urandom(2**21))
    found = scan(path, limits=Limits(max_file_bytes=2**20))
    assert [p.name for p in found.pictures] == ["good.png"]
    reasons = {q.name: q.reason for q in found.quarantined}
    assert reasons.keys() == {"../../slip.png", "/root.png", "../back.png", "link.png", "bomb.png", "large.png"}
    assert all("out of the zip" in reasons[n] for n in ("../../slip.png", "/root.png", "../back.png"))
    assert "is a link" in reasons["link.png"] and "8 MiB: the maximum is 1 MiB" in reasons["bomb.png"]
    (bomb,) = (q for q in scan(path).quarantined if q.name == "bomb.png")
    assert bomb.reason == "has a suspicious compression ratio: a zip bomb"
    assert not (tmp_path.parent / "slip.png").exists()


def test_a_zip_that_lies_about_its_sizes(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", encoded(noise()))
        archive.writestr("b.png", bytes(2**22))
    data = bytearray(buffer.getvalue())
    at = data.rindex(b"PK\1\2")
    data[at + 24 : at + 28] = (1000).to_bytes(4, "little")  # the size unpacked, in the directory
    found = scan(put(tmp_path / "lie.zip", bytes(data)))
    assert [p.name for p in found.pictures] == ["a.png"]
    assert found.quarantined[0].reason == "is damaged in the zip file"


def test_a_damaged_zip(tmp_path: Path) -> None:
    data = zipped(folder(tmp_path / "set", "a.png", "b.png", "c.png"), tmp_path / "ok.zip").read_bytes()
    for bad in (b"", b"PK\3\4 nothing", data[: len(data) // 2]):
        with pytest.raises(InputError, match=r"bad.zip cannot be read as a zip file"):
            open_source(put(tmp_path / "bad.zip", bad))
    flipped = bytearray(data)
    flipped[data.index(b"a.png") + 60] ^= 255
    found = scan(put(tmp_path / "flipped.zip", bytes(flipped)))
    assert [q.reason for q in found.quarantined] == ["is damaged in the zip file"] and len(found.pictures) == 2


def test_encrypted_members_are_named(tmp_path: Path) -> None:
    data = bytearray(zipped(folder(tmp_path / "set", "a.png", "b.png"), tmp_path / "ok.zip").read_bytes())
    data[data.rindex(b"PK\1\2") + 8] |= 1
    (bad,) = scan(put(tmp_path / "locked.zip", bytes(data))).quarantined
    assert bad.name == "set/b.png" and "is encrypted" in bad.reason
