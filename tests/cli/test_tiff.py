"""Pictures of 16 bits on the command line: train --percentiles, sample --tiff."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import noisette
from commands import SMALL
from noisette.data.png import read_png

DOCS = Path(__file__).parents[2] / "docs"
TRAIN = ("--images", 32, "--batch", 16, "--preset", "tiny", "--recipe", SMALL, "--precision", "fp32", "--seed", 1,
         "--evaluations", 0, "--from", "none")  # fmt: skip


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 pictures of 8×8 samples from 1,000 to 3,000."""
    folder = tmp_path_factory.mktemp("deep")
    for i in range(24):
        samples = np.random.default_rng(i).integers(1000, 3001, (8, 8)).astype(np.uint16)
        samples[0, :2] = 1000, 3000
        Image.fromarray(samples).save(folder / f"{i}.tif")
    return folder


def test_from_files_of_16_bits_to_files_of_16_bits(call, refused, pictures, model, tmp_path, monkeypatch) -> None:
    """The console block of docs/data.md, and what its commands wrote."""
    (block,) = re.findall(r"^```console\n(.*?)^```", (DOCS / "data.md").read_text("utf8"), re.S | re.M)
    lines = [line.split() for line in re.findall(r"^\$ noisette ([^\n]*)", block, re.M)]
    assert [words[0] for words in lines] == ["scan", "train", "sample"]
    shutil.copytree(pictures, tmp_path / "scans")
    monkeypatch.chdir(tmp_path)
    for words, more in zip(lines, ((), TRAIN, ("-n", 5, "--steps", 3)), strict=True):
        assert (done := call(*words, *more)).code == 0, done.err
    run, out = Path("runs/scans"), Path("drawn")
    levels = noisette.load(run).pictures.levels
    assert levels is not None and levels.is_integer and 1000 <= levels.low < 1020 and 2980 < levels.high <= 3000
    words = refused("train", "scans", "--out", run, *TRAIN, "--percentiles", "1,99")
    assert "was started with --percentiles 0.1,99.9, not with --percentiles 1,99" in words
    finer = []
    for seed in range(5):
        with Image.open(out / f"{seed:06d}.tif") as image:
            samples, record = np.asarray(image), json.loads(image.tag_v2[270])
        assert samples.dtype == np.uint16 and samples.min() >= 1000 and samples.max() <= 3000
        assert (record["seed"], record["low"], record["high"]) == (seed, levels.low, levels.high)
        gray = read_png(out / f"{seed:06d}.png")[0][0, 0].numpy()
        shares = (samples - levels.low) / (levels.high - levels.low) * 255
        assert np.abs(shares - gray).max() <= 0.5 + 255 / 1900
        finer += [*np.abs(shares - np.rint(shares))[(gray > 0) & (gray < 255)]]
    assert len(finer) > 20 and np.mean(finer) > 0.15  # the samples are not those of the 256 levels of the PNGs
    again = Path("again")
    assert call("sample", run, "--out", again, "--like", out / "000001.png", "--tiff").code == 0
    assert (again / "000001.tif").read_bytes() == (out / "000001.tif").read_bytes()
    assert json.loads(call("scan", out, "--json").out)["pictures"] == 5 + 1  # the PNGs, with grid.png
    varied = call("edit", "vary", run, "scans/0.tif", "--out", "vary", "-n", 1, "--steps", 2, "--strength", 0.01)
    assert varied.code == 0, varied.err
    near = read_png(next(Path("vary").glob("0-*.png")))[0][0, 0].numpy()
    with Image.open("scans/0.tif") as image:
        assert np.abs((np.asarray(image) - levels.low) / (levels.high - levels.low) * 255 - near).mean() < 30
    assert "trained with --percentiles" in refused("sample", model, "--out", "nothing", "--tiff")
    assert "percentiles are two numbers like 0.1,99.9" in refused("scan", "scans", "--percentiles", "5")
    assert not Path("nothing").exists()
