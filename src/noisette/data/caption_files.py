"""Captions in text files beside the pictures: cat.txt for cat.png, as trainers of text-to-image models read them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from .entry import BadPicture, make_printable
from .listing import FileListing

CAPTION_SUFFIXES = (".txt", ".caption")
MAX_CAPTION_BYTES = 2**14
NUMBERS_ONLY = re.compile(r"[\d\s.,;:eE+-]*")  # boxes, as in YOLO's files, are no caption


@dataclass(frozen=True)
class CaptionFiles:
    """The captions that were found."""

    texts: dict[str, str]  # by the name of the picture
    files: frozenset[str]  # the names of the files that hold them


def read_caption_files(listing: FileListing, pictures: Sequence[str]) -> CaptionFiles:
    """The captions beside pictures. A file that is empty, holds numbers only or is no text is none."""
    texts, files = {}, set()
    for name in pictures:
        stem = str(PurePosixPath(name).with_suffix(""))
        for file in (stem + suffix for suffix in CAPTION_SUFFIXES):
            if file in listing.files and (text := _read_text(listing, file)):
                texts[name] = text
                files.add(file)
                break
    return CaptionFiles(texts, frozenset(files))


def _read_text(listing: FileListing, file: str) -> str | None:
    try:
        text = make_printable(listing.files[file](MAX_CAPTION_BYTES).decode("utf-8-sig").strip())
    except (BadPicture, OSError, UnicodeDecodeError):
        return None
    return None if NUMBERS_ONLY.fullmatch(text) else text
