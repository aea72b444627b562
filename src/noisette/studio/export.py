"""Kept pictures as files: PNGs with their sampling settings as metadata, a sheet, and a zip of both."""

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import gradio as gr
import torch

from ..data.contact_sheet import contact_sheet
from ..data.palette_lock import PaletteLock
from ..data.png import encode_png
from ..errors import InputError
from ..interop.sheet_formats import encode_sheet as encode_game_files
from ..interop.sheet_layout import pack_sheet, picture_of_sample
from ..io.zip_writer import zip_files
from ..sampling.record import encode_finished
from .session import BoardSample


def make_metadata(sample: BoardSample) -> dict[str, object]:
    """PNG metadata: the `SampleRecord`, from which the picture can be reproduced; and the branch, if it is from one."""
    metadata: dict[str, object] = asdict(sample.record)
    return metadata if sample.branch is None else metadata | {"branch": asdict(sample.branch)}


def lock_samples(samples: Sequence[BoardSample], lock: PaletteLock | None) -> tuple[BoardSample, ...]:
    """The samples in the colors of a palette alone, which their records then name; None: as they are."""
    if lock is None:
        return tuple(samples)
    return tuple(replace(s, pixels=lock(s.pixels), record=replace(s.record, lock=lock)) for s in samples)


def name_samples(samples: Sequence[BoardSample]) -> dict[str, BoardSample]:
    """Samples by the names of their files, without ending: LABEL-SEED, with a number if the name is used twice."""
    named: dict[str, BoardSample] = {}
    for cell in samples:
        label = re.sub(r"\W+", "-", cell.record.label or "").strip("-").lower()
        stem = name = f"{label}{'-' if label else ''}{cell.record.seed:06d}"
        number = 2
        while name in named:
            name, number = f"{stem}-{number}", number + 1
        named[name] = cell
    return named


def encode_pngs(samples: Sequence[BoardSample]) -> dict[str, bytes]:
    """PNGs by name."""
    return {
        f"{name}.png": encode_finished(cell.pixels, cell.record, make_metadata(cell))
        for name, cell in name_samples(samples).items()
    }


def encode_game_sheet(samples: Sequence[BoardSample], kind: str) -> bytes:
    """A zip with a sheet at native size and the files that describe it to a game engine (`noisette sheet`)."""
    pictures = [picture_of_sample(name, cell.pixels, cell.record) for name, cell in name_samples(samples).items()]
    return zip_files(encode_game_files(pack_sheet(pictures), kind))


def encode_sheet(samples: Sequence[BoardSample]) -> bytes:
    """All pictures on one sheet, as a PNG. InputError if they differ in size or mode."""
    if len({c.pixels.shape for c in samples}) != 1:
        raise InputError("the pictures differ in size or mode: a sheet needs the same for all; export a zip instead")
    return encode_png(contact_sheet(torch.cat([c.pixels for c in samples])))


def encode_archive(samples: Sequence[BoardSample]) -> bytes:
    """A zip with the PNGs, and with the sheet if all pictures have the same size and mode."""
    files = encode_pngs(samples)
    if len({c.pixels.shape for c in samples}) == 1:
        files["sheet.png"] = encode_sheet(samples)
    return zip_files(files)


def offer_files(files: Mapping[str, bytes]) -> Any:
    """A Gradio update that offers files for download. They are in a temporary folder of the studio."""
    folder = Path(tempfile.mkdtemp(dir=os.environ.get("GRADIO_TEMP_DIR")))
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return gr.update(value=[str(folder / name) for name in files], visible=True)
