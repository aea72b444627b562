"""Files that are wholly there or not there at all.

A thing is written beside its place as `NAME.part-PID-TOKEN`, flushed to the disk, renamed, and the folder that holds
it is flushed as well: a crash, a kill or a full disk at any moment leaves what was there before, or the new thing.
Replacing a folder takes two renames; in between, the one before is called `NAME.old-PID-TOKEN`, and `sweep` puts it
back if the process died just then.
"""

import errno
import hashlib
import itertools
import json
import os
import platform
import re
import shutil
import time
import uuid
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import psutil

from .errors import InputError

CAUSES = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota on this disk is used up",
    errno.EFBIG: "the file would be larger than the system allows",
    errno.EIO: "the disk reports a fault",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "permission is denied",
    errno.EPERM: "permission is denied",
    errno.ENOTDIR: "a part of its path is a file, not a folder",
    errno.EEXIST: "a file is in the way",
    errno.EISDIR: "a folder is in the way",
    errno.ENAMETOOLONG: "the name is too long",
}  # what a user can do something about; any other error of the system is raised as it is

HOST = f"{zlib.crc32(platform.node().encode()):08x}"
TOKEN = uuid.uuid4().hex[:8]  # tells this process from an earlier one with the same number
COUNT = itertools.count()
LEFTOVER = re.compile(r"(?P<name>.+)\.(?P<kind>part|old)-(?P<pid>\d+)-(?P<host>[0-9a-f]{8})-(?P<token>[0-9a-f]{8})-\d+")
FORGOTTEN = 86400.0  # seconds after which another machine's leftovers count as dead


# ── writing ───────────────────────────────────────────────────────────────────────────────────────────────────────


def atomic_write(path: str | Path, data: bytes | Callable[[BinaryIO], object]) -> None:
    """Put bytes, or what a function writes into a file, at `path`, wholly or not at all.

    Missing folders are made. A full disk and a place that cannot be written are an `InputError`; `path` is then as
    it was, and no temporary file stays behind.
    """
    path = _real(path)
    with explained(path, len(data) if isinstance(data, bytes) else 0):
        _make(path.parent)
        part = _beside(path, "part")
        try:
            with part.open("wb") as file:
                file.write(data) if isinstance(data, bytes) else data(file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        _confirm(path)


@contextmanager
def atomic_folder(path: str | Path, *, need: int = 0, replace: bool = False) -> Iterator[Path]:
    """A temporary folder to write into, which becomes `path` at the end of the block, wholly or not at all.

    `need` bytes must be free before anything is written. A folder that holds something is in the way unless `replace`.
    Errors as in `atomic_write`; if the block raises, `path` is as it was.
    """
    path = _real(path)
    with explained(path, need):
        _make(path.parent)
        sweep(path.parent, path.name)
        if path.exists() and not path.is_dir():
            raise FileExistsError(errno.EEXIST, "a file is in the way", str(path))
        if not replace and path.exists() and any(path.iterdir()):
            raise InputError(f"{path} already holds something: give a new or an empty folder")
        require_space(path, need)
        part, old = _beside(path, "part"), _beside(path, "old")
        try:
            part.mkdir()
            yield part
            _sync_tree(part)
            if path.exists():
                path.rename(old)
            part.rename(path)
        except BaseException:
            if old.exists() and not path.exists():
                old.rename(path)
            shutil.rmtree(part, ignore_errors=True)
            raise
        _confirm(path)
        shutil.rmtree(old, ignore_errors=True)


def sweep(folder: Path, name: str | None = None) -> list[str]:
    """Clear what dead processes left half-written in `folder` (only of the thing called `name`, if given); its names.

    A folder that was being replaced when its process died is put back instead.
    """
    cleared = []
    for entry in sorted(folder.iterdir()) if folder.is_dir() else []:
        match = LEFTOVER.fullmatch(entry.name)
        if match is None or (name is not None and match["name"] != name) or not _abandoned(entry, match):
            continue
        place = entry.with_name(match["name"])
        with suppress(OSError):  # a reader may not be allowed to, and need not
            if match["kind"] == "old" and not place.exists():
                entry.rename(place)
            else:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
                cleared.append(entry.name)
    return cleared


def discard(folder: Path) -> None:
    """Remove a folder so that it is never seen half-removed; one that cannot be removed stays."""
    with suppress(OSError):
        gone = _beside(folder, "part")
        folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


def free_bytes(path: str | Path) -> int:
    """Bytes that can still be written where `path` is, or will be."""
    place = Path(path).absolute()
    return shutil.disk_usage(next(p for p in (place, *place.parents) if p.is_dir())).free


def require_space(path: str | Path, need: int) -> None:
    """Refuse to begin what cannot fit."""
    if need and free_bytes(path) < need:
        raise InputError(_unwritten(Path(path), CAUSES[errno.ENOSPC], need))


def _real(path: str | Path) -> Path:
    """With a name of its own; where it is a link, it is the thing that is replaced, not the link."""
    path = Path(path)
    return path.resolve() if path.is_symlink() or path.name in ("", "..") else path


def _beside(path: Path, kind: str) -> Path:
    return path.with_name(f"{path.name}.{kind}-{os.getpid()}-{HOST}-{TOKEN}-{next(COUNT)}")


def _abandoned(entry: Path, match: re.Match[str]) -> bool:
    if match["host"] != HOST:
        return time.time() - entry.lstat().st_mtime > FORGOTTEN
    pid = int(match["pid"])
    return match["token"] != TOKEN if pid == os.getpid() else not psutil.pid_exists(pid)


def _make(folder: Path) -> None:
    """Make a folder and those above it; their names, too, are on the disk before anything is put into them."""
    for missing in reversed([p for p in (folder, *folder.parents) if not p.exists()]):
        missing.mkdir(exist_ok=True)
        _sync(missing.parent)


def _sync(path: Path) -> None:
    """Have a file's bytes, or a folder's names, on the disk. Windows cannot open a folder, and need not."""
    if os.name == "nt" and path.is_dir():
        return
    fd = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _sync_tree(folder: Path) -> None:
    for entry in folder.iterdir():
        _sync_tree(entry) if entry.is_dir() else _sync(entry)
    _sync(folder)


def _confirm(path: Path) -> None:
    """The last step, after the rename: it can fail, but then the new thing is in place."""
    try:
        _sync(path.parent)
    except OSError as error:
        cause = CAUSES.get(error.errno or 0, error.strerror)
        raise InputError(f"{path} is written, but the disk did not confirm it ({cause}): check the disk") from error


@contextmanager
def explained(path: Path, need: int = 0) -> Iterator[None]:
    """Turn what the system says of a write into a sentence for people."""
    try:
        yield
    except OSError as error:
        if error.errno not in CAUSES:
            raise
        raise InputError(_unwritten(path, CAUSES[error.errno], need, error.errno)) from error


def _unwritten(path: Path, cause: str, need: int, number: int = errno.ENOSPC) -> str:
    if number not in (errno.ENOSPC, errno.EDQUOT):
        return f"cannot write {path}: {cause}; nothing was changed there, give a place that can be written"
    needs = f"{megabytes(need)} needed, " if need else ""
    return (
        f"cannot write {path}: {cause} ({needs}{megabytes(free_bytes(path))} free); "
        "what was there before is untouched, make room and try again"
    )


def megabytes(size: int) -> str:
    """A size for people: "12.3 MB"."""
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size:,} bytes"


# ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────


def sha256_of(path: str | Path) -> str:
    """The SHA-256 of a file, 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_bytes(path: str | Path) -> bytes:
    """The whole of a file; one that is absent or cannot be read is an `InputError`."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error


def read_json(path: str | Path) -> Any:
    """What a JSON file holds; an `InputError` names the file and the place where it is not JSON."""
    data = read_bytes(path)
    try:
        return json.loads(data.decode("utf-8"))
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from error
    except (ValueError, RecursionError) as error:  # not UTF-8, a number of thousands of digits, nested without end
        raise InputError(f"{path} is not JSON: {error}") from error


def json_bytes(value: object, where: str | Path) -> bytes:
    """A value as JSON that any program can read: NaN and infinity are refused. `where` it is meant for."""
    try:
        return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
    except ValueError as error:
        raise InputError(f"cannot write {where}: it would hold a number that is not finite") from error


def write_json(path: str | Path, value: object) -> None:
    """Write a value as JSON, wholly or not at all."""
    atomic_write(path, json_bytes(value, path))
