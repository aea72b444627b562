"""What generated pictures say about themselves, as ExifTool reads it (Debian: libimage-exiftool-perl)."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from noisette.data.origin_mark import SOURCE_TYPES
from noisette.data.own_files import is_own_picture
from noisette.data.png import encode_png, read_png, write_png
from noisette.report.viz.animation import write_film
from tiny_models import tiny

PIXELS = torch.zeros(1, 4, 8, 8, dtype=torch.uint8)
GENERATED, COMPOSITE = SOURCE_TYPES["generated"], SOURCE_TYPES["edited"]


def source_types(*paths: Path) -> dict[str, str | None]:
    """Path → the last part of IPTC's digital source type, by ExifTool."""
    if shutil.which("exiftool") is None and "CI" not in os.environ:
        pytest.skip("ExifTool is not installed: apt-get install libimage-exiftool-perl")
    printed = subprocess.run(
        ["exiftool", "-json", "-n", "-XMP:DigitalSourceType", "-warning", *map(str, paths)],
        check=True, capture_output=True, timeout=60, text=True,
    ).stdout  # fmt: skip
    rows = json.loads(printed)
    assert not any("Warning" in row for row in rows), rows
    return {row["SourceFile"]: row.get("DigitalSourceType", "").rsplit("/", 1)[-1] or None for row in rows}


def test_origins(tmp_path: Path) -> None:
    """Less than a kilobyte; pixels and metadata as before; pictures of others say nothing."""
    write_png(tmp_path / "drawn.png", PIXELS, {"seed": 1, "text": "ä < 火"})
    write_png(tmp_path / "edited.png", PIXELS, {"edit": "vary", "picture": "a.png"})
    write_png(tmp_path / "sheet.png", PIXELS)
    write_png(tmp_path / "other.png", PIXELS, origin="other")
    names = ("drawn.png", "edited.png", "sheet.png", "other.png")
    found = source_types(*(tmp_path / name for name in names))
    assert list(found.values()) == [GENERATED, COMPOSITE, GENERATED, None]
    pixels, metadata = read_png(tmp_path / "drawn.png")
    assert torch.equal(pixels, PIXELS) and metadata == {"seed": 1, "text": "ä < 火"}
    assert len(encode_png(PIXELS)) - len(encode_png(PIXELS, origin="other")) < 1000
    for name in names:
        data = (tmp_path / name).read_bytes()
        assert is_own_picture(name, lambda head=None, data=data: data[:head]) == (name != "other.png")


@pytest.mark.parametrize("ending", [".gif", ".png"])
def test_films(ending: str, tmp_path: Path) -> None:
    """All frames are still there, and another reader finds the mark."""
    frames = [Image.fromarray(np.full((8, 8, 3), value, np.uint8)) for value in (0, 90, 255)]
    path = tmp_path / f"film{ending}"
    write_film(path, frames)
    assert source_types(path) == {str(path): GENERATED}
    with Image.open(path) as film:
        assert film.n_frames == 3
        for number in range(3):
            film.seek(number)
            assert np.array_equal(np.asarray(film.convert("RGB")), np.asarray(frames[number]))
    assert is_own_picture(path.name, lambda head=None: path.read_bytes()[:head])


def test_every_command_marks_its_pictures(call, tmp_path: Path) -> None:
    """Samples, edits, films, sheets, recolored pictures."""
    model, few = tmp_path / "model", ("--steps", 1)
    tiny().save_pretrained(model)
    Image.new("RGBA", (8, 8), "red").save(tmp_path / "real.png")
    lines = {
        "a": (GENERATED, "sample", model, "-n", 2, *few, "--sheet", "css", "--palette", "#ffffff", "--lock"),
        "b": (COMPOSITE, "edit", "vary", model, tmp_path / "real.png", "-n", 1, *few),
        "c": (GENERATED, "edit", "walk", model, "--keyframes", 2, "--frames", 2, *few),
        "d": (GENERATED, "palette", "apply", tmp_path / "a", "--palette", "#000000"),
        "e": (None, "sheet", tmp_path / "real.png", "--to", "css"),
        "f": (COMPOSITE, "sheet", tmp_path / "b", "--to", "css"),
    }
    for folder, (_, *words) in lines.items():
        assert (result := call(*words, "--out", tmp_path / folder)).code == 0, result.err
    paths = {folder: [p for p in (tmp_path / folder).iterdir() if p.suffix in (".png", ".gif")] for folder in lines}
    found = source_types(*(path for some in paths.values() for path in some))
    for folder, some in paths.items():
        assert some and {found[str(path)] for path in some} == {lines[folder][0]}, folder
