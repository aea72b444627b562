"""Sources that are folders of pictures.

Links that lead out of the folder are followed only on request: a folder that somebody else made could name any file.
The folders of the Hugging Face hub's cache, which consist of links to files next to them, are read as they are meant.
"""

import errno
import os
import stat
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ..errors import InputError
from .entry import DEFAULT_LIMITS, BadPicture, Limits, Source, make_printable
from .layout import build_source
from .listing import FileListing, Reader, format_names, is_hidden
from .rejection import too_large_message

FOLLOW_HINT = "--follow-links reads what links lead to"
HUB_SNAPSHOTS, HUB_FILES = "snapshots", "blobs"  # of a data set in the cache: links, and the files they lead to


def from_folder(
    location: str, limits: Limits = DEFAULT_LIMITS, masks: bool = False, follow_links: bool = False
) -> Source:
    """Open all pictures in a folder and its subfolders; with `masks`, pairs of a picture and its mask.

    follow_links: also read files and folders that links outside of the folder lead to. Raises InputError if there are
    no pictures, or if the metadata or the pairs are wrong.
    """
    walk = _Walk(Path(location).resolve(), limits, follow_links)
    for current, folders, names in os.walk(walk.root, onerror=walk.add_unreadable, followlinks=True):
        folders[:] = sorted(f for f in folders if not is_hidden(f) and walk.enters(Path(current, f)))
        walk.add_files(Path(current), names)
        if len(walk.files) > limits.max_entries:
            raise InputError(
                f"{location} holds more than {limits.max_entries:,} files, the maximum: give a folder with fewer"
            )
    return build_source(FileListing(location, "folder", walk.files, walk.notes), masks, limits)


def from_stack(location: str, limits: Limits = DEFAULT_LIMITS) -> Source | None:
    """Open the pages of a TIFF file; None if it has one page, or is no TIFF. Raises InputError if it cannot be read."""
    path = Path(location)
    listing = FileListing(location, "stack", {path.name: partial(_read_file, path, None, limits)})
    source = build_source(listing, limits=limits)
    return source if len(source.entries) > 1 else None


def from_sprite(location: str, limits: Limits = DEFAULT_LIMITS) -> Source:
    """Open the frames of an Aseprite file. Raises InputError if it cannot be read."""
    path = Path(location)
    listing = FileListing(location, "sprite", {path.name: partial(_read_file, path, None, limits)})
    source = build_source(listing, limits=limits)
    try:
        source.entries[0].read()
    except BadPicture as error:
        raise InputError(f"{location} {error}") from error
    return source


@dataclass
class _Walk:
    """The files found in a folder, and what was left out of it."""

    root: Path
    limits: Limits
    follow_links: bool
    files: dict[str, Reader] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)  # names of linked folders that are not entered
    unreadable: list[str] = field(default_factory=list)  # names of folders
    entered: set[tuple[int, int]] = field(default_factory=set)  # device and inode of linked folders

    @property
    def allowed(self) -> tuple[Path, ...]:
        """The folders that links may lead into."""
        for parent in (self.root, *self.root.parents):
            if parent.parent.name == HUB_SNAPSHOTS:
                return self.root, parent.parent.parent / HUB_FILES
        return (self.root,)

    @property
    def notes(self) -> tuple[str, ...]:
        notes = []
        if self.left_out:
            notes.append(f"linked folders, left out: {format_names(sorted(self.left_out))}; {FOLLOW_HINT}")
        if self.unreadable:
            notes.append(f"folders that cannot be read, left out: {format_names(self.unreadable)}")
        return tuple(notes)

    def enters(self, folder: Path) -> bool:
        """Whether a folder is read. One that is a link is only with follow_links, and each only once."""
        if not folder.is_symlink():
            return True
        if not self.follow_links:
            self.left_out.append(folder.name)
            return False
        try:
            target, status = folder.resolve(), folder.stat()
        except (OSError, RuntimeError):
            return False
        identity = (status.st_dev, status.st_ino)
        if self.root.is_relative_to(target) or identity in self.entered:
            return False  # it leads back to what is read anyway
        self.entered.add(identity)
        return True

    def add_files(self, folder: Path, names: list[str]) -> None:
        """Add the files of a folder that are not hidden."""
        allowed = None if self.follow_links else self.allowed
        for name in names:
            if not is_hidden(name):
                path = folder / name
                relative = make_printable(path.relative_to(self.root).as_posix())
                self.files[relative] = partial(_read_file, path, allowed, self.limits)

    def add_unreadable(self, error: OSError) -> None:
        self.unreadable.append(Path(str(error.filename)).name)


def _read_file(path: Path, allowed: tuple[Path, ...] | None, limits: Limits, head: int | None = None) -> bytes:
    """A file's bytes. allowed: the folders that links may lead into; None: any."""
    try:
        target = path.resolve(strict=True) if path.is_symlink() else path
    except RuntimeError as error:  # of Python before 3.13
        raise BadPicture("is a link that leads to itself") from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise BadPicture("is a link that leads to itself") from error
        raise
    if target != path and allowed is not None and not any(target.is_relative_to(folder) for folder in allowed):
        raise BadPicture(f"is a link to a file outside the folder ({FOLLOW_HINT})")
    status = target.stat()
    if not stat.S_ISREG(status.st_mode):
        raise BadPicture("is a device or a pipe, not a file")
    if status.st_size > limits.max_file_bytes:
        raise BadPicture(too_large_message(status.st_size, limits))
    with target.open("rb") as file:
        return file.read() if head is None else file.read(head)
