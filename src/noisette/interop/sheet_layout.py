"""Sheets for game engines: pictures of one size, packed at native size into one PNG that an engine can cut."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path

import torch

from ..data.entry import natural_sort_key
from ..data.origin_mark import Origin
from ..data.own_files import is_own_file
from ..data.pictures import MODE_BY_CHANNELS
from ..data.png import read_metadata
from ..edit.recolor import find_pictures, read_tensor
from ..errors import InputError
from ..sampling.files import GRID_FILE
from ..sampling.record import SampleRecord
from ..shapes import UInt8Images

MAX_SHEET_SIDE = 16384  # pixels; engines take no larger texture
MAX_EXTRUDE = 16


@dataclass(frozen=True, eq=False)
class SheetPicture:
    """One picture of a sheet."""

    name: str  # unique in its sheet
    pixels: UInt8Images  # (1, C, H, W)
    label: str | None = None
    seed: int | None = None  # of one that Noisette drew
    colors: tuple[str, ...] = ()  # of the palette that it is locked to
    origin: Origin = "generated"


@dataclass(frozen=True)
class SheetLayout:
    """Where the pictures of a sheet are: row by row from the top left, each with its edge pixels repeated `extrude`
    times around it, so that no neighbor shows where a renderer reads a little beside it."""

    count: int
    columns: int
    width: int  # of a picture, in pixels
    height: int
    extrude: int = 0
    power_of_two: bool = False  # width and height of the sheet are powers of two

    @property
    def rows(self) -> int:
        return -(-self.count // self.columns)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the sheet."""
        sides = (
            self.columns * (self.width + 2 * self.extrude),
            self.rows * (self.height + 2 * self.extrude),
        )
        across, down = (1 << (side - 1).bit_length() if self.power_of_two else side for side in sides)
        return across, down

    def position(self, index: int) -> tuple[int, int]:
        """x and y of the top left pixel of a picture, without its repeated edges."""
        row, column = divmod(index, self.columns)
        x, y = column * (self.width + 2 * self.extrude), row * (self.height + 2 * self.extrude)
        return x + self.extrude, y + self.extrude


@dataclass(frozen=True, eq=False)
class Sheet:
    """Pictures in the order of the sheet, sorted by label, and the sheet."""

    pictures: tuple[SheetPicture, ...]
    layout: SheetLayout
    pixels: UInt8Images  # (1, C, height, width) of the sheet

    @property
    def runs(self) -> Iterator[tuple[str, range]]:
        """Pictures of one label in sequence: the label, or "all" without one, and their numbers."""
        for label, group in groupby(enumerate(self.pictures), lambda numbered: numbered[1].label):
            numbers = [number for number, _ in group]
            yield label or "all", range(numbers[0], numbers[-1] + 1)

    @property
    def colors(self) -> tuple[str, ...]:
        """The palette that all pictures are locked to; () where they are not, or to different ones."""
        palettes = {picture.colors for picture in self.pictures}
        return palettes.pop() if len(palettes) == 1 else ()

    @property
    def origin(self) -> Origin:
        """That of the pictures; "edited" of a sheet with pictures of several origins."""
        origins = {picture.origin for picture in self.pictures}
        return origins.pop() if len(origins) == 1 else "edited"


def pack_sheet(
    pictures: Sequence[SheetPicture], columns: int | None = None, extrude: int = 0, power_of_two: bool = False
) -> Sheet:
    """One sheet of pictures of the same size and mode. Without `columns` it is about square.

    Raises InputError for pictures of different sizes or modes, for a sheet that is larger than MAX_SHEET_SIDE, and for
    numbers out of range.
    """
    if not pictures:
        raise InputError("a sheet needs at least one picture")
    shapes = {tuple(picture.pixels.shape) for picture in pictures}
    if len(shapes) > 1:
        sizes = sorted(f"{width}×{height} {MODE_BY_CHANNELS[channels]}" for _, channels, height, width in shapes)
        raise InputError(f"the pictures of a sheet must have one size and mode, and these have {', '.join(sizes)}")
    check_extrude(extrude)
    ordered = sorted(pictures, key=lambda picture: (picture.label or "", natural_sort_key(picture.name)))
    _, channels, height, width = ordered[0].pixels.shape
    if columns is None:
        columns = max(1, round((len(ordered) * height / width) ** 0.5))
    if columns < 1:
        raise InputError(f"a sheet must have at least 1 column, got {columns}")
    columns = min(columns, len(ordered))
    layout = SheetLayout(len(ordered), columns, width, height, extrude, power_of_two)
    across, down = layout.size
    if max(across, down) > MAX_SHEET_SIDE:
        raise InputError(
            f"a sheet of {across}×{down} pixels is too large: at most {MAX_SHEET_SIDE} a side; give fewer pictures"
        )
    pixels = torch.zeros(1, channels, down, across, dtype=torch.uint8, device="cpu")
    for number, picture in enumerate(ordered):
        x, y = layout.position(number)
        wide = torch.nn.functional.pad(picture.pixels.cpu().float(), (extrude,) * 4, mode="replicate")
        rows, cols = slice(y - extrude, y + height + extrude), slice(x - extrude, x + width + extrude)
        pixels[:, :, rows, cols] = wide.to(torch.uint8)
    return Sheet(tuple(ordered), layout, pixels)


def check_extrude(extrude: int) -> None:
    """Raise InputError for a number of repeated edge pixels that is out of range."""
    if not 0 <= extrude <= MAX_EXTRUDE:
        raise InputError(f"extrude must be 0 to {MAX_EXTRUDE} pixels, got {extrude}")


def picture_of_sample(name: str, pixels: UInt8Images, record: SampleRecord) -> SheetPicture:
    """A sample, (1, C, H, W), as a picture of a sheet."""
    return picture_of_record(name, pixels, asdict(record))


def picture_of_record(
    name: str, pixels: UInt8Images, record: Mapping[str, object], label: str | None = None
) -> SheetPicture:
    """A picture that Noisette wrote, (1, C, H, W), with the metadata of its file. label: of one without its own."""
    label_value, seed, lock = record.get("label") or label, record.get("seed"), record.get("lock")
    return SheetPicture(
        name,
        pixels,
        label_value if isinstance(label_value, str) else None,
        seed if isinstance(seed, int) else None,
        _lock_colors(lock),
        "edited" if "picture" in record else "generated",
    )


def read_sheet_pictures(source: str | Path) -> list[SheetPicture]:
    """The pictures of a folder, without grid.png of `noisette sample`: label and seed from their records; without a
    record the label is the name of the subfolder. Raises InputError where a picture cannot be read."""
    return list(iter_sheet_pictures(source))


def iter_sheet_pictures(source: str | Path) -> Iterator[SheetPicture]:
    """`read_sheet_pictures`, one after the other."""
    folder, names = Path(source), set[str]()
    for path in find_pictures(folder):
        if path.name == GRID_FILE:  # the enlarged overview of `noisette sample` is no picture of a sheet
            continue
        try:
            record = read_metadata(path)
        except InputError:
            record = {}
        parent = path.parent.name if folder.is_dir() and path.parent != folder else None
        name = path.stem
        while name in names:
            name = f"{parent}-{name}"
        names.add(name)
        picture = picture_of_record(name, read_tensor(path), record, parent)
        yield picture if is_own_file(path) else replace(picture, origin="other")


def _lock_colors(lock: object) -> tuple[str, ...]:
    colors = lock.get("colors") if isinstance(lock, dict) else None
    return tuple(map(str, colors)) if isinstance(colors, list | tuple) else ()
