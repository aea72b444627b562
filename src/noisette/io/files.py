"""Atomic writes of files and folders, and checked reads.

A file or folder is written next to its destination as `NAME.part-PID-HOST-TOKEN-N`, flushed to disk and renamed; then
the parent folder is flushed. A crash, a kill or a full disk at any moment leaves either the old or the new content.
Replacing a folder takes two renames; in between, the old one is called `NAME.old-PID-HOST-TOKEN-N`, and
`remove_leftovers` restores it if the process died at that moment.
"""

import errno
import hashlib
import itertools
import os
import platform
import re
import shutil
import stat
import time
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import psutil

from ..errors import InputError

ERROR_TEXTS = {
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
}  # errors that a user can correct; other OSErrors are not converted to InputError

HOST_ID = f"{zlib.crc32(platform.node().encode()):08x}"
PROCESS_TOKEN = uuid.uuid4().hex[:8]  # distinguishes this process from an earlier one with the same process id
COUNTER = itertools.count()
LEFTOVER_PATTERN = re.compile(
    r"(?P<name>.+)\.(?P<kind>part|old)-(?P<pid>\d+)-(?P<host>[0-9a-f]{8})-(?P<token>[0-9a-f]{8})-\d+"
)
LEFTOVER_MAX_AGE = 86400.0  # seconds; older leftovers of another machine are taken for abandoned
REUSE_SECONDS = 60.0  # a process that was started so long after a leftover was written has not written it
_swept: set[Path] = set()  # folders that this process has written to


# ── writing ───────────────────────────────────────────────────────────────────────────────────────────────────────


def atomic_write(path: str | Path, data: bytes | Callable[[BinaryIO], object]) -> None:
    """Write bytes, or what a function writes into the opened file, to `path` atomically.

    Missing folders are created. A full disk or a path that cannot be written raises `InputError`; `path` is then
    unchanged, and no temporary file remains. What killed processes have left in the folder is removed first.
    """
    path = _resolve_path(path)
    with explain_os_errors(path, len(data) if isinstance(data, bytes) else 0):
        _make_folders(path.parent)
        _sweep(path.parent)
        part = _temporary_path(path, "part")
        try:
            with part.open("wb") as file:
                file.write(data) if isinstance(data, bytes) else data(file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        _fsync_parent(path)


def write_files(folder: str | Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write files into a folder, by their names, each of them atomically; returns their paths."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        atomic_write(folder / name, content)
    return [folder / name for name in files]


@contextmanager
def atomic_folder(path: str | Path, *, required_bytes: int = 0, replace: bool = False) -> Iterator[Path]:
    """A temporary folder for the `with` block to write into, renamed to `path` at the end of the block.

    required_bytes: free space that is checked before the block. replace: whether a folder that is not empty may be
    replaced (else `InputError`). Errors as in `atomic_write`; if the block raises, `path` is unchanged.
    """
    path = _resolve_path(path)
    with explain_os_errors(path, required_bytes):
        _make_folders(path.parent)
        remove_leftovers(path.parent, path.name)
        if path.exists() and not path.is_dir():
            raise FileExistsError(errno.EEXIST, "a file is in the way", str(path))
        if not replace and path.exists() and any(path.iterdir()):
            raise InputError(f"{path} is not empty: give a new or an empty folder")
        require_space(path, required_bytes)
        part, old = _temporary_path(path, "part"), _temporary_path(path, "old")
        try:
            part.mkdir()
            yield part
            _fsync_tree(part)
            if path.exists():
                path.rename(old)
            part.rename(path)
        except BaseException:
            if old.exists() and not path.exists():
                old.rename(path)
            shutil.rmtree(part, ignore_errors=True)
            raise
        _fsync_parent(path)
        shutil.rmtree(old, ignore_errors=True)


def remove_leftovers(folder: Path, name: str | None = None) -> list[str]:
    """Remove incomplete files and folders of dead processes from `folder`; returns the names that were removed.

    A folder that was being replaced when its process died is restored instead. name: only leftovers of this entry.
    """
    removed = []
    for entry in sorted(folder.iterdir()) if folder.is_dir() else []:
        match = LEFTOVER_PATTERN.fullmatch(entry.name)
        if match is None or not _is_abandoned(entry, match):
            continue
        place, inner = entry.with_name(match["name"]), LEFTOVER_PATTERN.fullmatch(match["name"])
        if name is not None and name not in (match["name"], inner and inner["name"]):
            continue
        with suppress(OSError):  # without permission to write, the leftovers stay
            if match["kind"] == "old" and not place.exists() and inner is None:
                entry.rename(place)
            else:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
                removed.append(entry.name)
    return removed


def folder_bytes(folder: Path) -> int:
    """The sizes of all files in a folder and below; 0 if it is missing. Files that vanish meanwhile count nothing."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.lstat().st_size
    return total


def _sweep(folder: Path) -> None:
    """`remove_leftovers`, once per folder and process: it lists the folder, which may hold thousands of files."""
    if folder.absolute() not in _swept:
        _swept.add(folder.absolute())
        remove_leftovers(folder)


def remove_folder(folder: Path) -> None:
    """Remove a folder atomically (it is renamed first); a folder that cannot be removed stays."""
    with suppress(OSError):
        renamed = _temporary_path(folder, "part")
        folder.rename(renamed)
        shutil.rmtree(renamed, ignore_errors=True)


def free_bytes(path: str | Path) -> int:
    """Free bytes on the file system of `path`, which need not exist yet."""
    place = Path(path).absolute()
    return shutil.disk_usage(next(p for p in (place, *place.parents) if p.is_dir())).free


def require_space(path: str | Path, required_bytes: int) -> None:
    """Raise `InputError` if fewer than required_bytes are free at `path`."""
    if required_bytes and free_bytes(path) < required_bytes:
        raise InputError(_write_error_message(Path(path), ERROR_TEXTS[errno.ENOSPC], required_bytes))


def _resolve_path(path: str | Path) -> Path:
    """A path that ends in a name; a symbolic link is followed, so that its target is replaced and not the link."""
    path = Path(path)
    return path.resolve() if path.is_symlink() or path.name in ("", "..") else path


def _temporary_path(path: Path, kind: str) -> Path:
    return path.with_name(f"{path.name}.{kind}-{os.getpid()}-{HOST_ID}-{PROCESS_TOKEN}-{next(COUNTER)}")


def _is_abandoned(entry: Path, match: re.Match[str]) -> bool:
    if match["host"] != HOST_ID:
        return time.time() - entry.lstat().st_mtime > LEFTOVER_MAX_AGE
    pid = int(match["pid"])
    if pid == os.getpid():
        return match["token"] != PROCESS_TOKEN
    try:  # a process that was started later got the number of one that has ended
        return psutil.Process(pid).create_time() > entry.lstat().st_mtime + REUSE_SECONDS
    except psutil.NoSuchProcess:
        return True
    except (psutil.AccessDenied, FileNotFoundError):
        return False


def _make_folders(folder: Path) -> None:
    """Create a folder and its missing parents, and flush their directory entries."""
    for missing in reversed([p for p in (folder, *folder.parents) if not p.exists()]):
        missing.mkdir(exist_ok=True)
        _fsync(missing.parent)


def _fsync(path: Path) -> None:
    """Flush a file or a folder's entries to disk. Windows cannot open folders and does not need it for them."""
    if os.name == "nt" and path.is_dir():
        return
    fd = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _fsync_tree(folder: Path) -> None:
    for entry in folder.iterdir():
        _fsync_tree(entry) if entry.is_dir() else _fsync(entry)
    _fsync(folder)


def _fsync_parent(path: Path) -> None:
    """Flush the parent folder after the rename; if this fails, the new content is already in place."""
    try:
        _fsync(path.parent)
    except OSError as error:
        cause = ERROR_TEXTS.get(error.errno or 0, error.strerror)
        raise InputError(f"{path} was written, but the disk did not confirm it ({cause}): check the disk") from error


@contextmanager
def explain_os_errors(path: Path, required_bytes: int = 0) -> Iterator[None]:
    """Convert the errors in ERROR_TEXTS, raised in the `with` block, to an `InputError` with a readable message."""
    try:
        yield
    except OSError as error:
        if error.errno not in ERROR_TEXTS:
            raise
        raise InputError(_write_error_message(path, ERROR_TEXTS[error.errno], required_bytes, error.errno)) from error


def _write_error_message(path: Path, cause: str, required_bytes: int, error_number: int = errno.ENOSPC) -> str:
    if error_number not in (errno.ENOSPC, errno.EDQUOT):
        return f"cannot write {path}: {cause}; nothing was changed, give a path that can be written"
    needs = f"{format_size(required_bytes)} needed, " if required_bytes else ""
    return (
        f"cannot write {path}: {cause} ({needs}{format_size(free_bytes(path))} free); "
        "nothing was changed, free some space and try again"
    )


def format_size(size: int) -> str:
    """A size as text, such as "12.3 MB"."""
    if size >= 1e9:
        return f"{size / 1e9:.1f} GB"
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size:,} bytes"


# ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────


def file_sha256(path: str | Path) -> str:
    """The SHA-256 of a file: 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_bytes(path: str | Path, max_bytes: int | None = None) -> bytes:
    """The content of a regular file; `InputError` if it is missing, cannot be read or has more than max_bytes."""
    try:
        status = Path(path).stat()
        if not stat.S_ISREG(status.st_mode):  # a device or pipe may never end
            raise InputError(
                f"cannot read {path}: it is {'a folder' if stat.S_ISDIR(status.st_mode) else 'not a regular file'}"
            )
        if max_bytes is not None and status.st_size > max_bytes:
            sizes = f"{format_size(status.st_size)}, and at most {format_size(max_bytes)} can be read"
            raise InputError(f"cannot read {path}: it has {sizes}")
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:  # a ValueError: the name has a null byte
        if isinstance(error, InputError):
            raise
        reason = error.strerror if isinstance(error, OSError) else None
        raise InputError(f"cannot read {path}: {(reason or str(error)).lower()}") from error
