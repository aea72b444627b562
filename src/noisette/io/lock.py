"""Locks that let one process at a time write to a folder."""

import json
import os
import platform
import time
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from ..errors import InputError
from .files import ERROR_TEXTS, explain_os_errors

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

PROBE_RETRIES, PROBE_SECONDS = 5, 0.01  # how often, and after how long, to try again while `is_held` has the file
UNSIGNED_SECONDS = 1.0  # a lock file without an owner is taken for abandoned if it stays like that for so long


class RunLock:
    """`with RunLock(folder): …` holds the lock; a second process gets an `InputError` that names the first.

    The file `lock` in the folder records the owner: process id, host, start time. The lock itself is `flock`, which the
    system releases when the process dies; where that is not available (Windows, some network disks), the recorded
    process is looked up, by its id and by when it was started, which does not change when the clock is set. Either way,
    the lock of a dead process is taken over. A missing folder is created.
    """

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder) / "lock"
        self._fd: int | None = None

    def __enter__(self) -> "RunLock":
        with explain_os_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = self._lock_by_flock() if fcntl is not None else self._lock_by_file()
        _open_locks.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fd is not None:
            if os.name == "nt":  # an open file cannot be removed there
                self._close()
            self.path.unlink(missing_ok=True)
            self._close()

    def _close(self) -> None:
        """Close the file, which releases a `flock` held through it."""
        _open_locks.discard(self)
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def is_held(self) -> bool:
        """Whether any process holds the lock now. Changes nothing: a dead owner's file stays as it is."""
        if self._fd is not None:
            return True
        try:
            self._fd = os.open(self.path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        _open_locks.add(self)
        try:
            if fcntl is not None:
                fcntl.flock(self._fd, fcntl.LOCK_SH | fcntl.LOCK_NB)  # released by closing
                return False
        except BlockingIOError:
            return self._is_current_file(self._fd)
        except OSError:  # a file system without flock
            pass
        finally:
            self._close()
        owner_data = self._read_owner()
        return self.path.exists() and not self._is_stale(owner_data)

    def _lock_by_flock(self) -> int:
        retries = PROBE_RETRIES
        while True:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._is_current_file(fd):
                    os.ftruncate(fd, 0)
                    os.write(fd, _describe_process())
                    return fd
                os.close(fd)  # the owner removed the file between our open and our flock: try again
            except OSError as error:
                os.close(fd)
                if isinstance(error, BlockingIOError):
                    retries -= 1
                    if retries and not self._has_living_owner():  # another process may be in `is_held` just now
                        time.sleep(PROBE_SECONDS)
                        continue
                    raise self._busy_error() from error
                if error.errno in ERROR_TEXTS:
                    raise
                if not self._read_owner():  # we have just created it: this file system has no flock
                    self.path.unlink(missing_ok=True)
                return self._lock_by_file()

    def _lock_by_file(self) -> int:
        while True:
            try:
                fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
            except FileExistsError:
                owner_data = self._read_owner()
                if not owner_data and not self.path.exists():
                    continue  # the owner has just released it
                if not self._is_stale(owner_data):
                    raise self._busy_error() from None
                aside = self.path.with_name(f"lock.{os.getpid()}")
                self.path.replace(aside)
                if aside.read_bytes() != owner_data:  # another process took over first, and we have moved its file
                    aside.replace(self.path)
                    raise self._busy_error() from None
                aside.unlink()
            else:
                os.write(fd, _describe_process())
                return fd

    def _has_living_owner(self) -> bool:
        owner = _parse_owner(self._read_owner())
        return bool(owner) and (owner["host"] != platform.node() or _find_process(owner) is not None)

    def _is_current_file(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), self.path.stat())
        except FileNotFoundError:
            return False

    def _read_owner(self) -> bytes:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return b""

    def _is_stale(self, owner_data: bytes) -> bool:
        owner = _parse_owner(owner_data)
        if not owner:  # not recorded yet, killed before it could be, or just released
            return self._stays_unsigned()
        return owner["host"] == platform.node() and _find_process(owner) is None

    def _stays_unsigned(self) -> bool:
        """Whether the file is there and names no owner for UNSIGNED_SECONDS. The clock's time says nothing about that.

        A process writes its name right after it has created the file.
        """
        end = time.monotonic() + UNSIGNED_SECONDS
        while self.path.exists() and not _parse_owner(self._read_owner()):
            if time.monotonic() > end:
                return True
            time.sleep(PROBE_SECONDS)
        return False

    def _busy_error(self) -> InputError:
        owner = _parse_owner(self._read_owner())
        who = "process {pid} on {host} since {since}".format(**owner) if owner else "another process"
        return InputError(
            f"{self.path.parent} is in use by {who}: wait for it, stop it, or give another folder "
            f"(if that process is certainly gone, remove {self.path})"
        )


_open_locks: set[RunLock] = set()  # those of this process that have an open file


def _close_inherited_locks() -> None:
    """In a forked child: it must not hold its parent's locks when it outlives the parent, nor release them."""
    for lock in list(_open_locks):
        lock._close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_inherited_locks)


def _describe_process() -> bytes:
    owner: dict[str, Any] = {"pid": os.getpid(), "host": platform.node(), "started": psutil.Process().create_time()}
    owner |= {"since": datetime.now().isoformat(" ", "seconds"), "ticks": _start_ticks(os.getpid()), "boot": _boot_id()}
    return json.dumps(owner).encode()


def _start_ticks(pid: int) -> int | None:
    """When a process was started, in clock ticks after the system: Linux only, elsewhere None.

    There, psutil's `create_time` is this plus the time of the system's start, which changes when the clock is set.
    """
    try:
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None


def _boot_id() -> str | None:
    """An identifier of the time since the system was started; None where there is none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None


def _parse_owner(data: bytes) -> dict[str, Any]:
    """The owner recorded in a lock file; {} if there is none."""
    try:
        owner = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    types = {"pid": int, "host": str, "started": float, "since": str}
    is_valid = isinstance(owner, dict) and all(isinstance(owner.get(k), t) for k, t in types.items())
    return owner if is_valid else {}


def _find_process(owner: dict[str, Any]) -> psutil.Process | None:
    """The recorded process, of this machine; None if it has ended."""
    try:
        process = psutil.Process(owner["pid"])
        if owner.get("ticks") is None:  # another system, or an older version's lock
            is_same = abs(process.create_time() - owner["started"]) <= 2
        else:
            is_same = owner["ticks"] == _start_ticks(owner["pid"]) and owner.get("boot") == _boot_id()
        return process if is_same else None  # None: the id was reused
    except psutil.NoSuchProcess:
        return None


def is_locked(folder: Path) -> bool:
    """Whether a process holds the folder's `RunLock` now. Changes no file."""
    return RunLock(folder).is_held()


def find_owner(folder: Path) -> psutil.Process | None:
    """The process that holds the folder's `RunLock`; None if there is none on this machine. Changes no file."""
    if not is_locked(folder):
        return None
    owner = _parse_owner(RunLock(folder)._read_owner())
    return _find_process(owner) if owner and owner["host"] == platform.node() else None
