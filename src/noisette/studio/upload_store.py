"""Files that visitors upload, in the studio's temporary folder: the only files that a request can name.

Gradio's own upload route leaves refused files behind and bounds no total, so the studio has one of its own.
"""

import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Protocol, runtime_checkable

from ..errors import InputError
from ..io.files import format_size
from .uploads import MAX_UPLOAD_BYTES, clean_name

MAX_TOTAL_BYTES = 2**30  # of all uploads of all visitors
MAX_AGE = 3600.0  # seconds that an upload is kept


@runtime_checkable
class Readable(Protocol):
    """An open file, or what can be read like one."""

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes; empty at the end."""
        ...


class UploadStore:
    """The folder of uploads: FOLDER/uploads/TOKEN/NAME, with a random token and a cleaned name."""

    def __init__(self, folder: Path, max_total: int = MAX_TOTAL_BYTES) -> None:
        self.folder, self.max_total = folder / "uploads", max_total
        self.sizes: dict[Path, int] = {}  # of the files that were given out
        self.reserved = 0  # bytes of uploads that are coming in
        self.lock = Lock()

    @contextmanager
    def reserve(self, number: int) -> Iterator[None]:
        """A context in which up to `number` bytes may be added. InputError if all uploads together were too large."""
        self.remove_old()
        if number > MAX_UPLOAD_BYTES:
            raise InputError(f"an upload may have at most {format_size(MAX_UPLOAD_BYTES)}")
        with self.lock:
            total = sum(self.sizes.values()) + self.reserved + number
            if total > self.max_total:
                raise InputError(
                    f"the studio holds at most {format_size(self.max_total)} of uploads, and this one makes "
                    f"{format_size(total)}: wait an hour, or restart the studio"
                )
            self.reserved += number
        try:
            yield
        finally:
            with self.lock:
                self.reserved -= number

    def add(self, name: str, content: Readable) -> Path:
        """Store a file, and return its path."""
        place = self.folder / secrets.token_hex(16)
        self.folder.mkdir(mode=0o700, exist_ok=True)
        place.mkdir(mode=0o700)
        path = place / clean_name(name)
        try:
            with open(path, "xb", opener=_open_private) as file:
                shutil.copyfileobj(content, file)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        with self.lock:
            self.sizes[path] = path.stat().st_size
        return path

    def is_upload(self, path: object) -> bool:
        """Whether this is the path of a stored file, character for character, and the file is still there."""
        if not isinstance(path, str) or Path(path) not in self.sizes or str(Path(path)) != path:
            return False
        try:
            return stat.S_ISREG(os.lstat(path).st_mode)
        except OSError:
            return False

    def remove(self, *paths: Path) -> None:
        """Remove files."""
        for path in paths:
            shutil.rmtree(path.parent, ignore_errors=True)
            with self.lock:
                self.sizes.pop(path, None)

    def remove_old(self, max_age: float = MAX_AGE) -> None:
        """Remove files that are older, and forget those that are gone."""
        for path in list(self.sizes):
            try:
                is_old = time.time() - path.stat().st_mtime > max_age
            except OSError:
                is_old = True
            if is_old:
                self.remove(path)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
