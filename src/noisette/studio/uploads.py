"""What visitors send: taken in under names of our own, after a look at what it is."""

import hashlib
import os
import shutil
import time
import zipfile
from collections.abc import Collection, Sequence
from pathlib import Path

from ..errors import InputError
from ..files import atomic_folder, atomic_write
from .workspace import Workspace

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tiff")
LARGEST = 2**28  # bytes of all files together
MANY = 20_000  # files
YOUNG = 3600.0  # seconds that an upload is kept for whoever looks at it


def cleared(workspace: Workspace, used: Collection[str], older: float = YOUNG) -> None:
    """Remove what was uploaded and is no run's any more, if it has lain there for `older` seconds: somebody may be
    between looking at it and training on it."""
    folder = workspace.own / "uploads"
    for path in folder.iterdir() if folder.is_dir() else []:
        if str(path) in used or time.time() - path.stat().st_mtime < older:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def taken_in(workspace: Workspace, files: Sequence[Path]) -> Path:
    """The zip, or the folder of the pictures, in the studio's own folder: named by what is in it.

    Of the names that came with them only the endings are looked at; what the files are is found out by reading them.
    """
    if not files:
        raise InputError("nothing was uploaded: give a zip, or pictures")
    if len(files) > MANY or sum(f.stat().st_size for f in files) > LARGEST:
        raise InputError(f"{len(files)} files are too many or too large: {MANY:,} and {LARGEST // 2**20} MB are taken")
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    place = workspace.own / "uploads" / digest.hexdigest()[:24]
    place.parent.mkdir(parents=True, exist_ok=True)
    if len(files) == 1 and zipfile.is_zipfile(files[0]):
        path = place.with_suffix(".zip")
        if not path.exists():
            atomic_write(path, files[0].read_bytes())
        os.utime(path)
        return path
    endings = [file.suffix.lower() for file in files]
    if wrong := next((e for e in endings if e not in PICTURES), None):
        raise InputError(
            f"a file that ends in {wrong or 'nothing'} is no picture: give one zip, or {', '.join(PICTURES)}"
        )
    if not place.exists():
        with atomic_folder(place) as folder:
            for i, (file, ending) in enumerate(zip(files, endings, strict=True)):
                shutil.copyfile(file, folder / f"{i:05d}{ending}")
    os.utime(place)
    return place
