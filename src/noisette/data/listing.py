"""The files of a folder or zip, before it is known what they mean."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol, runtime_checkable

from .entry import make_printable

PICTURE_SUFFIXES = frozenset(
    (".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff")
)
SPRITE_SUFFIXES = (".aseprite", ".ase")  # of Aseprite: layers and frames
HIDDEN_NAMES = ("__MACOSX", "Thumbs.db", "desktop.ini")
EXPORTABLE = {".svg": "drawings", ".ico": "icons", ".psd": "Photoshop documents", ".heic": "photos", ".avif": "photos"}


@runtime_checkable
class Reader(Protocol):
    """Reads a file, or only its first `head` bytes. Raises BadPicture or OSError."""

    def __call__(self, head: int | None = None) -> bytes: ...


@dataclass(frozen=True)
class FileListing:
    """The files of a folder or zip: a function per name (with forward slashes) that reads the file."""

    location: str  # as the user wrote it
    kind: str  # "folder" or "zip"
    files: dict[str, Reader]
    notes: tuple[str, ...] = ()  # for the user: what was left out

    def describe_contents(self) -> str:
        """What the source holds instead of pictures, as the end of "… holds no pictures"."""
        arrays = [n for n in self.files if n.endswith((".npy", ".npz"))]
        if arrays:
            return f", but arrays (give one of them: {format_names(arrays)})"
        kinds = Counter(PurePosixPath(n).suffix.lower() for n in self.files)
        if others := [s for s in EXPORTABLE if kinds[s]]:
            return ", but " + " and ".join(f"{kinds[s]} {s} {EXPORTABLE[s]}" for s in others) + ": export them as PNG"
        if self.files:
            return f", only {len(self.files)} other files: give a folder, zip or array of pictures"
        reason = "; ".join(self.notes) or "it is empty"
        return f" ({reason}): give a folder, zip or array of pictures"


def is_picture(name: str) -> bool:
    """Whether a file is a picture, by its suffix."""
    return PurePosixPath(name).suffix.lower() in PICTURE_SUFFIXES


def is_listed(name: str) -> bool:
    """Whether a file is a picture, or one of Aseprite that holds pictures, by its suffix."""
    return is_picture(name) or PurePosixPath(name).suffix.lower() in SPRITE_SUFFIXES


def is_hidden(name: str) -> bool:
    """Whether a file or folder is one that systems keep for themselves."""
    return name.startswith(".") or name in HIDDEN_NAMES


def parent_prefix(name: str) -> str:
    """The folder part of a name with its slash: "a/" for "a/b", nothing for "b"."""
    return name[: name.rfind("/") + 1]


def format_names(names: Sequence[str] | Collection[str]) -> str:
    """The first three names, and how many more there are."""
    names = list(names)
    return make_printable(", ".join(names[:3])) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
