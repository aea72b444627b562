"""Sources that are zip files of folders of pictures. They are read in place and never unpacked to disk."""

import stat
import struct
import zipfile
from functools import partial
from pathlib import PurePosixPath

from ..errors import InputError
from .entry import DEFAULT_LIMITS, BadPicture, Limits, Source
from .layout import build_source
from .listing import FileListing, Reader, format_names, is_hidden
from .parallel import PerProcess
from .rejection import too_large_message

MAX_COMPRESSION_RATIO = 1000  # a zip member above 1 MiB with a higher ratio is refused as a zip bomb
UTF8_FLAG, ENCRYPTED_FLAG = 0x800, 0x1  # of a member
UNICODE_PATH = 0x7075  # extra field of Info-ZIP with the name in UTF-8
METHOD_NAMES = {
    1: "Shrink", 6: "Implode", 9: "Deflate64", 93: "Zstandard", 95: "XZ", 97: "WavPack", 98: "PPMd", 99: "AES",
}  # fmt: skip


def from_zip(location: str, limits: Limits = DEFAULT_LIMITS, masks: bool = False) -> Source:
    """Open all pictures in a zip file; arguments, labels and errors as for `from_folder`."""
    try:
        archive = PerProcess(lambda: zipfile.ZipFile(location))
    except (zipfile.BadZipFile, OSError, ValueError, EOFError, NotImplementedError) as error:
        raise InputError(f"{location} cannot be read as a zip file: it is damaged or not a zip") from error
    members = [
        m for m in archive().infolist() if m.filename and not m.filename.endswith("/")
    ]  # is_dir fails without a name
    if len(members) > limits.max_entries:
        raise InputError(f"{location} holds more than {limits.max_entries:,} files, the maximum: give a zip with fewer")
    files: dict[str, Reader] = {}
    unsure = []
    for member in members:
        decoded, is_sure = decode_name(member)
        name = decoded.replace("\\", "/")
        if not any(is_hidden(part) for part in PurePosixPath(name).parts if part != ".."):
            files[name] = partial(_read_member, archive, member, name, limits)
            if not is_sure:
                unsure.append(name)
    notes = [f"names in an unknown encoding, which may read wrongly: {len(unsure)} ({format_names(unsure)})"]
    return build_source(FileListing(location, "zip", files, tuple(notes) if unsure else ()), masks, limits)


def decode_name(member: zipfile.ZipInfo) -> tuple[str, bool]:
    """The name of a member, and whether its encoding is known.

    Python takes a name without the flag for UTF-8 as code page 437. Many programs write UTF-8 without the flag, or
    into an extra field; others write the code page of the machine, which the file does not name.
    """
    if member.filename.isascii() or member.flag_bits & UTF8_FLAG:
        return member.filename, True
    try:
        if path := _find_unicode_path(member.extra):
            return path.decode(), True
        return member.filename.encode("cp437").decode(), True
    except UnicodeError:
        return member.filename, False


def _find_unicode_path(extra: bytes) -> bytes | None:
    """The content of Info-ZIP's Unicode path field: a version and a checksum in 5 bytes, then the name."""
    position = 0
    while position + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, position)
        if kind == UNICODE_PATH and size > 5:
            return extra[position + 9 : position + 4 + size]
        position += 4 + size
    return None


def _read_member(
    archive: PerProcess[zipfile.ZipFile], member: zipfile.ZipInfo, name: str, limits: Limits, head: int | None = None
) -> bytes:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise BadPicture("has a name that leads out of the zip file")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise BadPicture("is a link, which is not followed")
    if member.flag_bits & ENCRYPTED_FLAG:
        raise BadPicture("is encrypted: pack the pictures without a password")
    if member.file_size > limits.max_file_bytes:
        raise BadPicture(too_large_message(member.file_size, limits))
    if member.file_size > max(2**20, MAX_COMPRESSION_RATIO * member.compress_size):
        raise BadPicture("has a suspicious compression ratio: a zip bomb")
    try:
        with archive().open(member) as file:
            data = file.read((limits.max_file_bytes if head is None else head) + 1)  # the declared size may be wrong
    except NotImplementedError as error:
        method = METHOD_NAMES.get(member.compress_type, f"method {member.compress_type}")
        raise BadPicture(f"is packed with {method}, which cannot be read: pack the zip again with Deflate") from error
    except Exception as error:  # zlib, bz2, lzma and zipfile each raise their own types
        raise BadPicture("is damaged in the zip file") from error
    if head is None and len(data) > limits.max_file_bytes:
        raise BadPicture("unpacks to more than its declared size: a zip bomb")
    return data if head is None else data[:head]
