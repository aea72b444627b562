"""Upscalers, segmenters and cascades, as people type them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from commands import SMALL, TINY
from masked import folder
from noisette.data.png import read_metadata, read_png, write_png
from noisette.models.config import SamplingDefaults
from noisette.models.picture_model import PictureModel

SHORT = ("--images", "16", *TINY, "--recipe", SMALL)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures of 16×16, RGBA, two labels as the small ones have."""
    root, rng = tmp_path_factory.mktemp("large"), np.random.default_rng(1)
    for i in range(12):
        pixels = np.zeros((16, 16, 4), np.uint8)
        top, left = rng.integers(0, 8, 2)
        pixels[top : top + 8, left : left + 8] = (*rng.integers(0, 256, 3), 255)
        (root / ("food", "tool")[i % 2]).mkdir(exist_ok=True)
        Image.fromarray(pixels).save(root / ("food", "tool")[i % 2] / f"{i:02d}.png")
    return root


@pytest.fixture(scope="module")
def runs(large: Path, sprites: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    from noisette.cli import main

    home, found = tmp_path_factory.mktemp("runs"), {}
    masked = folder(home / "masked")
    for name, words in {
        "base": (sprites,),
        "up": (large, "--task", "upscale"),
        "segment": (masked, "--task", "segment"),
    }.items():
        found[name] = home / name
        with pytest.raises(SystemExit) as stop:
            main([str(w) for w in ("train", *words, "--out", found[name], *SHORT)])
        assert not stop.value.code
    return found | {"masked": masked}


def test_training_prints_the_command_that_uses_the_model(call, large, tmp_path) -> None:
    done = call("train", large, "--task", "upscale", "--factor", 4, "--out", tmp_path / "run", *SHORT)
    assert done.code == 0, done.err
    config = json.loads((tmp_path / "run" / "model" / "config.json").read_text())["model"]
    assert config["task"] == {"is": "Upscale", "factor": 4, "augment": 0.5}


def test_a_trained_upscaler_enlarges_and_agrees(call, runs, sprites, tmp_path) -> None:
    picture = sprites / "food" / "00.png"
    led = ("--label", "food", "--guidance", 2, "--negative-label", "tool")
    done = call("edit", "upscale", runs["up"], picture, "--out", tmp_path, "-n", 2, "--steps", 2, *led)
    assert done.code == 0, done.err
    given = np.asarray(Image.open(picture).convert("RGBA")).astype(float)
    for seed in (0, 1):
        image = Image.open(tmp_path / f"00-{seed:06d}.png")
        assert (
            image.size == (16, 16)
            and image.mode == "RGBA"
            and read_metadata(tmp_path / f"00-{seed:06d}.png")["rounds"] == 1
        )
        made = np.asarray(image).astype(float)
        light = made[..., :3] * made[..., 3:] / 255
        for mine, theirs in ((light, given[..., :3] * given[..., 3:] / 255), (made[..., 3:], given[..., 3:])):
            assert abs(mine.reshape(8, 2, 8, 2, -1).mean((1, 3)) - theirs).mean() < 1


def test_zero_shot_stays_what_it_was(call, runs, tmp_path) -> None:
    Image.new("RGBA", (4, 4), (200, 10, 10, 255)).save(tmp_path / "small.png")
    done = call("edit", "upscale", runs["base"], tmp_path / "small.png", "--out", tmp_path / "o", "-n", 1, "--steps", 2)
    assert done.code == 0, done.err
    assert read_metadata(tmp_path / "o" / "small-000000.png")["rounds"] == 3


def test_segments_with_how_sure_it_is(call, runs, tmp_path) -> None:
    picture = runs["masked"] / "images" / "03.png"
    done = call("edit", "segment", runs["segment"], picture, "-n", 3, "--out", tmp_path, "--steps", 2, "--json")
    assert done.code == 0, done.err
    assert [json.loads(line)["edit"] for line in done.out.splitlines()] == ["segment"] * 3
    samples = [np.asarray(Image.open(tmp_path / f"03-{seed:06d}.png")) / 255 for seed in range(3)]
    share = np.mean([sample > 0.5 for sample in samples], 0)  # they vote
    mask, unsure = (np.asarray(Image.open(tmp_path / f"03-{what}.png")) for what in ("mask", "uncertainty"))
    assert mask.shape == (8, 8) and set(np.unique(mask)) <= {0, 255}
    assert ((mask > 0) == (share > 0.5)).all()
    np.testing.assert_allclose(unsure / 255, 4 * share * (1 - share), atol=0.003)
    assert Image.open(tmp_path / "grid.png").mode == "RGB"


def test_a_cascade_in_one_command_and_again(call, runs, tmp_path) -> None:
    words = ("sample", runs["base"], "--upscaler", runs["up"], "-n", 2, "--label", "tool", "--steps", 2)
    done = call(*words, "--out", tmp_path / "a", "--noise-aug", 0.2)
    assert done.code == 0, done.err
    picture = tmp_path / "a" / "tool-000001.png"
    assert Image.open(picture).size == (16, 16)
    again = call("sample", runs["base"], "--upscaler", runs["up"], "--like", picture, "--out", tmp_path / "b")
    assert again.code == 0, again.err
    assert (np.asarray(Image.open(tmp_path / "b" / picture.name)) == np.asarray(Image.open(picture))).all()


@pytest.mark.parametrize(
    "way",
    [
        SamplingDefaults("ddim", "fitted", 2, 1.5, 0.8, ((0.9, 0.3, 0.0), (0.9, 0.5, 0.2, 0.0))),
        SamplingDefaults("ddpm", "logsnr", 3),
    ],
)
def test_like_draws_as_what_enlarged_drew_then(call, refused, runs, tmp_path, way) -> None:
    """Its default way of drawing has become another since, as `noisette steps` makes it."""
    up = tmp_path / "up"
    shutil.copytree(runs["up"], up)
    PictureModel.from_pretrained(up).save_sampling(up, way)
    cascade = ("sample", runs["base"], "--upscaler", up)
    done = call(*cascade, "-n", 2, "--label", "tool", "--steps", 2, "--out", tmp_path / "a")
    assert done.code == 0, done.err
    picture = tmp_path / "a" / "tool-000001.png"
    pixels, metadata = read_png(picture)
    fitted = [list(way.fitted[0])] if way.fitted else []
    assert metadata["upscaler_sampling"] == [{
        "sampler": way.sampler, "grid": way.grid, "steps": way.steps, "guidance": way.guidance,
        "temperature": way.temperature, "fitted": fitted,
    }]  # fmt: skip

    changed = PictureModel.from_pretrained(up)
    changed.save_sampling(up, SamplingDefaults("heun", "karras", 1, temperature=1.2))
    again = call(*cascade, "--like", picture, "--out", tmp_path / "b")
    assert again.code == 0, again.err
    assert (tmp_path / "b" / picture.name).read_bytes() == picture.read_bytes()

    old = tmp_path / picture.name  # as earlier versions wrote it: drawn in the way of now
    write_png(old, pixels, {k: v for k, v in metadata.items() if k != "upscaler_sampling"})
    again = call(*cascade, "--like", old, "--out", tmp_path / "c")
    assert again.code == 0, again.err
    assert (read_png(tmp_path / "c" / picture.name)[0] != pixels).any()

    write_png(old, pixels, metadata | {"upscaler_sampling": metadata["upscaler_sampling"] * 2})
    assert "upscaler_sampling must have an entry for each of 1 upscalers, got 2" in refused(
        *cascade, "--like", old, "--out", tmp_path / "d"
    )
    next(changed.requires_grad_(True).parameters()).data += 0.01
    changed.save_pretrained(tmp_path / "other")
    other = ("sample", runs["base"], "--upscaler", tmp_path / "other")
    assert "the picture was enlarged by" in refused(*other, "--like", picture, "--out", tmp_path / "d")


def test_what_cannot_be(refused, runs, sprites, tmp_path) -> None:
    base, up, segment = (runs[name] for name in ("base", "up", "segment"))
    out, picture = ("--out", tmp_path / "out"), sprites / "food" / "00.png"
    for words, message in (
        (("sample", up), "enlarges a picture of 8×8 2 times and needs one as input"),
        (("sample", segment), "generates the mask of a picture and needs one as input"),
        (("sample", base, "--upscaler", base), "got one of task Draw"),
        (("sample", up, "--upscaler", up), "cannot follow"),
        (("sample", base, "--noise-aug", 0.1), "give an upscaler"),
        (("sample", base, "--upscaler", up, "--noise-aug", 2), "noise_aug must be between 0 and 0.5"),
        (("edit", "segment", base, picture), "is not a segmentation model"),
        (("edit", "vary", up, picture), "needs one"),
        (("train", sprites, "--task", "paint"), "no task is called 'paint'"),
        (("train", sprites, "--factor", 2), "--factor belongs to --task upscale"),
        (("train", sprites, "--task", "upscale", "--factor", 1), "must be 2 to 64, got 1"),
        (("train", sprites, "--task", "segment"), "holds no masks"),
    ):
        assert message in refused(*words, *out), words
    assert not (tmp_path / "out").exists()


def test_explain_refuses_models_with_an_input_picture(refused, runs, tmp_path) -> None:
    page = ("explain", runs["segment"], "--out", tmp_path / "page.html")
    assert "needs one as input: noisette edit" in refused(*page)
