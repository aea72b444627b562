"""noisette sheet, and --sheet of `noisette sample` and the edits: from a model to a sheet that an engine cuts."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from noisette.data.own_files import is_own_picture
from noisette.data.png import read_png
from noisette.interop.sheet_formats import SHEET_KINDS
from tiny_models import tiny

PAGE = Path(__file__).parents[2] / "docs" / "sheets.md"


@pytest.mark.parametrize("kind", SHEET_KINDS)
def test_samples_and_their_sheet(kind: str, call, model, tmp_path) -> None:
    """The same files as `noisette sheet` writes of the samples afterwards; the pixels are those of the pictures."""
    few = ("-n", 5, "--steps", 1, "--palette", "#101010,#ff8000", "--lock")
    result = call("sample", model, "--out", tmp_path / "a", *few, "--sheet", kind)
    assert result.code == 0, result.err
    assert "sheet.png" in result.out and "grid.png" in result.out
    after = call("sheet", tmp_path / "a", "--to", kind, "--out", tmp_path / "b", "--json")
    # the sheet of the samples is a picture of the folder, too: of another size
    assert after.code == 2 and "must have one size" in after.err
    (tmp_path / "a" / "sheet.png").rename(tmp_path / "sheet.png")
    after = call("sheet", tmp_path / "a", "--to", kind, "--out", tmp_path / "b", "--json")
    written = [Path(json.loads(line)["path"]) for line in after.out.splitlines()]
    assert len(written) >= 2
    for path in written:
        first = tmp_path / path.name if path.suffix == ".png" else tmp_path / "a" / path.name
        assert path.read_bytes() == first.read_bytes()
    with Image.open(tmp_path / "b" / "sheet.png") as image:
        assert image.size == (16, 24)
        pixels = np.asarray(image.convert("RGBA"))
    first = read_png(tmp_path / "a" / "bread-000000.png")[0]
    assert np.array_equal(pixels[:8, :8], first[0].permute(1, 2, 0).numpy())
    assert is_own_picture("sheet.png", lambda head=None: (tmp_path / "b" / "sheet.png").read_bytes()[:head])


EDITS = {
    "vary": ("picture", "-n", 3), "inpaint": ("picture", "-n", 3, "--margin", 2, "--rounds", 1),
    "upscale": ("small", "-n", 3, "--rounds", 1), "tile": ("-n", 3), "walk": ("--frames", 5, "--keyframes", 2),
}  # fmt: skip


def put_pictures(folder: Path) -> dict[object, Path]:
    """A picture of the model's size, and a small one."""
    for name, side in (("picture", 8), ("small", 4)):
        pixels = np.random.default_rng(side).integers(0, 256, (side, side, 4), np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return {name: folder / f"{name}.png" for name in ("picture", "small")}


@pytest.mark.parametrize("edit", EDITS)
def test_edits_and_their_sheet(edit: str, call, model, tmp_path) -> None:
    """The same sheet and files as `noisette sheet` writes of the edit's pictures, which it packs at native size."""
    places = put_pictures(tmp_path)
    words = [places.get(word, word) for word in EDITS[edit]]
    out = tmp_path / "a"
    label = () if edit == "walk" else ("--label", "bread")
    result = call("edit", edit, model, *words, "--out", out, "--steps", 2, *label, "--sheet", "aseprite", "--palette",
                  "#101010,#ff8000", "--lock")  # fmt: skip
    assert result.code == 0, result.err
    assert "sheet.png" in result.out and "sheet.json" in result.out
    content = {name: (out / name).read_bytes() for name in ("sheet.png", "sheet.json")}
    for name in ("sheet.png", "walk.gif"):
        (out / name).unlink(missing_ok=True)
    frame = () if edit != "walk" else ("--frame-ms", 80)
    assert call("sheet", out, "--to", "aseprite", "--out", tmp_path / "b", *frame).code == 0
    assert {name: (tmp_path / "b" / name).read_bytes() for name in content} == content
    frames = json.loads(content["sheet.json"])
    assert len(frames["frames"]) == (5 if edit == "walk" else 3)
    assert {frame["duration"] for frame in frames["frames"]} == {80 if edit == "walk" else 100}
    assert [tag["name"] for tag in frames["meta"]["frameTags"]] == ["all" if edit == "walk" else "bread"]
    with Image.open(tmp_path / "b" / "sheet.png") as image:
        assert image.mode == "P"  # of the palette
    side = frames["frames"][0]["frame"]["w"]
    assert side == (12 if edit == "inpaint" else 8)


def test_pictures_moved_along_directions_and_their_sheet(call, refused, model, tmp_path) -> None:
    found = ("edit", "hspace", model, "-n", 5, "--steps", 1, "--components", 1)
    assert "--sheet packs the pictures that are" in refused(*found, "--out", tmp_path, "--sheet", "css")
    assert call(*found, "--out", tmp_path).code == 0
    file = tmp_path / "directions.safetensors"
    out = tmp_path / "moved"
    moved = call("edit", "hspace", model, "--out", out, "--directions", file, "--along", "1", "-n", 2, "--steps", 1,
                 "--sheet", "tiled", "--json")  # fmt: skip
    assert moved.code == 0 and len(moved.out.splitlines()) == 2
    with Image.open(out / "sheet.png") as image:
        assert image.size in ((8, 16), (16, 8))
    assert (out / "sheet.tsx").is_file()


def test_wrong_sheets(refused, call, model, tmp_path) -> None:
    """Nothing is drawn before it is known that the sheet can be written."""
    out = ("--out", tmp_path / "a")
    assert "kind of sheet" in refused("sample", model, *out, "--sheet", "unity")
    places = put_pictures(tmp_path)
    for edit, words in EDITS.items():
        line = ("edit", edit, model, *(places.get(word, word) for word in words))
        assert "kind of sheet" in refused(*line, *out, "--sheet", "unity")
    assert not (tmp_path / "a").exists()
    assert "no picture and no folder" in refused("sheet", tmp_path / "none", "--to", "css", *out)
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png")
    assert "letters, digits" in refused("sheet", tmp_path / "x.png", "--to", "css", *out, "--name", "a b")
    assert "extrude" in refused("sheet", tmp_path / "x.png", "--to", "css", *out, "--extrude", -1)
    assert "frame_ms" in refused("sheet", tmp_path / "x.png", "--to", "css", *out, "--frame-ms", 0)
    assert "at least 1 column" in refused("sheet", tmp_path / "x.png", "--to", "css", *out, "--columns", 0)
    assert not (tmp_path / "a").exists()
    assert call("sheet", tmp_path / "x.png", "--to", "css", *out).code == 0


def test_the_page(call, tmp_path, monkeypatch) -> None:
    """docs/sheets.md, sheets.md in the table of pages: every command runs, and four lead to a sheet of a palette."""
    lines = re.findall(r"^\$ (noisette [^\n]*)", PAGE.read_text("utf8"), re.M)
    assert len(lines) >= 6
    for i in range(24):
        path = tmp_path / "sprites" / ("potion", "sword")[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 256, (16, 16, 4), np.uint8)
        Image.fromarray(pixels).save(path)
    monkeypatch.chdir(tmp_path)
    for line in lines:
        words = shlex.split(line, comments=True)[1:]
        if words[0] == "train":
            tiny("RGBA", ("potion", "sword"), 16, 16).save_pretrained(tmp_path / "runs" / "mine" / "model")
            continue
        if words[0] == "sample":
            words += ["-n", "4", "--steps", "1"]
        assert (result := call(*words)).code == 0, f"{line}\n{result.err}"
    sheet, _ = read_png_pixels(tmp_path / "game" / "sheet.png")
    colors = {tuple(c) for c in sheet[:, :3].permute(0, 2, 3, 1)[sheet[:, 3] > 0].tolist()}
    assert 1 <= len(colors) <= 16


def read_png_pixels(path: Path) -> tuple[torch.Tensor, str]:
    with Image.open(path) as image:
        array = np.asarray(image.convert("RGBA"))
        return torch.from_numpy(array.copy()).permute(2, 0, 1)[None], image.mode
