import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from faults import counted, failing
from noisette.errors import InputError
from noisette.io.files import (
    HOST_ID,
    PROCESS_TOKEN,
    atomic_folder,
    atomic_write,
    file_sha256,
    free_bytes,
    remove_leftovers,
    require_space,
)
from noisette.io.json_files import read_json, write_json

DEAD = 2**22 + 1  # above the largest process number of Linux


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# ── a file ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_file_is_written_from_bytes_or_by_a_function(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folders" / "a"
    atomic_write(path, b"one")
    assert path.read_bytes() == b"one"
    atomic_write(str(path), lambda file: file.write(b"two"))
    assert path.read_bytes() == b"two" and names(path.parent) == ["a"]
    assert file_sha256(path) == "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3"  # sha256sum's


def test_a_writer_that_fails_leaves_the_file_before(tmp_path: Path) -> None:
    atomic_write(tmp_path / "a", b"one")

    def fail(file: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        atomic_write(tmp_path / "a", fail)
    assert contents(tmp_path) == {"a": b"one"}


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    atomic_write(tmp_path / "there" / "a", b"one")
    (tmp_path / "link").symlink_to(tmp_path / "there" / "a")
    atomic_write(tmp_path / "link", b"two")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "there" / "a").read_bytes() == b"two"


# ── a folder ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "x" / "a") as part:
        (part / "deep").mkdir()
        (part / "deep" / "file").write_bytes(b"1")
        assert not (tmp_path / "x" / "a").exists() and part.parent == tmp_path / "x"
    assert contents(tmp_path) == {"x/a/deep/file": b"1"} and names(tmp_path / "x") == ["a"]


def test_a_folder_with_files_is_replaced_only_with_the_option(tmp_path: Path) -> None:
    atomic_write(tmp_path / "a" / "old", b"1")
    with pytest.raises(InputError, match="is not empty"), atomic_folder(tmp_path / "a"):
        pytest.fail("the block must not run")
    with atomic_folder(tmp_path / "a", replace=True) as part:
        (part / "new").write_bytes(b"2")
    assert contents(tmp_path) == {"a/new": b"2"} and names(tmp_path) == ["a"]
    (tmp_path / "empty").mkdir()
    with atomic_folder(tmp_path / "empty") as part:
        (part / "new").write_bytes(b"3")
    assert (tmp_path / "empty" / "new").read_bytes() == b"3"


def test_a_block_that_raises_changes_nothing(tmp_path: Path) -> None:
    atomic_write(tmp_path / "a" / "old", b"1")
    with pytest.raises(ZeroDivisionError), atomic_folder(tmp_path / "a", replace=True) as part:
        (part / "new").write_bytes(b"2")
        print(1 / 0)
    assert contents(tmp_path) == {"a/old": b"1"} and names(tmp_path) == ["a"]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="reads the names of open files")
def test_everything_is_on_the_disk_before_the_name_is(tmp_path: Path) -> None:
    """Order: flush the content, rename, flush the parent, and only then remove the old folder."""
    atomic_write(tmp_path / "a" / "old", b"1")
    with counted() as calls, atomic_folder(tmp_path / "a", replace=True) as part:
        (part / "deep").mkdir()
        (part / "deep" / "file").write_bytes(b"1")
        (part / "file").write_bytes(b"1")
    renamed = [i for i, (what, _) in enumerate(calls) if what == "os.rename"]
    flushed = {where: i for i, (what, where) in enumerate(calls) if what == "fsync"}
    removed = [i for i, (what, _) in enumerate(calls) if what in ("os.remove", "os.rmdir")]
    assert flushed.keys() - {str(tmp_path)} == {str(part / p) for p in (".", "file", "deep", "deep/file")}
    assert max(flushed[p] for p in flushed if p != str(tmp_path)) < min(renamed)
    assert max(renamed) < flushed[str(tmp_path)] < min(removed)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="reads the names of open files")
def test_folders_made_on_the_way_are_on_the_disk_first(tmp_path: Path) -> None:
    with counted() as calls:
        atomic_write(tmp_path / "a" / "b" / "file", b"1")
    assert [(what, where) for what, where in calls if what in ("os.mkdir", "fsync")][:4] == [
        ("os.mkdir", str(tmp_path / "a")), ("fsync", str(tmp_path)),
        ("os.mkdir", str(tmp_path / "a" / "b")), ("fsync", str(tmp_path / "a")),
    ]  # fmt: skip


# ── what dead processes leave ─────────────────────────────────────────────────────────────────────────────────────


def test_leftovers_of_dead_processes_are_removed_and_of_living_ones_kept(tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    dead, me = f"{DEAD}-{HOST_ID}-0123abcd-0", f"{os.getpid()}-{HOST_ID}-{PROCESS_TOKEN}-77"
    before_me = f"{os.getpid()}-{HOST_ID}-{'0' * 8}-0"  # a process of my number, which a container starts again
    elsewhere = f"1-{int(HOST_ID, 16) ^ 1:08x}-0123abcd-0"
    kept = [f"a.part-{me}", f"a.part-{other.pid}-{HOST_ID}-0123abcd-0", f"b.part-{elsewhere}", "mine.part", "a.part-1"]
    gone = [f"a.part-{dead}", f"b.part-{dead}", f"b.part-{before_me}", f"c.part-{elsewhere}"]
    for name in kept + gone:
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(b"1")
    (tmp_path / f"file.part-{dead}").write_bytes(b"1")
    os.utime(tmp_path / f"c.part-{elsewhere}", (0, time.time() - 2 * 86400))
    assert sorted(remove_leftovers(tmp_path, "b")) == sorted(name for name in gone if name.startswith("b"))
    assert len(remove_leftovers(tmp_path)) == 3
    assert names(tmp_path) == sorted(kept)
    other.communicate(b"\n")


def test_leftovers_within_leftovers_are_cleared(tmp_path: Path) -> None:
    """Of a process that died while it replaced a part of a folder that it was writing."""
    ending = f"{2**22 + 1}-{HOST_ID}-0123abcd"
    for kind in ("part", "old"):
        (tmp_path / f"model.part-{ending}-3.{kind}-{ending}-4").mkdir()
    (tmp_path / f"model.part-{ending}-3").mkdir()
    (tmp_path / f"other.part-{ending}-1").mkdir()
    with atomic_folder(tmp_path / "model") as part:
        (part / "weights").write_bytes(b"1")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model", f"other.part-{ending}-1"]
    atomic_write(tmp_path / "text", b"2")  # the first file that this process writes here
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model", "text"]


def test_a_folder_whose_replacement_was_cut_short_is_put_back(tmp_path: Path) -> None:
    old = tmp_path / f"a.old-{DEAD}-{HOST_ID}-0123abcd-0"
    atomic_write(old / "file", b"1")
    assert remove_leftovers(tmp_path, "a") == [] and contents(tmp_path) == {"a/file": b"1"}
    atomic_write(old / "file", b"0")
    assert remove_leftovers(tmp_path, "a") == [old.name] and contents(tmp_path) == {"a/file": b"1"}


# ── disks that refuse ─────────────────────────────────────────────────────────────────────────────────────────────


def write_file(place: Path) -> None:
    atomic_write(place / "a", b"22")


def write_folder(place: Path) -> None:
    with atomic_folder(place / "b", replace=True) as part:
        (part / "one").write_bytes(b"22")
        (part / "two").write_bytes(b"22")


@pytest.mark.parametrize("write", [write_file, write_folder])
def test_a_full_disk_at_any_call_leaves_what_was_there(tmp_path: Path, write) -> None:  # type: ignore[no-untyped-def]
    first = tmp_path / "0"
    atomic_write(first / "a", b"1"), atomic_write(first / "b" / "one", b"1")
    with counted() as calls:
        write(first)
    number = len(calls)
    assert number >= 4
    refused = 0
    for at in range(1, number + 1):
        place = tmp_path / str(at)
        atomic_write(place / "a", b"1"), atomic_write(place / "b" / "one", b"1")
        before = contents(place)
        message = ""
        try:
            with counted(failing(at)):
                write(place)
        except InputError as error:
            message = str(error)
        if not message or "was written, but the disk did not confirm it" in message:  # it failed after the renaming
            assert contents(place).items() >= contents(first).items()
            continue
        refused += 1
        assert "the disk is full" in message and " free)" in message and "nothing was changed" in message
        assert contents(place) == before and names(place) == ["a", "b"]
    assert refused >= 3


def test_a_disk_that_is_really_full(small_disk: Path) -> None:
    atomic_write(small_disk / "a", b"1")
    with pytest.raises(InputError, match=r"a: the disk is full \(3\.0 MB needed, 1\.0 MB free\); nothing was changed"):
        atomic_write(small_disk / "a", bytes(3_000_000))
    with pytest.raises(InputError, match="the disk is full"), atomic_folder(small_disk / "b") as part:
        (part / "x").write_bytes(bytes(900_000))
        (part / "y").write_bytes(bytes(900_000))
    assert contents(small_disk) == {"a": b"1"} and names(small_disk) == ["a"]
    with pytest.raises(InputError, match="needed"), atomic_folder(small_disk / "b", required_bytes=2_000_000):
        pytest.fail("the block must not run")
    assert 900_000 < free_bytes(small_disk / "not" / "yet" / "there") < 1_100_000
    require_space(small_disk, 900_000)


def test_a_disk_that_is_read_only(small_disk: Path) -> None:
    atomic_write(small_disk / "a", b"1")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(InputError, match="the disk is read-only"):
        atomic_write(small_disk / "a", b"2")
    with pytest.raises(InputError, match="the disk is read-only"), atomic_folder(small_disk / "b" / "c"):
        pytest.fail("the block must not run")
    assert contents(small_disk) == {"a": b"1"}


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    atomic_write(tmp_path / "file", b"1")
    for write in (lambda p: atomic_write(p, b"2"), lambda p: atomic_folder(p).__enter__()):
        for path in (tmp_path / "file" / "a", tmp_path / "file" / "a" / "b"):
            with pytest.raises(InputError, match=f"cannot write {path}: a part of its path is a file, not a folder"):
                write(path)
    with pytest.raises(InputError, match="a file is in the way"):
        atomic_folder(tmp_path / "file", replace=True).__enter__()
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="a folder is in the way"):
        atomic_write(tmp_path / "folder", b"2")
    with pytest.raises(InputError, match="the name is too long"):
        atomic_write(tmp_path / ("x" * 250), b"2")
    with (
        counted(failing(1, errno.EACCES)),
        pytest.raises(InputError, match="permission is denied; nothing was changed"),
    ):
        atomic_write(tmp_path / "file", b"2")
    assert contents(tmp_path) == {"file": b"1"} and names(tmp_path) == ["file", "folder"]


def test_an_error_that_is_not_the_disks_is_not_explained_away(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_folder(tmp_path / "a"):
        (tmp_path / "absent").read_bytes()
    assert names(tmp_path) == []


# ── JSON ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_json_round_trip(tmp_path: Path) -> None:
    value = {"name": "Größe", "x": [0.1, 1e-300, 2**53 + 1], "none": None}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value and "Größe" in (tmp_path / "a.json").read_text("utf-8")
    with pytest.raises(InputError, match="not finite"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert read_json(tmp_path / "a.json") == value


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'{"a": 1,\n "b": }', "line 2, column 7"),
        (b"", "line 1, column 1"),
        (b"\xff\xfe", "utf-8"),
        (b"[" * 200_000, "recursion"),
        (b"9" * 5000, "the number 9+…9+ is out of range"),
        (b"18446744073709551616", "out of range"),
        (b"[1e999]", "not finite"),
        (b"NaN", "not finite"),
        (b"[" * 65 + b"]" * 65, "nested more than 64 times"),
    ],
)
def test_json_that_is_none(tmp_path: Path, data: bytes, says: str) -> None:
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(InputError, match=says) as caught:
        read_json(tmp_path / "a.json")
    assert str(tmp_path / "a.json") in str(caught.value)


def test_json_that_is_absent(tmp_path: Path) -> None:
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(InputError, match=f"cannot read {path}"):
            read_json(path)
