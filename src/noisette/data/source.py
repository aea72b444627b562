"""Opening a source of training pictures: a folder, zip, array, TIFF stack, sprite sheet or built-in set."""

import zipfile
from collections.abc import Callable
from pathlib import Path

from ..errors import InputError, suggest_names
from .arrays import from_npy
from .atlas import from_atlas, is_atlas
from .builtin import BUILT_IN
from .entry import DEFAULT_LIMITS, Limits, Source
from .folder import from_folder, from_sprite, from_stack
from .listing import PICTURE_SUFFIXES
from .npz import from_npz
from .parquet_file import from_parquet
from .shards import SHARD_SUFFIXES, find_shards
from .sprite_files import is_sprite
from .sprite_sheet import Cells, CellSize, from_sheet
from .tar_file import from_tars
from .zip_file import from_zip

SUPPORTED_SOURCES = (
    "a folder, a zip, an .npy or .npz array, a WebDataset tar or Parquet file or a folder of them, a TIFF of several "
    "pages, a sprite sheet with the size of its cells, a file of Aseprite, an atlas (.json) or tile set (.tsx, .tsj), "
    "or a built-in set"
)


def open_source(
    source: str | Path,
    *,
    labels: str | None = None,
    cell: CellSize | Cells | None = None,
    masks: bool = False,
    follow_links: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> Source:
    """List the pictures of a source without decoding them.

    source: a folder, a zip of one, an .npy or .npz array, a WebDataset tar, a Parquet file, a folder of tars or of
    Parquet files, a TIFF of several pages, a sprite sheet, a file of Aseprite (.aseprite, .ase), an atlas or tile set
    (.json, .tsx, .tsj) with its sheet beside it, or the name of a built-in set ("emoji", "icons", "digits"; "./emoji"
    is a folder).
    labels: for an .npy, the path of the .npy with its labels.
    cell: for a sprite sheet, the side, or height and width, of its cells in pixels; "auto": they are found by the empty
    rows and columns between them; or `Cells`, with spacing and margin.
    masks: for a folder or zip, read pairs of a picture and its segmentation mask.
    follow_links: for a folder, also read the files and folders outside of it that links lead to.

    Raises InputError if the source does not exist, holds no pictures, or does not go with an option.
    """
    location = str(source)
    if not location:
        raise InputError("the source must not be empty: give a path; the current folder is .")
    path = Path(location)
    kind = _detect_kind(location, path)
    if labels is not None and kind != "npy":
        raise InputError(f"labels can only be given for an .npy array, and {location} is not one: leave labels out")
    if cell is not None and kind != "picture":
        raise InputError(
            f"a cell size can only be given for a sprite sheet, and {location} is not a picture: leave it out"
        )
    if masks and kind not in ("folder", "zip"):
        raise InputError(f"masks can only be read from a folder or a zip of one, and {location} is neither")
    readers: dict[str, Callable[[], Source]] = {
        "folder": lambda: from_folder(location, limits, masks, follow_links),
        "npy": lambda: from_npy(location, labels, limits),
        "npz": lambda: from_npz(location, limits),
        "zip": lambda: from_zip(location, limits, masks),
        "tar": lambda: from_tars(location, find_shards(path) or [path], limits),
        "parquet": lambda: from_parquet(location, find_shards(path) or [path], limits),
        "atlas": lambda: from_atlas(location),
        "sprite": lambda: from_sprite(location, limits),
    }
    if kind in readers:
        return readers[kind]()
    if kind == "built-in":
        return BUILT_IN[location]()
    stack = from_stack(location, limits)
    if stack is not None:
        if cell is not None:
            raise InputError(
                f"{location} has {len(stack.entries)} pages, and a sprite sheet has one: leave the cell size out"
            )
        return stack
    if cell is None:
        raise InputError(f"{location} is a single picture: if it is a sprite sheet, give the size of its cells")
    return from_sheet(location, cell if isinstance(cell, Cells) else Cells(cell))


def _detect_kind(location: str, path: Path) -> str:
    """One of "built-in", "folder", "npy", "npz", "tar", "parquet", "atlas", "sprite", "zip" and "picture".

    Raises InputError for anything else.
    """
    if location in BUILT_IN:
        return "built-in"
    try:
        if path.is_dir():
            shards = find_shards(path)
            return shards[0].suffix[1:] if shards else "folder"
        if not path.exists():
            siblings = [str(path.parent / p.name) for p in path.parent.iterdir()] if path.parent.is_dir() else []
            raise InputError(f"no source is called {location}{suggest_names(location, [*BUILT_IN, *siblings])}")
        if not path.is_file():
            raise InputError(f"{location} is a device or a pipe, not a file: give {SUPPORTED_SOURCES}")
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{location} cannot be opened: give {SUPPORTED_SOURCES}") from error
    suffix = path.suffix.lower()
    if suffix in (".npy", ".npz", *SHARD_SUFFIXES):
        return suffix[1:]
    if is_atlas(path):
        return "atlas"
    if is_sprite(path):
        return "sprite"
    if suffix == ".zip" or (suffix not in PICTURE_SUFFIXES and zipfile.is_zipfile(path)):
        return "zip"
    if suffix in PICTURE_SUFFIXES:
        return "picture"
    raise InputError(f"{location} is not a source of pictures: give {SUPPORTED_SOURCES}")
