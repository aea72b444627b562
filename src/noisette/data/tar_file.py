"""Sources that are WebDataset tars: files with one base name belong together, like 0001.png, 0001.cls and 0001.json.

Only headers and the small files beside the pictures are read when a tar is opened. Headers are read here, not by
`tarfile.open`, which reads extended headers of any size into memory. Nothing is unpacked to disk, and links are not
followed.
"""

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from ..errors import InputError
from ..io.json_files import parse_json
from .entry import DEFAULT_LIMITS, BadPicture, Limits, Source, make_printable
from .listing import PICTURE_SUFFIXES, format_names, is_hidden
from .rejection import too_large_message
from .shards import Sample, make_shard_source

BLOCK = tarfile.BLOCKSIZE
MAX_SIDE_BYTES = 2**16  # of a file beside a picture, and of an extended header
MAX_NOTED = 3
LABEL_SUFFIX, TEXT_SUFFIXES, JSON_SUFFIX = "cls", ("txt", "caption"), "json"
LONG_NAME, EXTENDED = (tarfile.GNUTYPE_LONGNAME,), (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")  # first bytes of gzip, bzip2, xz and zstandard


@dataclass(frozen=True)
class Member:
    """A regular file in a tar."""

    name: str
    offset: int  # of its first byte
    size: int


@dataclass
class _Group:
    """The files of one base name."""

    picture: Member | None = None
    record: dict[str, Any] = field(default_factory=dict)


def from_tars(location: str, paths: list[Path], limits: Limits = DEFAULT_LIMITS) -> Source:
    """Open the pictures of one or several WebDataset tars; labels from .cls, texts from .txt, both and attributes from
    .json. Raises InputError if there are none, or if a file is no tar."""
    samples, notes = list[Sample](), list[str]()
    for path in paths:
        samples += _read_tar(path, limits, notes, f"{path.stem}/" if len(paths) > 1 else "")
        if len(samples) > limits.max_entries:
            raise InputError(
                f"{location} holds more than {limits.max_entries:,} pictures, the maximum: give fewer tars"
            )
    return make_shard_source(location, "tar", samples, notes)


def _read_tar(path: Path, limits: Limits, notes: list[str], prefix: str) -> Iterator[Sample]:
    groups: dict[str, _Group] = {}
    left_out: list[str] = []
    try:
        with path.open("rb") as file:
            if file.read(6).startswith(PACKED):
                raise InputError(
                    f"{path} is a packed tar, which cannot be read at positions: unpack it to a plain .tar"
                )
            for member in _iter_members(file, path.stat().st_size, left_out):
                if len(groups) > limits.max_entries:
                    raise InputError(f"{path} holds more than {limits.max_entries:,} files, the maximum")
                _add(groups, member, file)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from error
    if left_out:
        notes.append(f"left out of {path.name}: {format_names(left_out[:MAX_NOTED])}")
    for group in groups.values():
        if (picture := group.picture) is not None:
            name = prefix + make_printable(picture.name)
            yield Sample(name, partial(_read_member, path, picture, limits), group.record)


def _iter_members(file: BinaryIO, size: int, left_out: list[str]) -> Iterator[Member]:
    """The regular files of a tar; names of what is left out are added to `left_out`."""
    position, long_name, long_size = 0, None, None
    while position + BLOCK <= size:
        file.seek(position)
        head = file.read(BLOCK)
        if not head.strip(b"\0"):
            return
        try:
            info = tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
        except (tarfile.HeaderError, ValueError) as error:
            if position == 0:
                raise InputError(f"{file.name} cannot be read as a tar: it is damaged or not a tar") from error
            left_out.append("what follows a damaged header")
            return
        length = info.size if long_size is None else long_size
        start = position + BLOCK
        if length < 0 or start + length > size:
            left_out.append(f"{make_printable(info.name)}, which is cut off")
            return
        position = start + -(-length // BLOCK) * BLOCK
        if info.type in LONG_NAME and length <= MAX_SIDE_BYTES:
            long_name = file.read(length).rstrip(b"\0").decode("utf-8", "surrogateescape")
            continue
        if info.type in EXTENDED and length <= MAX_SIDE_BYTES:
            long_name, long_size = _parse_extended(file.read(length))
            continue
        name = long_name or info.name
        long_name, long_size = None, None
        if info.isreg() and not info.issparse():
            yield Member(name, start, length)
        elif not info.isdir() and info.type != tarfile.XGLTYPE:
            left_out.append(f"{make_printable(name)}, which is no regular file")


def _parse_extended(data: bytes) -> tuple[str | None, int | None]:
    """The name and the size in an extended header: lines of "LENGTH KEY=VALUE"."""
    values: dict[bytes, bytes] = {}
    while data:
        length, _, _ = data.partition(b" ")
        if not length.isdigit() or len(length) > 6 or not 0 < int(length) <= len(data):
            break
        key, _, value = data[len(length) + 1 : int(length) - 1].partition(b"=")
        values[key], data = value, data[int(length) :]
    name, size = values.get(b"path"), values.get(b"size", b"")
    return (
        None if name is None else name.decode("utf-8", "surrogateescape"),
        int(size) if size.isdigit() and len(size) < 19 else None,
    )


def _add(groups: dict[str, _Group], member: Member, file: BinaryIO) -> None:
    """Add a file to those of its base name."""
    folder, _, own = member.name.rpartition("/")
    if any(is_hidden(part) for part in PurePosixPath(member.name).parts if part != ".."):
        return
    base, _, suffix = own.partition(".")
    group, suffix = groups.setdefault(f"{folder}/{base}", _Group()), suffix.lower()
    if f".{suffix.rpartition('.')[2]}" in PICTURE_SUFFIXES:
        group.picture = group.picture or member
    elif member.size <= MAX_SIDE_BYTES and suffix in (LABEL_SUFFIX, *TEXT_SUFFIXES, JSON_SUFFIX):
        file.seek(member.offset)
        _add_record(group.record, suffix, file.read(member.size))


def _add_record(record: dict[str, Any], suffix: str, data: bytes) -> None:
    """Add what a file beside a picture says. One that is no text or no JSON says nothing."""
    try:
        text = data.decode("utf-8-sig").strip()
        if suffix == JSON_SUFFIX:
            value = parse_json(text, "")
            record |= {k: v for k, v in value.items() if k not in record} if isinstance(value, dict) else {}
        else:
            record["label" if suffix == LABEL_SUFFIX else "text"] = text
    except (ValueError, json.JSONDecodeError):
        return


def _read_member(path: Path, member: Member, limits: Limits) -> bytes:
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts:
        raise BadPicture("has a name that leads out of the tar file")
    if member.size > limits.max_file_bytes:
        raise BadPicture(too_large_message(member.size, limits))
    with path.open("rb") as file:  # each time, since processes share the position of an open file
        file.seek(member.offset)
        data = file.read(member.size)
    if len(data) < member.size:
        raise BadPicture("is cut off in the tar file")
    return data
