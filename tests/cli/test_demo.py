"""What the demo shows, made from a run of four steps."""

import shutil
from dataclasses import replace

import pytest
import torch
from PIL import Image, ImageSequence

from noisette.cli import demo
from noisette.data import Dataset, builtin
from noisette.data.contact_sheet import LabeledRow, labeled_sheet
from noisette.data.png import from_image, read_metadata, read_png
from noisette.evaluation.held_out import all_pixels
from noisette.models.picture_model import load
from noisette.report.viz.strip import format_short, frame_strip
from noisette.sampling.draw import draw
from noisette.training import TrainOptions
from tiny_models import tiny


def test_shows_sprites_denoising_and_growth(trained, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(demo, "SAMPLES_PER_LABEL", 2)
    shutil.copytree(trained[0], tmp_path / "run")
    model = load(tmp_path / "run")

    shown = Image.open(demo.draw_sprites(model, tmp_path))
    files = sorted((tmp_path / "sprites").iterdir())  # by label, then by seed
    assert [read_metadata(f)["label"] for f in files] == ["food"] * demo.SAMPLES_PER_LABEL + [
        "tool"
    ] * demo.SAMPLES_PER_LABEL
    drawn = torch.cat([read_png(f)[0] for f in files]).split(demo.SAMPLES_PER_LABEL)
    rows = [LabeledRow("food", drawn[0]), LabeledRow("tool", drawn[1])]
    assert torch.equal(from_image(shown), from_image(labeled_sheet(rows, "New sprites of every label, 8 x 8 pixels")))

    strip, film = demo.draw_denoising(model, tmp_path)
    with Image.open(film) as playing, Image.open(strip) as shown:
        # 18 steps and what they end in; Pillow joins frames that are equal, and adds their durations
        durations = [frame.info["duration"] for frame in ImageSequence.Iterator(playing)]
        assert sum(durations) == 18 * 120 + 1500 and durations[-1] >= 1500
        assert shown.width > 12 * 8
    grown = Image.open(demo.draw_growth(model, tmp_path))
    sheets = []
    for path in sorted((tmp_path / "run" / "samples").iterdir()):
        pixels, metadata = read_png(path)  # 4 × 4 pictures, row by row
        cells = [pixels[0, :, 8 * (i // 4) : 8 * (i // 4 + 1), 8 * (i % 4) : 8 * (i % 4 + 1)] for i in range(16)]
        sheets.append((metadata["images"], torch.stack(cells)))
    assert sheets[0][0] == 0 and sheets[-1][0] == 32
    title = "Samples of the same noises during training; above, the images seen"
    right = frame_strip([p for _, p in sheets], [format_short(i) for i, _ in sheets], ["food", "tool"] * 3, title)
    assert torch.equal(from_image(grown), from_image(right))


def test_few_pictures_are_icons_or_else_emoji(monkeypatch) -> None:
    """Without labels, and the same ones every time."""
    monkeypatch.setattr(builtin, "find_spec", lambda name: None if name == "fugue_icons" else object())
    few, again = demo.open_few(), demo.open_few()
    assert few.location == "emoji" and len({entry.name for entry in few.entries}) == demo.FEW
    assert {entry.label for entry in few.entries} == {None}
    assert [entry.name for entry in again.entries] == [entry.name for entry in few.entries]
    monkeypatch.setattr(builtin, "open_icons", lambda: replace(builtin.open_emoji(), location="icons"))
    assert demo.open_few().location == "icons"


@pytest.mark.slow
def test_starts_are_compared_side_by_side(tmp_path) -> None:
    """The same pictures, from scratch and from a base: three rows on one sheet."""
    tiny(labels=(), height=16, width=16).save_pretrained(tmp_path / "base")
    options = TrainOptions(images=8, batch=8, size=(16, 16), precision="fp32", evaluations=0)
    sheet = demo.compare_starts(str(tmp_path / "base"), demo.open_few(), options, tmp_path / "demo")
    scratch, grown = load(tmp_path / "demo" / "from-scratch"), load(tmp_path / "demo" / "from-base")
    assert not scratch.config.origins and [origin.name for origin in grown.config.origins] == ["base"]
    first, second = (Dataset.open(tmp_path / "demo" / name) for name in ("from-scratch", "from-base"))
    assert torch.equal(all_pixels(first.train), all_pixels(second.train))
    rows = [
        LabeledRow(name, pixels)
        for name, pixels in (
            (first.manifest.source, all_pixels(first.train)[:16]),
            ("from scratch", draw(scratch, 16).pixels),
            ("from base", draw(grown, 16).pixels),
        )
    ]
    title = "Trained on 60 pictures for equally long: some of them, and samples"
    assert torch.equal(from_image(Image.open(sheet)), from_image(labeled_sheet(rows, title)))


def test_places_and_times_that_cannot_be(refused, tmp_path) -> None:
    (tmp_path / "file").write_text("mine")
    assert "cannot write" in refused("demo", "--out", tmp_path / "file")
    assert "90s" in refused("demo", "--out", tmp_path / "out", "--for", "a while")
    assert "give one of them" in refused("demo", "--out", tmp_path / "out", "--for", "9s", "--images", "80")
    assert not (tmp_path / "out").exists()


def test_the_length_is_shared_between_the_trainings() -> None:
    shares = (1 - 2 * demo.COMPARISON_SHARE, demo.COMPARISON_SHARE, demo.COMPARISON_SHARE)
    assert sum(demo.share_of((None, 1000), share)["images"] for share in shares) == 1000
    assert demo.share_of((300.0, None), 0.2) == {"seconds": 60.0, "images": None}
    assert demo.share_of((None, 2), 0.2)["images"] == 1, "no training of no images"
