"""A run, its resumption, bf16, samples, evaluation and an edit on the accelerator, next to the same on the CPU."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import noisette
from commands import ENV, SMALL, command

from .conftest import HIDDEN, device

pytestmark = pytest.mark.timeout(900)
RUN = ("--preset", "tiny", "--batch", "8", "--images", "480", "--recipe", SMALL)


def noisette_command(*words: object, cpu: bool = False) -> str:
    """Run a command on the device under test, or on the CPU; return what it printed."""
    hide = cpu or os.environ.get("NOISETTE_TEST_DEVICE") == "cpu"
    done = subprocess.run(
        command(*map(str, words)), env=ENV | (HIDDEN if hide else {}), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def held_out(run: Path) -> float:
    """The last loss on held-out images, whose noise is the same on all devices."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [row["held_out"]["all"] for row in rows if "held_out" in row][-1]


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model" / "model.safetensors")


def pixels(folder: Path) -> np.ndarray:
    paths = sorted(p for p in folder.glob("*.png") if p.name != "grid.png")
    return np.stack([np.asarray(Image.open(p)) for p in paths]).astype(float)


def numbers(value: object, path: str = "") -> Iterator[tuple[str, float]]:
    """Every number of a JSON value, with its path."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from numbers(item, f"{path}/{key}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, value


def assert_similar_images(found: Path, expected: Path) -> None:
    """fp32 sums are added in another order: hardly any pixel differs by more than a few steps of 255."""
    difference = np.abs(pixels(found) - pixels(expected))
    assert difference.mean() < 1 and np.quantile(difference, 0.99) < 8


@pytest.fixture(scope="module")
def cpu_run(sprites: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cpu") / "run"
    noisette_command("train", sprites, "--out", out, *RUN, "--precision", "fp32", cpu=True)
    return out


@pytest.fixture(scope="module")
def run(sprites: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("accelerator") / "run"
    noisette_command("train", sprites, "--out", out, *RUN, "--precision", "fp32")
    return out


def test_training_is_as_good_as_on_the_cpu(run: Path, cpu_run: Path) -> None:
    """The noise of training comes from the device's own generator: the losses are alike, not equal."""
    assert held_out(run) == pytest.approx(held_out(cpu_run), rel=0.15)


def test_an_interrupted_run_ends_where_it_would_have_ended(run: Path, sprites: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ("train", sprites, "--out", out, *RUN, "--precision", "fp32", "--save-every", "0.2s")
    env = ENV | (HIDDEN if os.environ.get("NOISETTE_TEST_DEVICE") == "cpu" else {})
    first = subprocess.Popen(command(*map(str, words)), env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while first.poll() is None and not list((out / "checkpoints").glob("*")):
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.wait()
    noisette_command(*words)
    expected = weights(run)
    for name, value in weights(out).items():  # atomic additions on accelerators make no two runs equal to the bit
        torch.testing.assert_close(value, expected[name], rtol=1e-2, atol=1e-2)
    assert held_out(out) == pytest.approx(held_out(run), rel=0.02)


def test_bf16_is_as_good_as_fp32(run: Path, sprites: Path, tmp_path: Path) -> None:
    noisette_command("train", sprites, "--out", tmp_path / "run", *RUN, "--precision", "bf16")
    assert all(value.isfinite().all() for value in weights(tmp_path / "run").values())
    assert held_out(tmp_path / "run") == pytest.approx(held_out(run), rel=0.15)


def test_a_network_answers_as_on_the_cpu(cpu_run: Path) -> None:
    model, here = noisette.load(cpu_run), device()
    assert here is not None
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(8, *model.pictures.shape, generator=generator)
    t = torch.linspace(0.05, 0.95, 8, dtype=torch.float64)
    with torch.no_grad():
        expected = model(x, t)
        found = model.to(here)(x.to(here), t.to(here)).cpu()
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=5e-3 * expected.abs().max().item())


def test_samples_are_those_of_the_cpu(cpu_run: Path, tmp_path: Path) -> None:
    words = ("sample", cpu_run, "-n", 8, "--steps", 8, "--sampler", "ddim", "--seed", 3)
    noisette_command(*words, "--out", tmp_path / "found")
    noisette_command(*words, "--out", tmp_path / "expected", cpu=True)
    assert_similar_images(tmp_path / "found", tmp_path / "expected")


def test_an_evaluation_gives_the_figures_of_the_cpu(tmp_path: Path) -> None:
    """Of a run with 240 pictures: an evaluation needs at least 20 held-out ones."""
    pytest.importorskip("efficientnet_lite_pytorch")
    (tmp_path / "pictures").mkdir()
    for i, picture in enumerate(np.random.default_rng(0).integers(0, 256, (240, 8, 8, 3), dtype=np.uint8)):
        Image.fromarray(picture).save(tmp_path / "pictures" / f"{i:03d}.png")
    cpu_run = tmp_path / "run"
    noisette_command("train", tmp_path / "pictures", "--out", cpu_run, *RUN, "--precision", "fp32", cpu=True)
    words = ("evaluate", cpu_run, "-n", 24, "--json", "--max-shift", 0)
    found = json.loads(noisette_command(*words, "--out", tmp_path / "found"))
    expected = json.loads(noisette_command(*words, "--out", tmp_path / "expected", cpu=True))
    figures, others = dict(numbers(expected)), dict(numbers(found))
    assert figures and others.keys() == figures.keys()
    for name, value in figures.items():
        assert others[name] == pytest.approx(value, rel=0.05, abs=0.02), name


def test_an_edit_gives_the_pixels_of_the_cpu(cpu_run: Path, sprites: Path, tmp_path: Path) -> None:
    picture = sorted(sprites.rglob("*.png"))[0]
    words = ("edit", "vary", cpu_run, picture, "-n", 4, "--steps", 8, "--sampler", "ddim", "--strength", "0.5")
    noisette_command(*words, "--out", tmp_path / "found")
    noisette_command(*words, "--out", tmp_path / "expected", cpu=True)
    assert_similar_images(tmp_path / "found", tmp_path / "expected")
