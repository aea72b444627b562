"""What a person may train on, told apart by what it is."""

import zipfile
from pathlib import Path

from ..errors import InputError, nearest
from .arrays import from_npy, from_npz
from .builtin import BUILT_IN
from .entry import LIMITS, Limits, Source
from .folder import PICTURES, from_folder, from_zip
from .sheet import from_sheet

KINDS = "a folder, a zip, an .npy or .npz array, a sprite sheet with the size of its cells, or a built-in set"


def open_source(
    source: str | Path,
    *,
    labels: str | None = None,
    cell: int | tuple[int, int] | None = None,
    masks: bool = False,
    limits: Limits = LIMITS,
) -> Source:
    """Find every picture of a source, reading none of them yet.

    `source` is a folder, a zip of one, an array of pictures (`labels`: the array of their labels), a sprite sheet
    (`cell`: the side, or height and width, of its cells), or the name of a built-in set; ./emoji is a folder. `masks`:
    each picture has a mask beside it, in a folder or a zip of one.
    """
    given = str(source)
    path = Path(given)
    kind = _kind(given, path)
    if labels is not None and kind != "npy":
        raise InputError(f"a file of labels goes with an .npy array, and {given} is none: labels are then inside it")
    if cell is not None and kind != "picture":
        raise InputError(f"cells are cut out of one picture, and {given} is none: leave the size of cells out")
    if masks and kind not in ("folder", "zip"):
        raise InputError(f"masks lie beside pictures in a folder or a zip of one, and {given} is neither")
    if kind == "built-in":
        return BUILT_IN[given]()
    if kind == "folder":
        return from_folder(given, limits, masks)
    if kind == "npy":
        return from_npy(given, labels, limits)
    if kind == "npz":
        return from_npz(given, limits)
    if kind == "zip":
        return from_zip(given, limits, masks)
    if cell is None:
        raise InputError(f"{given} is a single picture: if it is a sprite sheet, give the size of its cells")
    return from_sheet(given, (cell, cell) if isinstance(cell, int) else cell)


def _kind(given: str, path: Path) -> str:
    if given in BUILT_IN:
        return "built-in"
    try:
        if path.is_dir():
            return "folder"
        if not path.exists():
            siblings = [str(path.parent / p.name) for p in path.parent.iterdir()] if path.parent.is_dir() else []
            raise InputError(f"no source is called {given}{nearest(given, [*BUILT_IN, *siblings])}")
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{given} cannot be opened: give {KINDS}") from error
    ending = path.suffix.lower()
    if ending in (".npy", ".npz"):
        return ending[1:]
    if ending == ".zip" or (ending not in PICTURES and zipfile.is_zipfile(path)):
        return "zip"
    if ending in PICTURES:
        return "picture"
    raise InputError(f"{given} is nothing that can be trained on: give {KINDS}")
