"""One process a folder."""

import json
import os
import platform
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from .errors import InputError
from .files import CAUSES, explained

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class RunLock:
    """`with RunLock(run): …`: a second process is refused with an `InputError` that names the first.

    The file `lock` in the folder says who holds it. The system drops its own lock (`flock`) when the process dies;
    where there is none (Windows, some cluster disks), the process named in the file is looked up. Either way, a dead
    one's is taken over. The folder is made if it is missing. Who does not `sign` is busy there, and not named.
    """

    def __init__(self, folder: str | Path, sign: bool = True) -> None:
        self.path, self.sign = Path(folder) / "lock", sign
        self._fd: int | None = None

    def __enter__(self) -> "RunLock":
        with explained(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = self._by_system() if fcntl is not None else self._by_name()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fd is not None:
            if os.name == "nt":  # an open file cannot be removed there
                self._forget()
            self.path.unlink(missing_ok=True)
            self._forget()

    def _forget(self) -> None:
        """Close the file. Forked workers do so at once: one that outlives us must not hold the lock, nor release it."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _by_system(self) -> int:
        while True:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._is(fd):
                    os.ftruncate(fd, 0)
                    os.write(fd, self._name())
                    return fd
                os.close(fd)  # its holder left, and removed the file, while we opened it
            except OSError as error:
                os.close(fd)
                if isinstance(error, BlockingIOError):
                    raise self._busy() from error
                if error.errno in CAUSES:
                    raise
                if not self._signed():  # ours, of a moment ago: this file system has no flock
                    self.path.unlink(missing_ok=True)
                return self._by_name()

    def _by_name(self) -> int:
        while True:
            try:
                fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
            except FileExistsError:
                seen = self._signed()
                if not seen and not self.path.exists():
                    continue  # released just now
                if not self._dead(seen):
                    raise self._busy() from None
                aside = self.path.with_name(f"lock.{os.getpid()}")
                self.path.replace(aside)
                if aside.read_bytes() != seen:  # another one took over first, and it is its file that we moved
                    aside.replace(self.path)
                    raise self._busy() from None
                aside.unlink()
            else:
                os.write(fd, self._name())
                return fd

    def _name(self) -> bytes:
        return _myself() if self.sign else b"{}"  # an empty file would be one that nobody has yet

    def _is(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), self.path.stat())
        except FileNotFoundError:
            return False

    def _signed(self) -> bytes:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return b""

    def _dead(self, seen: bytes) -> bool:
        holder = _holder(seen)
        if not holder:  # it was killed before it could sign, or is about to, or has left meanwhile
            with suppress(FileNotFoundError):
                return time.time() - self.path.stat().st_mtime > 10
            return False
        return holder["host"] == platform.node() and _alive(holder) is None

    def _busy(self) -> InputError:
        holder = _holder(self._signed())
        who = "process {pid} on {host} since {since}".format(**holder) if holder else "another process"
        return InputError(
            f"{self.path.parent} is in use by {who}: wait for it, stop it, or give another folder "
            f"(if it is gone for certain, remove {self.path})"
        )


def _myself() -> bytes:
    started = psutil.Process().create_time()
    since = datetime.now().isoformat(" ", "seconds")
    return json.dumps({"pid": os.getpid(), "host": platform.node(), "started": started, "since": since}).encode()


def _holder(data: bytes) -> dict[str, Any]:
    """Who signed a lock file; {} if nobody did."""
    try:
        holder = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    types = {"pid": int, "host": str, "started": float, "since": str}
    good = isinstance(holder, dict) and all(isinstance(holder.get(k), t) for k, t in types.items())
    return holder if good else {}


def _alive(holder: dict[str, Any]) -> psutil.Process | None:
    """The process of this machine that signed; None if it is dead."""
    try:
        process = psutil.Process(holder["pid"])
        return process if abs(process.create_time() - holder["started"]) <= 2 else None  # its number was used again
    except psutil.NoSuchProcess:
        return None


def in_use(folder: Path) -> bool:
    """Whether a process holds the folder now."""
    if not (folder / "lock").exists():
        return False
    try:
        with RunLock(folder, sign=False):
            return False
    except InputError:
        return True


def held_by(folder: Path) -> psutil.Process | None:
    """The process that holds the folder now; None if there is none, or none that is known to be of this machine."""
    if not in_use(folder):
        return None
    signed = _holder(RunLock(folder)._signed())
    return _alive(signed) if signed and signed["host"] == platform.node() else None
