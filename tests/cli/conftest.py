"""Commands as people type them, in this process where that proves enough."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import forking
from commands import SMALL
from noisette.cli import main
from tiny_models import tiny


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


Call = Callable[..., Result]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """main(arguments): its exit code and its output."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> Result:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return Result(int(stop.value.code or 0), out, err)

    return run


@pytest.fixture
def refused(call: Call) -> Callable[..., str]:
    """A command that must say one sentence, on stderr alone, and exit with 2. Returns the sentence."""

    def run(*arguments: object) -> str:
        result = call(*arguments)
        assert result.code == 2, result
        assert result.out == ""
        assert result.err.startswith("noisette: ") and result.err.count("\n") == 1, result.err
        assert "Traceback" not in result.err
        return result.err

    return run


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder: 8×8 RGBA, three labels, random weights."""
    folder = tmp_path_factory.mktemp("model") / "tiny"
    tiny().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another one: gray, 8 high and 12 wide, without labels."""
    folder = tmp_path_factory.mktemp("model") / "other"
    tiny("L", (), width=12, seed=1).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def sprites(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 pictures of 8×8 with two labels; one more is a copy, and one is no picture."""
    folder, rng = tmp_path_factory.mktemp("sprites"), np.random.default_rng(0)
    for i in range(40):
        label = ("food", "tool")[i % 2]
        (folder / label).mkdir(exist_ok=True)
        pixels = np.zeros((8, 8, 4), dtype=np.uint8)
        top, left = rng.integers(0, 4, 2)
        pixels[top : top + 4, left : left + 4] = (*rng.integers(0, 256, 3), 255)
        Image.fromarray(pixels).save(folder / label / f"{i:02d}.png")
    (folder / "food" / "copy.png").write_bytes((folder / "food" / "00.png").read_bytes())
    (folder / "tool" / "words.png").write_text("this is no picture")
    return folder


def python(*arguments: object, **extra: str) -> subprocess.CompletedProcess[str]:
    """python -m noisette …, as a process of its own, which has done its imports."""
    return forking.shared().run(*arguments, COLUMNS="200", **extra)


@pytest.fixture(scope="session")
def trained(sprites: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A run of four steps, by the command line, with the flags of another trainer; and its output."""
    run = tmp_path_factory.mktemp("runs") / "run"
    done = python(
        "train", f"--train_data_dir={sprites}", "--out", run, "--images", "32", "--preset", "tiny",
        "--train_batch_size", 8, "--mixed_precision", "no", "--learning_rate=2e-3", "--seed", 7, "--recipe", SMALL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return run, done
