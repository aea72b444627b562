"""The studio's temporary folder: uploads and exported files, for its user alone; removed when the studio ends.

A studio that was killed cannot remove its folder. Each holds a lock in its own, and the next one removes those without.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..io.lock import RunLock, is_locked

PREFIX = "noisette-studio-"
MIN_AGE = 10.0  # seconds; a younger folder without a lock may be that of a studio that is just starting


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A new folder with mode 0700, locked, and removed at the end of the block."""
    remove_abandoned(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=PREFIX)).resolve()
    try:
        with RunLock(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned(place: Path) -> None:
    """Remove the folders of this user's studios that were killed. Links and folders of other users are left alone."""
    for folder in place.glob(f"{PREFIX}*"):
        try:
            status = folder.lstat()
            is_ours = os.name == "nt" or status.st_uid == os.getuid()
            is_settled = (folder / "lock").exists() or time.time() - status.st_mtime > MIN_AGE
            if is_ours and is_settled and not folder.is_symlink() and not is_locked(folder):
                shutil.rmtree(folder)
        except OSError:  # it cannot be read, or another studio has just removed it
            continue
