"""noisette film, as people type it."""

import re
from pathlib import Path

import pytest
import torch
from PIL import Image

from noisette.data.png import from_image, read_png


def film(path):
    """Its frames, as RGBA, and how long each is shown."""
    with Image.open(path) as playing:
        frames, lasting = [], []
        for i in range(playing.n_frames):
            playing.seek(i)
            frames.append(playing.convert("RGBA"))
            lasting.append(playing.info["duration"])
    return frames, lasting


def test_pictures_come_out_of_their_noise(call, model, tmp_path) -> None:
    out, strip = tmp_path / "new" / "film.png", tmp_path / "strip.png"
    result = call("film", model, "--out", out, "-n", 4, "--steps", 3, "--scale", 2, "--hold-ms", 900, "--strip", strip)
    assert result.code == 0, result.err
    assert str(out) in result.out and str(strip) in result.out
    frames, lasting = film(out)
    assert len(frames) == 4 and frames[0].size == (34, 34) and lasting[-1] == 900 and lasting[0] == 100
    call("sample", model, "--out", tmp_path / "samples", "-n", 4, "--steps", 3)
    drawn = torch.cat(
        [read_png(p)[0] for p in sorted((tmp_path / "samples").glob("*-0*.png"), key=lambda p: p.stem[-6:])]
    )
    last = from_image(frames[-1])[:, :, ::2, ::2]
    for i, picture in enumerate(drawn):  # what it ends with is what `noisette sample` draws
        top, left = 9 * (i // 2), 9 * (i % 2)
        assert (last[0, :, top : top + 8, left : left + 8].int() - picture.int()).abs().max() <= 1
    with Image.open(strip) as shown:
        assert shown.width > 4 * 8


def test_a_growth_film_of_a_run(call, trained, tmp_path) -> None:
    run, _ = trained
    out = tmp_path / "growth.gif"
    assert call("film", run, "--kind", "growth", "--out", out, "--caption", "--strip", tmp_path / "a.png").code == 0
    stages = sorted((run / "samples").glob("*.png"))
    frames, lasting = film(out)
    assert len(frames) == len(stages) and lasting == [400] * (len(stages) - 1) + [1500]
    assert frames[0].height > frames[0].width  # words below


def test_a_walk_loops(call, model, tmp_path) -> None:
    out = tmp_path / "walk.png"
    words = (
        "--kind",
        "walk",
        "--frames",
        6,
        "-n",
        2,
        "--steps",
        2,
        "--frame-ms",
        50,
        "--background",
        "white",
        "--label",
        "sword",
    )
    assert call("film", model, "--out", out, *words, "--strip", tmp_path / "all.png").code == 0
    frames, lasting = film(out)
    assert len(frames) == 6 and set(lasting) == {50}  # the frame after the last is the first: none is held
    assert all(f.getextrema()[3] == (255, 255) for f in frames)


@pytest.mark.slow
def test_as_mp4(call, model, tmp_path) -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    assert call("film", model, "--out", tmp_path / "a.mp4", "-n", 1, "--steps", 2).code == 0
    metadata = next(ffmpeg.read_frames(str(tmp_path / "a.mp4")))
    assert metadata["size"] == (128, 128) and metadata["codec"] == "h264"


def test_films_that_cannot_be(refused, model, tmp_path) -> None:
    out = tmp_path / "film.gif"
    for words, reason in (
        (("--out", tmp_path / "film.avi"), "must end in .gif, .mp4"),
        (("--out", out, "--kind", "growing"), "did you mean 'growth'"),
        (("--out", out, "--kind", "growth"), "give a run folder"),
        (
            ("--out", out, "--kind", "growth", "--steps", 3),
            "--kind growth shows samples that the run wrote: leave --steps out",
        ),
        (("--out", out, "--frames", 3), "--frames is for --kind walk"),
        (("--out", out, "--kind", "walk", "--noisy"), "--noisy is for --kind denoising"),
        (("--out", out, "--kind", "walk", "-n", 1), "at least 2 keyframes and 2 frames, got 1 and 48"),
        (("--out", tmp_path / "film.mp4", "--scale", 3), "--scale must be even for .mp4"),
        (("--out", out, "--frame-ms", 0), "--frame-ms must be at least 1, got 0"),
        (("--out", out, "--background", "redish"), "'redish' is not a color"),
        (("--out", out, "--strip", tmp_path / "strip.jpg"), "must be a .png file"),
        (("--out", out, "--label", "swrod"), "did you mean 'sword'"),
    ):
        assert reason in refused("film", model, *words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_page_on_films_is_right(call, trained, tmp_path, monkeypatch) -> None:
    pytest.importorskip("imageio_ffmpeg")
    page = (Path(__file__).parents[2] / "docs" / "films.md").read_text("utf-8")
    lines = re.findall(r"^\$ noisette (film .*?)(?:  +#.*)?$", page, flags=re.M)
    assert len(lines) == 3
    monkeypatch.chdir(tmp_path)
    for line in lines:
        fewer = ("--frames", 4) if "walk" in line else ()
        words = line.replace("runs/mine", str(trained[0])).replace("potion", "food").split()
        assert call(*words, *fewer, *(() if "growth" in line else ("--steps", 2))).code == 0, line
    assert {p.name for p in tmp_path.iterdir()} == {"new.gif", "growth.gif", "walk.png"}
