"""The records that data.json keeps of scanned pictures, each made when it is written."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from .manifest import FileRecord
from .scanned_pictures import UNKNOWN, ScannedPictures


@dataclass(frozen=True, eq=False)
class ScannedRecords(Collection[FileRecord]):
    """The record of each picture; an exact copy has the row and the side of its original."""

    pictures: ScannedPictures
    is_held_out: Sequence[bool]  # of the pictures that are no copies

    def __len__(self) -> int:
        return len(self.pictures)

    def __contains__(self, record: object) -> bool:
        return any(record == own for own in self)

    def __iter__(self) -> Iterator[FileRecord]:
        columns = self.pictures.columns
        row_of_entry = np.zeros(len(self.pictures.entries), np.int64)
        originals = columns.entry[self.pictures.is_original]
        row_of_entry[originals] = np.arange(len(originals))
        rows = row_of_entry[np.where(columns.copy_of == UNKNOWN, columns.entry, columns.copy_of)].tolist()
        for p, row in zip(self.pictures, rows, strict=True):
            yield FileRecord(
                p.name, p.sha256, p.group, "held_out" if self.is_held_out[row] else "train", row, p.label, p.attributes,
                p.text, p.mask, p.mask_sha256, p.copy_of, p.credits,
            )  # fmt: skip
