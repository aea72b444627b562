"""The caption of a picture: the text of its metadata or, without one, the words of its file name."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ..errors import InputError
from .manifest import FileRecord

# words that cameras and programs put into file names
GENERIC_WORDS = frozenset(
    (
        "copy",
        "dsc",
        "frame",
        "icon",
        "image",
        "img",
        "photo",
        "pic",
        "picture",
        "screenshot",
        "sprite",
        "tile",
        "untitled",
    )
)
WORD_PATTERN = re.compile(r"[^\W_]+")
CAMEL_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])")  # redFish


def read_captions(files: Sequence[FileRecord], source: str | Path) -> tuple[str | None, ...]:
    """The caption of each file, or None. File names are used only where no file at all has a text.

    Raises InputError if there are no texts and fewer than half of the file names contain words.
    """
    texts = tuple(" ".join((file.text or "").split()) or None for file in files)
    if any(texts):
        return texts
    texts = tuple(caption_from_filename(file.name) for file in files)
    if 2 * sum(text is not None for text in texts) < len(texts):
        raise InputError(
            f"the pictures of {source} have no captions: add a metadata.jsonl with a text for each, "
            "or name the files like red-fish-01.png"
        )
    return texts


def caption_from_filename(name: str) -> str | None:
    """The words of a file name: "red fish" for fish/red_fish-012.png, None for IMG_0012.png and 7f3e9a.png."""
    parts = [p.rstrip("0123456789") for p in WORD_PATTERN.findall(CAMEL_CASE.sub(" ", PurePosixPath(name).stem))]
    words = [
        p.lower() for p in parts if p.isalpha() and (len(p) > 1 or not p.isascii()) and p.lower() not in GENERIC_WORDS
    ]
    return " ".join(words) if any(len(w) > 2 or not w.isascii() for w in words) else None
