"""Damaged files of every kind that a source may hold are read or refused, and never crash.

NOISETTE_MUTATIONS sets the number of mutations of each kind; 10,000 take some minutes.
"""

import contextlib
import io
import json
import os
import random
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from noisette.data import open_source, scan
from noisette.data.decode import decode
from noisette.data.entry import BadPicture
from noisette.data.mask_values import MaskSurvey, read_mask
from noisette.errors import InputError

from .build import encoded, folder, image, noise, put

MUTATIONS = int(os.environ.get("NOISETTE_MUTATIONS", "60"))
SPECIAL = (
    b"\0",
    b"\xff",
    b"\n",
    b",",
    b'"',
    b"\xff\xff\xff\xff",
    b"\0\0\0\0",
    b"1e999",
    b"[[[[",
    b"NaN",
    b"\xed\xa0\x80",
)


def mutated(data: bytes, rng: random.Random) -> bytes:
    """One to four bytes flipped, pieces inserted, removed, doubled, or the end cut off."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(changed) + 1)
        match rng.randrange(5):
            case 0 if at < len(changed):
                changed[at] ^= 1 << rng.randrange(8)
            case 1:
                changed[at:at] = rng.choice(SPECIAL)
            case 2:
                del changed[at : at + rng.randint(1, 8)]
            case 3:
                changed[at:at] = changed[at : at + rng.randint(1, 64)]
            case 4 if rng.random() < 0.3:
                del changed[at:]
    return bytes(changed)


def pictures() -> dict[str, bytes]:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pages = [image(noise(i, 8, 8)) for i in range(3)]
    deep = Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000)
    palette = image(noise(0, 8, 8)).quantize(4)
    return {
        "png": encoded(noise(0, 8, 8), icc_profile=profile),
        "tiff": encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:]),
        "16 bit": encoded(deep, "TIFF"),
        "16 bit png": encoded(deep),
        "palette": encoded(palette),
        "jpeg": encoded(noise(0, 8, 8), "JPEG", icc_profile=profile),
        "cmyk": encoded(image(noise(0, 8, 8)).convert("CMYK"), "TIFF"),
    }


@pytest.mark.parametrize("kind", list(pictures()))
def test_mutated_pictures_and_masks(kind: str) -> None:
    data, rng = pictures()[kind], random.Random(kind)
    for _ in range(MUTATIONS):
        changed = mutated(data, rng)
        for read in (decode, read_mask):
            try:
                found = read(changed)
            except BadPicture:
                continue
            if read is read_mask:
                survey = MaskSurvey()
                survey.add("it", found.values.shape, found)
                with contextlib.suppress(InputError):
                    survey.read("here").to_pixels(found)


def tables() -> dict[str, bytes]:
    rows = [{"file_name": f"{n}.png", "label": "ä", "text": "x", "size": 1.5, "tags": [1]} for n in "abc"]
    csv = "file_name,label,size,\n" + "".join(f"{n}.png,ä,1.5,\n" for n in "abc")
    return {
        "metadata.jsonl": "\n".join(map(json.dumps, rows)).encode(),
        "metadata.csv": csv.encode(),
        "dataset.json": json.dumps({"labels": [[f"{n}.png", [0, 1]] for n in "abc"]}).encode(),
        "a.txt": b"a caption",
        "data.json": b'{"schema": 1, "fingerprint": "x"}',
    }


@pytest.mark.parametrize("name", list(tables()))
def test_mutated_tables(name: str, tmp_path: Path) -> None:
    folder(tmp_path, "a.png", "b.png", "c.png", h=8, w=8)
    data, rng = tables()[name], random.Random(name)
    for _ in range(MUTATIONS):
        put(tmp_path / name, mutated(data, rng))
        try:
            source = open_source(tmp_path)
        except InputError as error:
            assert "\n" not in str(error)
            continue
        json.dumps([[e.label, dict(e.attributes), e.text] for e in source.entries], allow_nan=False)


@pytest.mark.parametrize("kind", ["zip", "npz", "packed npz", "npy"])
def test_mutated_archives(kind: str, tmp_path: Path) -> None:
    rng, buffer = random.Random(kind), io.BytesIO()
    arrays = {"x_train": noise(0, 8, 8)[None].repeat(3, 0), "y_train": np.arange(3)}
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for i in range(3):
                archive.writestr(f"ä/{i}.png", encoded(noise(i, 8, 8)))
    elif kind == "npy":
        np.save(buffer, arrays["x_train"])
    else:
        (np.savez if kind == "npz" else np.savez_compressed)(buffer, **arrays)
    path = tmp_path / f"set.{kind.removeprefix('packed ')}"
    for _ in range(MUTATIONS):
        put(path, mutated(buffer.getvalue(), rng))
        try:
            scan(path)
        except InputError as error:
            assert "\n" not in str(error)
