"""Kept pictures as files: PNGs with their sampling settings as metadata, a sheet, and a zip of both."""

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

from ..data.contact_sheet import contact_sheet
from ..data.png import encode_png
from ..errors import InputError
from .session import BoardSample

ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # a fixed date for all files in a zip, so that the same pictures give the same bytes


def make_metadata(sample: BoardSample) -> dict[str, object]:
    """PNG metadata: the `SampleRecord`, from which the picture can be reproduced; and the branch, if it is from one."""
    metadata: dict[str, object] = asdict(sample.record)
    return metadata if sample.branch is None else metadata | {"branch": asdict(sample.branch)}


def encode_pngs(samples: Sequence[BoardSample]) -> dict[str, bytes]:
    """PNGs by name: LABEL-SEED.png, with a number appended if the name is used twice."""
    files: dict[str, bytes] = {}
    for cell in samples:
        label = re.sub(r"\W+", "-", cell.record.label or "").strip("-").lower()
        stem = f"{label}{'-' if label else ''}{cell.record.seed:06d}"
        name, number = f"{stem}.png", 2
        while name in files:
            name, number = f"{stem}-{number}.png", number + 1
        files[name] = encode_png(cell.pixels, make_metadata(cell))
    return files


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


def zip_files(files: Mapping[str, bytes]) -> bytes:
    """A zip of files by name. The same files give the same bytes."""
    data = BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, ZIP_DATE), content)
    return data.getvalue()


def offer_files(files: Mapping[str, bytes]) -> Any:
    """A Gradio update that offers files for download. They are in a temporary folder of the studio."""
    folder = Path(tempfile.mkdtemp(dir=os.environ.get("GRADIO_TEMP_DIR")))
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return gr.update(value=[str(folder / name) for name in files], visible=True)
