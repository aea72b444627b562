"""noisette palette, and pictures that are locked to a palette."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import noisette
from noisette.data.own_files import is_own_picture
from noisette.data.palette import Palette, read_palette
from noisette.data.png import read_metadata, read_png, write_png
from tiny_models import tiny

COLORS = ("#101010", "#ff8000", "#40c060", "#ffffff")
LOCK = ("--palette", ",".join(COLORS), "--lock")


def visible(path: Path) -> set[str]:
    """The colors of a file's visible pixels, as another reader sees them."""
    with Image.open(path) as image:
        rows = np.asarray(image.convert("RGBA")).reshape(-1, 4)
    return {f"#{r:02x}{g:02x}{b:02x}" for r, g, b, a in rows.tolist() if a > 0}


def table(path: Path) -> list[str]:
    with Image.open(path) as image:
        assert image.mode == "P"
        values = image.getpalette() or []
    return [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in np.array(values).reshape(-1, 3).tolist()]


def is_marked(path: Path) -> bool:
    return is_own_picture(path.name, lambda head=None: path.read_bytes()[:head])


def test_locked_samples(call, model, tmp_path) -> None:
    """Every visible pixel of every file; the palette in order; the same pixels in Python; drawn again to the byte."""
    steps = ("--steps", 2, "-n", 3)
    result = call("sample", model, "--out", tmp_path / "a", *steps, *LOCK, "--dither", 0.5, "--binary-alpha")
    assert result.code == 0, result.err
    files = sorted(p for p in (tmp_path / "a").iterdir() if p.name != "grid.png")
    assert len(files) == 3
    for path in files:
        assert visible(path) <= set(COLORS) and table(path)[:4] == list(COLORS)
        record = read_metadata(path)
        assert record["lock"] == {"colors": list(COLORS), "dither": 0.5, "binary_alpha": True}
        assert record["steering"]["colors"] == []  # nothing pulls
        assert call("sample", model, "--like", path, "--out", tmp_path / "again").code == 0
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()
    drawn = noisette.draw(noisette.load(model), 3, steps=2, palette=COLORS, lock=True, dither=0.5, binary_alpha=True)
    assert torch.equal(drawn.pixels, torch.cat([read_png(path)[0] for path in sorted(files, key=seed)]))
    plain = noisette.draw(noisette.load(model), 3, steps=2)
    assert torch.equal(drawn.pixels[:, 3], 255 * (plain.pixels[:, 3] >= 128).to(torch.uint8))


def seed(path: Path) -> int:
    return int(path.stem.rsplit("-", 1)[-1])


def test_a_scale_pulls_and_locks(call, model, tmp_path) -> None:
    assert call("sample", model, "--out", tmp_path, "--steps", 1, "-n", 1, *LOCK, "--color-scale", 5).code == 0
    (path,) = (p for p in tmp_path.iterdir() if p.name != "grid.png")
    assert read_metadata(path)["steering"]["color_scale"] == 5
    assert read_metadata(path)["steering"]["colors"] == list(COLORS)
    assert visible(path) <= set(COLORS)


@pytest.mark.parametrize("edit", ["vary", "inpaint", "walk"])
def test_locked_edits(edit: str, call, model, tmp_path) -> None:
    """Also the pixels that inpainting keeps."""
    picture, mask = tmp_path / "a.png", tmp_path / "mask.png"
    pixels = torch.randint(256, (1, 4, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    write_png(picture, pixels)
    Image.fromarray(np.eye(8, dtype=np.uint8) * 255).save(mask)
    given = {
        "vary": ("vary", model, picture, "-n", 2),
        "inpaint": ("inpaint", model, picture, "--mask", mask, "-n", 2),
        "walk": ("walk", model, "--keyframes", 2, "--frames", 2, "--format", "none"),
    }[edit]
    result = call("edit", *given, "--out", tmp_path / "out", "--steps", 2, *LOCK)
    assert result.code == 0, result.err
    files = [p for p in (tmp_path / "out").iterdir() if p.suffix == ".png" and p.name != "grid.png"]
    assert len(files) >= 2
    for path in files:
        assert visible(path) <= set(COLORS)
        assert read_metadata(path)["lock"]["colors"] == list(COLORS)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--lock",), "lock needs a palette"),
        (("--dither", 0.5), "dither is an option of lock"),
        (("--palette", "#ffffff", "--binary-alpha"), "binary_alpha is an option of lock"),
        (("--palette", "#ffffff", "--lock", "--dither", 2), "dither must be between 0 and 1"),
        (("--palette", "#ffffff,red", "--lock"), "red is no color"),
    ],
)
def test_wrong_locks(options, reason, refused, model, tmp_path) -> None:
    assert reason in refused("sample", model, "--out", tmp_path / "a", *options)
    assert not (tmp_path / "a").exists()


def test_like_takes_no_palette(refused, call, model, tmp_path) -> None:
    call("sample", model, "--out", tmp_path, "--steps", 1, "-n", 1)
    (path,) = (p for p in tmp_path.iterdir() if p.name != "grid.png")
    assert "leave --palette and --lock out" in refused("sample", model, "--out", tmp_path / "b", "--like", path, *LOCK)


# ── noisette palette ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def sprites(tmp_path: Path) -> Path:
    """Pictures of other people, in folders, of several kinds."""
    folder, random = tmp_path / "sprites", np.random.default_rng(0)
    (folder / "deep").mkdir(parents=True)
    for number, (name, channels) in enumerate((("a.png", 3), ("deep/b.png", 4), ("deep/c.bmp", 3))):
        Image.fromarray(random.integers(0, 256, (8, 6 + number, channels), np.uint8)).save(folder / name)
    (folder / "note.txt").write_text("no picture")
    return folder


def test_learn_and_apply(call, sprites, tmp_path) -> None:
    """The files of others are not marked as ours, so that they can be trained on."""
    assert call("palette", "learn", sprites, "--colors", 5, "--out", tmp_path / "mine.gpl").code == 0
    palette = read_palette(tmp_path / "mine.gpl")
    assert len(palette) == 5
    learned = call("palette", "learn", sprites / "a.png", "--out", tmp_path / "one.hex", "--colors", 4, "--json")
    assert json.loads(learned.out)["colors"] == list(read_palette(tmp_path / "one.hex").colors)
    result = call("palette", "apply", sprites, "--palette", tmp_path / "mine.gpl", "--out", tmp_path / "out")
    assert result.code == 0, result.err
    files = sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.png"))
    assert files == ["a.png", "deep/b.png", "deep/c.png"]
    for name in files:
        path = tmp_path / "out" / name
        assert visible(path) <= set(palette.colors) and table(path)[:5] == list(palette.colors)
        assert not is_marked(path)


def test_learn_from_a_built_in_set(call, tmp_path) -> None:
    assert call("palette", "learn", "digits", "--colors", 3, "--out", tmp_path / "a.png").code == 0
    assert len(read_palette(tmp_path / "a.png")) == 3


def test_our_pictures_keep_their_records(call, model, tmp_path) -> None:
    """Drawn again by it, they are locked, too. Sheets stay sheets."""
    call("sample", model, "--out", tmp_path / "a", "--steps", 1, "-n", 2)
    result = call("palette", "apply", tmp_path / "a", *LOCK[:2], "--out", tmp_path / "b", "--json")
    paths = [Path(json.loads(line)["path"]) for line in result.out.splitlines()]
    assert len(paths) == 3
    for path in paths:
        assert is_marked(path) and visible(path) <= set(COLORS)
        if path.name != "grid.png":
            assert call("sample", model, "--like", path, "--out", tmp_path / "c").code == 0
            assert torch.equal(read_png(tmp_path / "c" / path.name)[0], read_png(path)[0])


def test_swap(call, refused, sprites, model, tmp_path) -> None:
    """Colors at the same place; others, alpha and the rest of the picture stay."""
    pixels = np.array([[[16, 16, 16, 255], [255, 128, 0, 9], [1, 2, 3, 255], [0, 0, 0, 0]]], np.uint8)
    Image.fromarray(np.repeat(pixels, 3, axis=0)).save(tmp_path / "in.png")
    Palette(("#ff0000", "#0000ff")).write(tmp_path / "new.pal")
    swap = ("palette", "swap", tmp_path / "in.png", "--from", "#101010,#ff8000", "--to", tmp_path / "new.pal")
    assert call(*swap, "--out", tmp_path / "out").code == 0
    with Image.open(tmp_path / "out" / "in.png") as image:
        rows = np.asarray(image.convert("RGBA"))[0].tolist()
    assert rows == [[255, 0, 0, 255], [0, 0, 255, 9], [1, 2, 3, 255], [0, 0, 0, 0]]
    assert table(tmp_path / "out" / "in.png")[:2] == ["#ff0000", "#0000ff"]
    same = ("palette", "swap", sprites, "--from", "#101010,#ff8000", "--to", "#ff0000", "--out", tmp_path / "x")
    assert "2 and 1 colors" in refused(*same)
    # a picture of ours with other colors is not drawn again as if it had not been changed
    call("sample", model, "--out", tmp_path / "ours", "--steps", 1, "-n", 1, "--label", "sword", *LOCK)
    swapped = ("--from", ",".join(COLORS), "--to", ",".join(reversed(COLORS)), "--out", tmp_path / "swapped")
    assert call("palette", "swap", tmp_path / "ours" / "sword-000000.png", *swapped).code == 0
    back = refused("sample", model, "--like", tmp_path / "swapped" / "sword-000000.png", "--out", tmp_path / "y")
    assert "palette swap" in back


def test_what_cannot_be_recolored(refused, call, sprites, tmp_path) -> None:
    apply = ("palette", "apply")
    inside = refused(*apply, sprites, *LOCK[:2], "--out", sprites / "out")
    assert "outside of it" in inside and not (sprites / "out").exists()
    assert "no picture and no folder" in refused(*apply, tmp_path / "none", *LOCK[:2], "--out", tmp_path / "o")
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    frames[0].save(sprites / "film.gif", save_all=True, append_images=frames[1:])
    assert "film.gif is a film" in refused(*apply, sprites / "film.gif", *LOCK[:2], "--out", tmp_path / "o")
    (sprites / "a.png").write_bytes(b"\x89PNG damaged")
    assert "a.png" in refused("palette", "learn", sprites / "a.png", "--out", tmp_path / "p.gpl")
    assert not (tmp_path / "p.gpl").exists()
    assert "must end in .gpl" in refused("palette", "learn", sprites / "deep", "--out", tmp_path / "p.doc")


def test_no_picture_is_replaced(refused, sprites, tmp_path) -> None:
    """Neither the source, nor one result by another."""
    before = {path: path.read_bytes() for path in sprites.rglob("*.*")}
    apply = ("palette", "apply")
    assert "outside of it" in refused(*apply, sprites / "a.png", *LOCK[:2], "--out", sprites)
    assert "outside of it" in refused("sheet", sprites / "a.png", "--to", "css", "--out", sprites)
    (sprites / "a.bmp").write_bytes((sprites / "deep" / "c.bmp").read_bytes())
    assert "would become a.png" in refused(*apply, sprites, *LOCK[:2], "--out", tmp_path / "o")
    assert not (tmp_path / "o").exists() and all(path.read_bytes() == data for path, data in before.items())


def test_the_page(call, sprites, tmp_path, monkeypatch) -> None:
    """docs/palettes.md, palettes.md in the table of pages: every command does what its comment says."""
    page = (Path(__file__).parents[2] / "docs" / "palettes.md").read_text("utf8")
    lines = re.findall(r"^(?:\$ |    )(noisette [^\n]*)", page, re.M)
    assert len(lines) == 6
    tiny().save_pretrained(tmp_path / "runs" / "mine" / "model")
    monkeypatch.chdir(tmp_path)
    for line in lines:
        words = shlex.split(line, comments=True)[1:]
        if "emoji-16" in words:
            words += ["-n", "1", "--steps", "1"]
        if "swap" in words:
            words[words.index("--to") + 1] = ",".join(f"#{i:06x}" for i in range(16))
        assert (result := call(*words)).code == 0, f"{line}\n{result.err}"
    assert len(read_palette("mine.gpl")) == len(read_palette("emoji.gpl")) == 16
    for folder, colors in (("new", "mine.gpl"), ("recolored", "mine.gpl"), ("locked", "emoji.gpl")):
        for path in Path(folder).rglob("*.png"):
            assert path.name == "grid.png" or visible(path) <= set(read_palette(colors).colors)
    assert (Path(__file__).parents[2] / "docs" / "pictures" / "palette-lock.png").is_file()
