"""The kept pictures as files: PNGs that say how they were drawn, a sheet, a zip of both."""

import os
import re
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import gradio as gr
import torch

from ..errors import InputError
from ..viz.grid import sheet
from ..viz.png import png
from .session import Cell

DATE = (1980, 1, 1, 0, 0, 0)  # of every file in a zip: the same pictures give the same bytes


def metadata(cell: Cell) -> dict[str, object]:
    """What a PNG says of itself: enough for `noisette sample --like`; of a branch, where it left its walk as well."""
    told: dict[str, object] = asdict(cell.origin)
    return told if cell.branch is None else told | {"branch": asdict(cell.branch)}


def named(cells: Sequence[Cell]) -> dict[str, bytes]:
    """A PNG for each: LABEL-SEED.png, with a number behind it where that is taken."""
    found: dict[str, bytes] = {}
    for cell in cells:
        words = re.sub(r"\W+", "-", cell.origin.label or "").strip("-").lower()
        stem = f"{words}{'-' if words else ''}{cell.origin.seed:06d}"
        name, again = f"{stem}.png", 2
        while name in found:
            name, again = f"{stem}-{again}.png", again + 1
        found[name] = png(cell.pixels, metadata(cell))
    return found


def contact(cells: Sequence[Cell]) -> bytes:
    """All of them on one sheet, a PNG. They are of one size and kind."""
    if len({c.pixels.shape for c in cells}) != 1:
        raise InputError("these pictures are of several sizes or kinds: a sheet is of one, a zip takes all")
    return png(sheet(torch.cat([c.pixels for c in cells])))


def archive(cells: Sequence[Cell]) -> bytes:
    """A zip of the PNGs and, where they are of one kind, of the sheet."""
    files = named(cells)
    if len({c.pixels.shape for c in cells}) == 1:
        files["sheet.png"] = contact(cells)
    return zipped(files)


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A zip of files by name; the same files give the same bytes."""
    data = BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_STORED) as packed:
        for name, content in files.items():
            packed.writestr(zipfile.ZipInfo(name, DATE), content)
    return data.getvalue()


def offered(files: Mapping[str, bytes]) -> Any:
    """Files for the visitor to save: in the folder that is emptied when the studio closes, and before."""
    folder = Path(tempfile.mkdtemp(dir=os.environ.get("GRADIO_TEMP_DIR")))
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return gr.update(value=[str(folder / name) for name in files], visible=True)
