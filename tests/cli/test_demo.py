"""What the demo shows, made from a run of four steps."""

import shutil

import torch
from PIL import Image

from noisette.cli import demo
from noisette.model import load
from noisette.viz.grid import Row, labelled
from noisette.viz.png import from_image, read_png, read_text
from noisette.viz.strip import contact, short


def test_shows_sprites_denoising_and_growth(trained, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(demo, "EACH", 2)
    shutil.copytree(trained[0], tmp_path / "run")
    model = load(tmp_path / "run")

    shown = Image.open(demo.sprites(model, tmp_path))
    files = sorted((tmp_path / "sprites").iterdir())  # by label, then by seed
    assert [read_text(f)["label"] for f in files] == ["food"] * demo.EACH + ["tool"] * demo.EACH
    drawn = torch.cat([read_png(f)[0] for f in files]).split(demo.EACH)
    rows = [Row("food", drawn[0]), Row("tool", drawn[1])]
    assert torch.equal(from_image(shown), from_image(labelled(rows, "New sprites of every label, 8 x 8 pixels")))

    strip, film = demo.denoised(model, tmp_path)
    with Image.open(film) as playing, Image.open(strip) as shown:
        assert playing.n_frames == 19  # 18 steps and what they end in
        assert shown.width > 12 * 8
    grown = Image.open(demo.grown(model, tmp_path))
    sheets = []
    for path in sorted((tmp_path / "run" / "samples").iterdir()):
        pixels, told = read_png(path)  # 4 × 4 pictures, row by row
        cells = [pixels[0, :, 8 * (i // 4) : 8 * (i // 4 + 1), 8 * (i % 4) : 8 * (i % 4 + 1)] for i in range(16)]
        sheets.append((told["images"], torch.stack(cells)))
    assert sheets[0][0] == 0 and sheets[-1][0] == 32
    title = "The same noises as the model grew; above, the images that it had seen"
    right = contact([p for _, p in sheets], [short(i) for i, _ in sheets], ["food", "tool"] * 3, title)
    assert torch.equal(from_image(grown), from_image(right))


def test_places_and_times_that_cannot_be(refused, tmp_path) -> None:
    (tmp_path / "file").write_text("mine")
    assert "cannot write" in refused("demo", "--out", tmp_path / "file")
    assert "90s" in refused("demo", "--out", tmp_path / "out", "--for", "a while")
    assert not (tmp_path / "out").exists()
