"""Faults at chosen moments: every call by which a program changes the disk is counted, and one of them can fail.

Python announces each opening, renaming, making and removing to audit hooks, so nothing of the program is replaced;
only `os.fsync` and `Path.write_bytes` have no such event and are wrapped.
"""

import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

EVENTS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
calls: list[tuple[str, str]] = []  # of the innermost `counted`: what, and where
acting: Callable[[int], None] | None = None


def note(what: str, where: str) -> None:
    if acting is not None:
        calls.append((what, where))
        acting(len(calls))


def audit(event: str, args: tuple[object, ...]) -> None:
    if acting is None or event not in EVENTS or not isinstance(args[0], str | bytes | os.PathLike):
        return
    if event != "open" or (isinstance(args[2], int) and args[2] & WRITING):
        note(event, os.fsdecode(args[0]))


def fsync(fd: int, real: Callable[[int], None] = os.fsync) -> None:
    note("fsync", str(Path(f"/proc/self/fd/{fd}").readlink()) if Path("/proc/self/fd").exists() else str(fd))
    real(fd)


def write_bytes(self: Path, data: bytes) -> int:
    """The first half is written before the fault, as a disk that fills up does."""
    with self.open("wb") as file:
        file.write(data[: len(data) // 2])
        file.flush()
        note("write", str(self))
        file.write(data[len(data) // 2 :])
    return len(data)


@contextmanager
def counted(act: Callable[[int], None] = lambda number: None) -> Iterator[list[tuple[str, str]]]:
    """Call `act` with the number, from 1, of each call that changes the disk; gives the list of the calls."""
    global acting  # noqa: PLW0603
    real = os.fsync, Path.write_bytes
    calls.clear()
    acting, os.fsync, Path.write_bytes = act, fsync, write_bytes  # type: ignore[assignment, method-assign]
    try:
        yield calls
    finally:
        acting = None
        os.fsync, Path.write_bytes = real  # type: ignore[method-assign]


def failing(at: int, number: int = errno.ENOSPC) -> Callable[[int], None]:
    def act(call: int) -> None:
        if call == at:
            raise OSError(number, os.strerror(number))

    return act


def killing(at: int) -> Callable[[int], None]:
    def act(call: int) -> None:
        if call == at:
            os.kill(os.getpid(), signal.SIGKILL)

    return act


sys.addaudithook(audit)
