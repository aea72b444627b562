"""Recognition of what Noisette itself wrote, so that it is not taken for training pictures.

People train with `noisette train . --out run`: the run folder then lies among the pictures.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from .entry import BadPicture
from .listing import FileListing, Reader, format_names, parent_prefix

HEAD_BYTES = 4096  # of a file, in which its mark must be
MANIFEST_NAME, MANIFEST_MARK = "data.json", b'"fingerprint"'  # of a run folder
MODEL_NAMES = ("config.json", "model.safetensors")  # of a model folder
PICTURE_MARKS = (  # of PNGs (see `png`), films, and TIFFs (see `origin_mark`)
    b"iTXtnoisette\0", b"tEXtSoftware\0noisette", b"!\xfe\x08noisette\0", b"xmp:CreatorTool='noisette'"
)  # fmt: skip
MARKED_SUFFIXES = (".png", ".apng", ".gif", ".tif")


def exclude_run_folders(listing: FileListing) -> FileListing:
    """The listing without run folders and model folders, and with a note that names them."""
    own = {p for p in map(parent_prefix, listing.files) if all(p + name in listing.files for name in MODEL_NAMES)}
    for name, read in listing.files.items():
        if name.rsplit("/", 1)[-1] == MANIFEST_NAME and MANIFEST_MARK in _read_head(read):
            own.add(parent_prefix(name))
    if not own:
        return listing
    outermost = sorted(p for p in own if not any(p != other and p.startswith(other) for other in own))
    files = {name: read for name, read in listing.files.items() if not name.startswith(tuple(outermost))}
    names = [p.rstrip("/") or listing.location for p in outermost]
    note = f"run folders and models of noisette, left out: {format_names(names)}"
    return replace(listing, files=files, notes=(*listing.notes, note))


def is_own_picture(name: str, read: Reader) -> bool:
    """Whether a file is a picture or a film that Noisette wrote."""
    return name.lower().endswith(MARKED_SUFFIXES) and any(mark in _read_head(read) for mark in PICTURE_MARKS)


def is_exact_copy(name: str, files: Mapping[str, Reader]) -> bool:
    """Whether a file is the TIFF that `noisette sample --tiff` writes beside a PNG, which is among `files`, too."""
    path = PurePosixPath(name)
    return path.suffix == ".tif" and str(path.with_suffix(".png")) in files and is_own_picture(name, files[name])


def is_own_file(path: Path) -> bool:
    """`is_own_picture` of a file."""
    return is_own_picture(path.name, file_reader(path))


def file_reader(path: Path) -> Reader:
    """Reads a file, or only its first bytes."""

    def read(head: int | None = None) -> bytes:
        with path.open("rb") as file:
            return file.read(head)

    return read


def _read_head(read: Reader) -> bytes:
    try:
        return read(HEAD_BYTES)
    except (BadPicture, OSError):
        return b""
