"""Tools that need no model: scanning a folder, and packing its pictures into a sheet."""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..data.listing import is_listed
from ..data.scan import scan
from ..data.source import open_source
from ..edit.recolor import check_outside, read_tensor
from ..errors import InputError
from ..interop.sheet_formats import encode_sheet
from ..interop.sheet_layout import SheetPicture, iter_sheet_pictures, pack_sheet
from ..io.files import atomic_write
from ..shapes import UInt8Images
from .answer import Answer, plan
from .job import Job
from .place import Place

MAX_LISTED = 20  # entries of a list in an answer
MAX_SHEET_PIXELS = 2**24
TIMED_PICTURES = 8  # that a dry run reads


def plan_scan(place: Place, folder: str) -> Answer:
    """About how long scanning takes: some of the pictures, evenly spaced, are scanned. No file is written."""
    place.list_pictures(folder, is_listed)
    start = time.perf_counter()
    source = open_source(place.find_folder(folder))
    opened = time.perf_counter()
    some = source.entries[:: -(-len(source.entries) // TIMED_PICTURES)]
    with suppress(InputError):  # where none of them can be used
        scan(replace(source, entries=some))
    seconds = opened - start + (time.perf_counter() - opened) / len(some) * len(source.entries)
    return plan([], seconds, pictures=len(source.entries))


def scan_folder(place: Place, folder: str, job: Job) -> Answer:
    """What a folder holds: the report of `noisette scan --json`, its lists cut to MAX_LISTED entries."""
    place.list_pictures(folder, is_listed)
    result = scan(place.find_folder(folder), progress=job.set_progress)
    return Answer({name: _shorten(value) for name, value in result.to_json().items()} | {"source": folder})


@dataclass(frozen=True)
class SheetRequest:
    """A sheet of the pictures of a folder."""

    folder: str
    out: str
    kind: str
    name: str = "sheet"
    columns: int | None = None
    extrude: int = 0
    power_of_two: bool = False
    frame_ms: int = 100


def plan_sheet(place: Place, request: SheetRequest) -> Answer:
    """How long packing takes, and the files that it writes; only the first pictures are read."""
    pictures, first = _list_sheet_pictures(place, request)
    files = _encode([SheetPicture(pictures[0].stem, first)], request)
    paths = place.new_files(request.out, list(files))
    return plan([place.name(path) for path in paths], _time_reading(pictures), pictures=len(pictures))


def write_sheet(place: Place, request: SheetRequest, job: Job) -> Answer:
    """Pack the pictures, and write the sheet and the files that describe it."""
    _list_sheet_pictures(place, request)
    start, pictures, pixels = time.perf_counter(), list[SheetPicture](), 0
    for picture in iter_sheet_pictures(place.find_folder(request.folder)):
        job.check()
        pixels += picture.pixels[0, 0].numel()
        _check_pixels(pixels)
        pictures.append(picture)
    files = _encode(pictures, request)
    paths = place.new_files(request.out, list(files))
    place.ensure_writable(paths[0].parent)
    job.check()
    for path, content in zip(paths, files.values(), strict=True):
        atomic_write(path, content)
    facts = {
        "seconds": round(time.perf_counter() - start, 2),
        "files": [place.name(path) for path in paths],
        "pictures": len(pictures),
    }
    return Answer(facts, [path for path in paths if path.suffix == ".png"])


def _list_sheet_pictures(place: Place, request: SheetRequest) -> tuple[list[Path], UInt8Images]:
    """The files, and the first picture, whose size all must have. InputError where they are too many for a sheet."""
    pictures = place.list_pictures(request.folder)
    check_outside(place.find_folder(request.folder), place.find(request.out))
    first = read_tensor(pictures[0])
    _check_pixels(first[0, 0].numel() * len(pictures))
    return pictures, first


def _encode(pictures: list[SheetPicture], request: SheetRequest) -> Mapping[str, bytes]:
    sheet = pack_sheet(pictures, request.columns, request.extrude, request.power_of_two)
    return encode_sheet(sheet, request.kind, request.name, request.frame_ms)


def _check_pixels(number: int) -> None:
    if number > MAX_SHEET_PIXELS:
        raise InputError(
            f"the pictures of this sheet have {number:,} pixels together, and at most {MAX_SHEET_PIXELS:,} are packed: "
            "give fewer pictures"
        )


def _time_reading(pictures: list[Path]) -> float:
    """About how many seconds reading all pictures takes: some of them, evenly spaced, are read."""
    some = pictures[:: -(-len(pictures) // TIMED_PICTURES)]
    start = time.perf_counter()
    for path in some:
        read_tensor(path)
    return (time.perf_counter() - start) / len(some) * len(pictures)


def _shorten(value: Any) -> Any:
    """The first entries of a list or an object."""
    if isinstance(value, dict):
        return dict(list(value.items())[:MAX_LISTED])
    return value[:MAX_LISTED] if isinstance(value, list) else value
