"""What a picture's caption is: the text in its metadata, or its file's name, where names are words."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ..errors import InputError
from .manifest import File

SERIAL = frozenset(
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
)  # what cameras and programs call everything
PART = re.compile(r"[^\W_]+")
HUMPS = re.compile(r"(?<=[a-z])(?=[A-Z])")  # redFish


def captions(files: Sequence[File], source: str | Path) -> tuple[str | None, ...]:
    """A caption a file; None where there is none. Where no file has a text, their names are read.

    Raises InputError where neither says anything of at least half of them.
    """
    texts = tuple(" ".join((file.text or "").split()) or None for file in files)
    if any(texts):
        return texts
    texts = tuple(named(file.name) for file in files)
    if 2 * sum(text is not None for text in texts) < len(texts):
        raise InputError(
            f"nothing says in words what the pictures of {source} show: add a metadata.jsonl with a text for each, "
            "or name the files like red-fish-01.png"
        )
    return texts


def named(name: str) -> str | None:
    """The words of a file's name: "red fish" of fish/red_fish-012.png; None of IMG_0012.png and 7f3e9a.png."""
    parts = [p.rstrip("0123456789") for p in PART.findall(HUMPS.sub(" ", PurePosixPath(name).stem))]
    words = [p.lower() for p in parts if p.isalpha() and (len(p) > 1 or not p.isascii()) and p.lower() not in SERIAL]
    return " ".join(words) if any(len(w) > 2 or not w.isascii() for w in words) else None
