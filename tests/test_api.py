"""noisette.train and noisette.train_classifier: the same results as the commands."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import noisette
from commands import SMALL, TINY, run
from noisette.errors import InputError
from noisette.report.run import Run

RNG = np.random.default_rng(0)
LABELS = np.arange(40) % 2


@pytest.fixture(scope="module")
def array() -> np.ndarray:
    """40 squares of one color each, RGBA, (40, 8, 8, 4)."""
    pixels = np.zeros((40, 8, 8, 4), np.uint8)
    for picture in pixels:
        top, left = RNG.integers(0, 4, 2)
        picture[top : top + 4, left : left + 4] = (*RNG.integers(0, 256, 3), 255)
    return pixels


def options(**changes: object) -> dict[str, object]:
    return {
        "images": 24,
        "batch": 8,
        "preset": "tiny",
        "precision": "fp32",
        "recipe": SMALL,
        "evaluations": 0,
    } | changes


def test_an_array_gives_the_weights_of_the_command_bit_for_bit(array: np.ndarray, tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", images=array, labels=LABELS)
    words = (*TINY, "--recipe", SMALL, "--images", "24", "--evaluations", "0")
    done = run("train", tmp_path / "set.npz", "--out", tmp_path / "command", *words)
    assert done.returncode == 0, done.stderr
    tensor = torch.from_numpy(array).permute(0, 3, 1, 2)
    trained = noisette.train(tensor, tmp_path / "call", labels=LABELS, **options())
    ours, theirs = (load_file(tmp_path / name / "model/model.safetensors") for name in ("call", "command"))
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert isinstance(trained, Run) and trained.folder == tmp_path / "call" and trained.is_finished
    assert trained.metrics[-1]["images"] == 24 and trained.model.pictures.labels == ("0", "1")
    assert len(trained.samples) == 16
    again = noisette.train(tensor, tmp_path / "call", labels=LABELS, **options())  # nothing is left to do
    assert again.model.hash == trained.model.hash
    with pytest.raises(InputError, match="was started with --seed 0, not with --seed 1"):
        noisette.train(tensor, tmp_path / "call", labels=LABELS, **options(seed=1))
    with pytest.raises(InputError, match="holds another data set"):
        noisette.train(tensor, tmp_path / "call", **options())


def test_without_out_it_makes_a_new_folder_below_runs(array, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="batch"):
        noisette.train(array, **options(batch=0))
    assert not (tmp_path / "runs" / "array").exists()
    folders = [noisette.train(array, **options(images=8)).folder for _ in range(2)]
    assert folders == [Path("runs/array"), Path("runs/array-2")] and all(f.is_dir() for f in folders)


def test_options_are_written_as_for_the_command_or_as_numbers(array: np.ndarray, tmp_path: Path) -> None:
    recipe = {"model": {"net": {"channels": [8, 8], "groups": 4, "time_channels": 8, "blocks": 1}}}
    trained = noisette.train(
        array, tmp_path / "run", attributes={"hue": np.linspace(0, 1, 40)}, size="12x10", save_every="10s",
        **options(recipe=recipe, images="0.016k"),
    )  # fmt: skip
    assert trained.plan["images"] == 16 and trained.pictures.shape == (4, 10, 12)
    assert trained.pictures.attributes == ("hue",) and trained.model.config.net.channels == (8, 8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": "emoji", "texts": ["a"]}, "for pictures in memory"),
        ({"source": "emoji", "value_range": (0, 1)}, "for pictures in memory"),
        ({"source": "emoji", "labels": ["a"]}, "must be the path of an .npy file"),
        ({"labels": "labels.npy"}, "one name or number per picture, got a path"),
        ({"factor": 3}, 'factor belongs to task="upscale"'),
        ({"task": "paint"}, "no task is called 'paint'"),
        ({"seconds": "soon"}, "a duration is written like 90s"),
        ({"seconds": 5}, "and not both"),
    ],
)
def test_what_cannot_be(array: np.ndarray, tmp_path: Path, arguments: dict, message: str) -> None:
    given = options() | arguments
    with pytest.raises(InputError, match=message):
        noisette.train(given.pop("source", array), tmp_path / "run", **given)
    assert not (tmp_path / "run").exists()


def test_the_function_and_the_package_of_training_do_not_hide_each_other() -> None:
    code = "import noisette.training.run, noisette; assert callable(noisette.train); noisette.training.TrainOptions"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_classifier_of_a_run(array: np.ndarray, tmp_path: Path) -> None:
    trained = noisette.train(array, tmp_path / "run", labels=LABELS, **options(images=8))
    before = torch.get_rng_state()
    classifier = noisette.train_classifier(trained.folder, tmp_path / "classifier", images=32, batch=16)
    assert torch.equal(before, torch.get_rng_state()) and classifier.config.pictures.labels == ("0", "1")
    assert classifier.config.schedule == trained.model.schedule
    assert (tmp_path / "classifier" / "model.safetensors").is_file()
    with pytest.raises(InputError, match="leave size out"):
        noisette.train_classifier(trained.folder, images=32, size=8)
