"""The hashes of the files of a source, 32 bytes each, and the fingerprint of a source."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, UInt8

from .entry import BadPicture, Entry, Source
from .parallel import chunk_size, map_chunks
from .scan_chunk import load_entry
from .scan_result import ScanResult


@dataclass(frozen=True, eq=False)
class FileHashes:
    """The SHA-256 of each file of a source, in order."""

    rows: UInt8[np.ndarray, "n 32"]
    is_known: Bool[np.ndarray, "n"]  # False: the file cannot be read

    @classmethod
    def unknown(cls, n: int) -> "FileHashes":
        """n hashes that are not known yet."""
        return cls(np.zeros((n, 32), np.uint8), np.zeros(n, bool))

    def __getitem__(self, number: int) -> str | None:
        return self.rows[number].tobytes().hex() if self.is_known[number] else None

    def __setitem__(self, number: int, sha256: str | None) -> None:
        if sha256 is not None:
            self.rows[number], self.is_known[number] = np.frombuffer(bytes.fromhex(sha256), np.uint8), True


@dataclass(frozen=True, eq=False)
class SourceHashes:
    """The hashes of a source's pictures and, if it has some, of their masks."""

    source: Source
    pictures: FileHashes
    masks: FileHashes

    @classmethod
    def unknown(cls, source: Source) -> "SourceHashes":
        """The hashes of a source, none of which is known yet."""
        n = len(source.entries)
        return cls(source, FileHashes.unknown(n), FileHashes.unknown(n if source.entries[0].mask else 0))

    def __iter__(self) -> Iterator[tuple[Entry, str | None, str | None]]:
        """Each picture's entry, its hash and that of its mask."""
        for number, entry in enumerate(self.source.entries):
            yield entry, self.pictures[number], None if entry.mask is None else self.masks[number]

    @property
    def by_name(self) -> dict[str, str | None]:
        """The hash of every file, by name."""
        hashes: dict[str, str | None] = {}
        for entry, sha256, mask_sha256 in self:
            if entry.mask is not None:
                hashes[entry.mask.name] = mask_sha256
            hashes[entry.name] = sha256
        return hashes


def hash_source(source: Source) -> SourceHashes:
    """The current hashes of a source's files."""
    hashes, size = SourceHashes.unknown(source), chunk_size(len(source.entries))

    def work(number: int) -> list[tuple[str | None, str | None]]:
        entries = source.entries[number * size : (number + 1) * size]
        return [(_hash_entry(entry), None if entry.mask is None else _hash_entry(entry.mask)) for entry in entries]

    for number, found in enumerate(map_chunks(work, -(-len(source.entries) // size))):
        for place, (sha256, mask_sha256) in enumerate(found, number * size):
            hashes.pictures[place] = sha256
            if len(hashes.masks.rows):
                hashes.masks[place] = mask_sha256
    return hashes


def _hash_entry(entry: Entry) -> str | None:
    try:
        return load_entry(entry)[1]
    except BadPicture:
        return None


def hashes_of_scan(source: Source, result: ScanResult) -> SourceHashes:
    """The hashes of a source's files when it was scanned; that of a mask only if its picture can be used."""
    hashes, columns = SourceHashes.unknown(source), result.pictures.columns
    hashes.pictures.rows[columns.entry], hashes.pictures.is_known[columns.entry] = columns.sha256, True
    if columns.mask_sha256 is not None:
        hashes.masks.rows[columns.entry], hashes.masks.is_known[columns.entry] = columns.mask_sha256, True
    quarantined = {picture.name: picture.sha256 for picture in result.quarantined}
    for number in np.flatnonzero(~hashes.pictures.is_known).tolist() if quarantined else ():
        hashes.pictures[number] = quarantined.get(source.entries[number].name)
    return hashes


def compute_fingerprint(hashes: SourceHashes) -> str:
    """A hash of a source's contents: names, file hashes, labels, attributes, texts and masks, in order."""
    digest = hashlib.sha256()
    for number, (entry, sha256, mask_sha256) in enumerate(hashes):
        mask = () if entry.mask is None else (entry.mask.name, mask_sha256)
        line = json.dumps([entry.name, sha256, entry.label, dict(entry.attributes), entry.text, *mask])
        digest.update(f"{chr(10) if number else ''}{line}".encode())
    return digest.hexdigest()
