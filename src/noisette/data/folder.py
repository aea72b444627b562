"""Pictures in folders, and in zip files of such folders.

Both come down to the same thing, named files; what they mean (metadata, sub-folders as labels) is read in one way.
A zip is never unpacked: names in it are only names. What leads out of the folder, a link or a name with "..", is
never followed.
"""

import itertools
import os
import stat
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from ..errors import InputError
from .decode import too_large
from .entry import LIMITS, BadPicture, Entry, Limits, Source
from .masks import named as by_table
from .masks import pairs
from .metadata import METADATA, Row, printable, rows

PICTURES = frozenset(
    (".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff")
)
HIDDEN = ("__MACOSX", "Thumbs.db", "desktop.ini")
RATIO = 1000  # a zip's member that grows more than so often, and beyond 1 MiB, is a bomb


@dataclass(frozen=True)
class Found:
    """The files of a folder, by name, with what it takes to read them."""

    given: str
    kind: str
    files: dict[str, Callable[[], bytes]]
    notes: tuple[str, ...] = ()


def from_folder(given: str, limits: Limits = LIMITS, masks: bool = False) -> Source:
    """Every picture in a folder and its sub-folders."""
    root = Path(given).resolve()
    files: dict[str, Callable[[], bytes]] = {}
    notes = []
    closed: list[str] = []
    for place, folders, names in os.walk(root, onerror=lambda error: closed.append(str(error.filename))):
        if links := [f for f in folders if Path(place, f).is_symlink()]:
            notes.append(f"linked folders are not entered: {_some(links)}")
        folders[:] = sorted(f for f in folders if not _hidden(f) and f not in links)
        for name in names:
            if not _hidden(name):
                path = Path(place, name)
                files[printable(path.relative_to(root).as_posix())] = partial(_read, path, root, limits)
        if len(files) > limits.entries:
            raise InputError(f"{given} holds more than {limits.entries:,} files: give a folder with fewer")
    if closed:
        notes.append(f"folders that cannot be entered: {_some([Path(c).name for c in closed])}")
    return understood(Found(given, "folder", files, tuple(notes)), masks)


def from_zip(given: str, limits: Limits = LIMITS, masks: bool = False) -> Source:
    """Every picture in a zip file of a folder."""
    try:
        archive = zipfile.ZipFile(given)
    except (zipfile.BadZipFile, OSError, ValueError, EOFError, NotImplementedError) as error:
        raise InputError(f"{given} cannot be read as a zip file: it is damaged, or something else") from error
    members = [m for m in archive.infolist() if not m.is_dir()]
    if len(members) > limits.entries:
        raise InputError(f"{given} holds more than {limits.entries:,} files: give one with fewer")
    files: dict[str, Callable[[], bytes]] = {}
    for member in members:
        name = member.filename.replace("\\", "/")
        if not any(_hidden(part) for part in PurePosixPath(name).parts if part != ".."):
            files[name] = partial(_unzip, archive, member, limits)
    return understood(Found(given, "zip", files), masks)


def understood(found: Found, masks: bool = False) -> Source:
    """Say of each file what it is: a picture, with its label and attributes or its mask; or none of our business."""
    tables = [name for name in METADATA if name in found.files or _below(found, name)]
    if len(tables) > 1:
        raise InputError(f"{found.given} holds both {' and '.join(tables)}: keep the one that is right")
    notes, top = list(found.notes), ""
    if tables:
        top = _below(found, tables[0]) or ""  # the folder of the table
        named = {top + row.file: row for row in _table(found, top, tables[0])}
        _all_there(found, top, named, tables[0])
        pictures = sorted(named)
        if (left := sum(n not in named for n in found.files if _is_picture(n))) and not masks:
            notes.append(f"pictures that {tables[0]} does not name, left out: {left}")
    else:
        named = {}
        pictures = sorted(n for n in found.files if _is_picture(n))
        others = Counter(PurePosixPath(n).suffix.lower() or n for n in found.files if not _is_picture(n))
        if others:
            notes.append("other files, left alone: " + ", ".join(f"{n} {s}" for s, n in sorted(others.items())))
    if not pictures:
        raise InputError(f"{found.given} holds no pictures{_instead(found)}: give a folder, zip or array of pictures")
    if masks:
        rows_ = {name: row.attributes for name, row in named.items()}
        beside = by_table(rows_, found.files, top, found.given) if tables else pairs(pictures, found.given)
        return Source(found.given, found.kind, tuple(_pair(n, beside[n], found) for n in sorted(beside)), tuple(notes))
    labels = {} if any(r.label is not None for r in named.values()) else _folder_labels(pictures, notes)
    entries = tuple(_entry(n, found.files[n], named.get(n), labels.get(n)) for n in pictures)
    return Source(found.given, found.kind, entries, tuple(notes))


def _entry(name: str, read: Callable[[], bytes], row: Row | None, label: str | None) -> Entry:
    if row is None:
        return Entry(name, read, label)
    return Entry(name, read, row.label if row.label is not None else label, row.attributes, row.text)


def _pair(name: str, mask: str, found: Found) -> Entry:
    return Entry(name, found.files[name], mask=Entry(mask, found.files[mask]))


def _folder_labels(pictures: list[str], notes: list[str]) -> dict[str, str]:
    """The first folder that tells pictures apart is the label of all that is in and below it."""
    folders = {n: PurePosixPath(n).parts[:-1] for n in pictures}
    shared = _shared(list(folders.values()))
    labels = {n: parts[len(shared)] for n, parts in folders.items() if len(parts) > len(shared)}
    if shared and not labels:
        notes.append(f"all pictures lie in one folder, {'/'.join(shared)}, so its name is not taken for a label")
    elif labels and (without := len(pictures) - len(labels)):
        notes.append(f"pictures outside the sub-folders, without a label: {without}")
    return labels


def _shared(paths: list[tuple[str, ...]]) -> tuple[str, ...]:
    """The folders that all paths begin with."""
    low, high = min(paths), max(paths)
    return tuple(a for a, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(low, high, strict=False)))


def _below(found: Found, table: str) -> str | None:
    """The one folder that holds everything, where the metadata may lie as well: zips are often packed so."""
    tops = {n.split("/")[0] for n in found.files}
    top = f"{next(iter(tops))}/" if len(tops) == 1 else None
    return top if top and top + table in found.files else None


def _table(found: Found, top: str, table: str) -> tuple[Row, ...]:
    try:
        data = found.files[top + table]()
    except (BadPicture, OSError) as error:
        raise InputError(f"{table} of {found.given} cannot be read: it {error}") from error
    return rows(data, table, found.given)


def _all_there(found: Found, top: str, named: dict[str, Row], table: str) -> None:
    for name in (n.removeprefix(top) for n in named):
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or ":" in name.split("/")[0]:
            raise InputError(f"{table} of {found.given} names {name}, which lies outside: name files inside the folder")
    if missing := [n for n in named if n not in found.files]:
        raise InputError(
            f"{table} of {found.given} names {len(missing)} of {len(named)} files that are not there: "
            f"{_some(missing)}; file_name is the path from the folder of {table}"
        )


def _instead(found: Found) -> str:
    """What it holds in their place."""
    arrays = [n for n in found.files if n.endswith((".npy", ".npz"))]
    if arrays:
        return f", but arrays (give one of them: {_some(arrays)})"
    return f", only {len(found.files)} other files" if found.files else " (it is empty)"


def _some(names: list[str]) -> str:
    return printable(", ".join(names[:3])) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _hidden(name: str) -> bool:
    return name.startswith(".") or name in HIDDEN


def _is_picture(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in PICTURES


def _read(path: Path, root: Path, limits: Limits) -> bytes:
    if path.is_symlink() and not path.resolve().is_relative_to(root):
        raise BadPicture("is a link that leads out of the folder")
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise BadPicture("is not a file but a device or pipe")
    if status.st_size > limits.file_bytes:
        raise BadPicture(too_large(status.st_size, limits))
    return path.read_bytes()


def _unzip(archive: zipfile.ZipFile, member: zipfile.ZipInfo, limits: Limits) -> bytes:
    name = PurePosixPath(member.filename.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts:
        raise BadPicture("has a name that leads out of the zip file")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise BadPicture("is a link, which is not followed")
    if member.flag_bits & 1:
        raise BadPicture("is encrypted: pack the pictures without a password")
    if member.file_size > limits.file_bytes:
        raise BadPicture(too_large(member.file_size, limits))
    if member.file_size > max(2**20, RATIO * member.compress_size):
        raise BadPicture("is packed suspiciously small: a zip bomb")
    try:
        with archive.open(member) as file:
            data = file.read(limits.file_bytes + 1)  # the size that it claims may be a lie
    except Exception as error:  # zlib, bz2, lzma and zipfile each have their own
        raise BadPicture("is damaged in the zip file") from error
    if len(data) > limits.file_bytes:
        raise BadPicture("unpacks to more than it claims: a zip bomb")
    return data
