"""Picture files in other colors: those of a palette alone, or one palette swapped for another. No model takes part."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ..data.decode import decode
from ..data.entry import BadPicture, Pixels
from ..data.listing import is_picture
from ..data.own_files import file_reader, is_exact_copy, is_own_file
from ..data.palette import Palette
from ..data.palette_lock import PaletteLock
from ..data.png import read_metadata, to_indexed, write_png
from ..errors import InputError
from ..io.files import read_bytes
from ..shapes import Recolored, UInt8Images


@dataclass(frozen=True)
class Recoloring:
    """What is done to each picture. `apply` returns RGB or RGBA; `metadata` are what a record of ours gets beside."""

    apply: Callable[[UInt8Images], Recolored]
    colors: tuple[str, ...]  # the palette of the files that are written, in its order
    metadata: Mapping[str, Any]


def lock_colors(lock: PaletteLock) -> Recoloring:
    """The nearest color of the lock's palette for every visible pixel."""
    return Recoloring(lock, lock.colors, {"lock": asdict(lock)})


def swap_colors(old: Palette, new: Palette) -> Recoloring:
    """Each color of `old` becomes the color of `new` at the same place; other colors stay.

    Raises InputError where the palettes have different numbers of colors.
    """
    if len(old) != len(new):
        raise InputError(f"the palettes have {len(old)} and {len(new)} colors: to swap them, they must have as many")
    from_colors, to_colors = (torch.tensor(palette.rgb, dtype=torch.uint8) for palette in (old, new))

    def swap(pixels: UInt8Images) -> Recolored:
        has_alpha = pixels.shape[1] in (2, 4)
        rgb = (pixels[:, :-1] if has_alpha else pixels).expand(-1, 3, -1, -1).permute(0, 2, 3, 1)
        is_equal = (rgb[..., None, :] == from_colors).all(dim=-1)  # (b, h, w, k)
        swapped = torch.where(is_equal.any(dim=-1, keepdim=True), to_colors[is_equal.int().argmax(dim=-1)], rgb)
        color = swapped.permute(0, 3, 1, 2)
        return torch.cat([color, pixels[:, -1:]], dim=1) if has_alpha else color

    metadata = {"edit": "palette swap", "swap": [list(old.colors), list(new.colors)]}
    return Recoloring(swap, new.colors, metadata)


def find_pictures(source: str | Path, is_wanted: Callable[[str], bool] = is_picture) -> list[Path]:
    """A picture, or all pictures of a folder and its subfolders. Raises InputError where there are none.

    is_wanted: whether a file is a picture, by its name.
    """
    path = Path(source)
    if path.is_file():
        return [path]
    found = sorted(p for p in path.rglob("*") if is_wanted(p.name) and p.is_file()) if path.is_dir() else []
    readers = {p.as_posix(): file_reader(p) for p in found}
    found = [p for p in found if not is_exact_copy(p.as_posix(), readers)]
    if not found:
        raise InputError(f"{source} is no picture and no folder with pictures: give one")
    return found


def read_pixels(path: Path) -> Pixels:
    """A picture of a file. Raises InputError where it cannot be read, and for films."""
    try:
        decoded = decode(read_bytes(path))
    except BadPicture as error:
        raise InputError(f"{path} {error}") from error
    if decoded.animated:
        raise InputError(f"{path} is a film: give still pictures")
    return decoded.pixels


def read_tensor(path: Path) -> UInt8Images:
    """`read_pixels` as (1, C, H, W)."""
    return torch.from_numpy(read_pixels(path).transpose(2, 0, 1).copy())[None]


def check_outside(source: Path, out: Path) -> None:
    """Raise InputError for a folder to write into that is in the source's folder: pictures of it could be replaced."""
    folder = source if source.is_dir() else source.parent
    if out.resolve() == folder.resolve() or (source.is_dir() and out.resolve().is_relative_to(folder.resolve())):
        raise InputError(f"{out} is in {folder}, which has the pictures: give a folder outside of it")


def recolor(source: str | Path, out: Path, recoloring: Recoloring) -> Iterator[Path]:
    """Write each picture of `source` in its new colors, as a PNG with the palette, under the same name in `out`.

    Pictures that Noisette drew keep their records. Pictures of others are not marked as drawn by it, so that they can
    be trained on. Raises InputError for what cannot be read, and for two pictures that differ in the ending of their
    names alone; nothing is written into the source.
    """
    files, folder = find_pictures(source), Path(source)
    check_outside(folder, out)
    names = {
        path: (path.relative_to(folder) if folder.is_dir() else Path(path.name)).with_suffix(".png") for path in files
    }
    if len(set(names.values())) < len(names):
        twice = next(name for name, count in Counter(names.values()).items() if count > 1)
        raise InputError(f"two pictures of {source} would become {twice}: give them different names")
    for path, name in names.items():
        is_own, target = is_own_file(path), out / name
        image = to_indexed(recoloring.apply(read_tensor(path)), recoloring.colors)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_png(target, image, _metadata(path, recoloring) if is_own else None, None if is_own else "other")
        yield target


def _metadata(path: Path, recoloring: Recoloring) -> dict[str, Any] | None:
    """The record of a picture of ours with what was done; None where it has none, as a sheet."""
    try:
        return read_metadata(path) | dict(recoloring.metadata)
    except InputError:
        return None
