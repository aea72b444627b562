"""Where compiled kernels are kept, and whether what is there may be loaded.

A library is code: it is loaded only from a folder and a file that belong to this user and that nobody else can write
to, and only if its SHA-256 is the one written beside it. Anything else is compiled anew, or, where there is no such
folder, not at all.
"""

import contextlib
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def cache_folders() -> list[Path]:
    """The folders to try, the best first: noisette in $XDG_CACHE_HOME or ~/.cache, then one in the temporary folder.

    The second serves where there is no home, or none that can be written to. A relative XDG_CACHE_HOME is ignored, as
    the XDG specification demands.
    """
    folders, xdg = [], os.environ.get("XDG_CACHE_HOME", "")
    with contextlib.suppress(RuntimeError):  # HOME is unset, and the user has no entry in the password file
        folders.append((Path(xdg) if Path(xdg).is_absolute() else Path.home() / ".cache") / "noisette")
    with contextlib.suppress(OSError):  # no temporary folder can be written to
        folders.append(Path(tempfile.gettempdir()).absolute() / f"noisette-{os.geteuid()}")
    return folders


def prepare_folder(folder: Path) -> Path:
    """Make `folder` where it is missing; return it without links. PermissionError if others could write to it.

    It must be the user's own. The folder that it is in, the root of the cache, must be the user's or the system
    administrator's, and if others can write to that one, they must not be able to rename what is not theirs.
    """
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    user, name, root = os.geteuid(), folder.lstat(), folder.parent.resolve().stat()
    own = folder.resolve().stat()
    if name.st_uid != user or own.st_uid != user:
        raise PermissionError(f"{folder} belongs to another user")
    if own.st_mode & WRITABLE_BY_OTHERS:
        raise PermissionError(f"others can write to {folder}: chmod go-w {folder}")
    if root.st_uid not in (user, 0):
        raise PermissionError(f"{folder.parent} belongs to another user")
    if root.st_mode & WRITABLE_BY_OTHERS and not root.st_mode & stat.S_ISVTX:
        raise PermissionError(f"others can write to {folder.parent}: chmod go-w {folder.parent}")
    return folder.resolve()


def is_intact(library: Path) -> bool:
    """Whether the library exists, belongs to the user, cannot be written by others, and matches its checksum."""
    try:
        return hashlib.sha256(_read_own(library)).hexdigest().encode() == _read_own(_checksum_path(library))
    except OSError:
        return False


def store(data: bytes, library: Path) -> None:
    """Write a library and its checksum, each wholly or not at all. A crash in between leaves what is not intact."""
    _write_atomically(data, library)
    _write_atomically(hashlib.sha256(data).hexdigest().encode(), _checksum_path(library))


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Let one process at a time into the block; where the file system has no locks, all of them."""
    import fcntl  # Windows has none, and no kernels

    file = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _checksum_path(library: Path) -> Path:
    return library.with_name(library.name + ".sha256")


def _read_own(path: Path) -> bytes:
    """The bytes of a regular file that is the user's own; OSError for anything else."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(file, "rb") as stream:  # noqa: PTH123 (a descriptor)
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & WRITABLE_BY_OTHERS:
            raise PermissionError(f"{path} is not this user's alone")
        return stream.read()


def _write_atomically(data: bytes, path: Path) -> None:
    file, part = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # of mode 0600
    try:
        with open(file, "wb") as stream:  # noqa: PTH123 (a descriptor)
            stream.write(data)
            stream.flush()
            os.fsync(file)
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
