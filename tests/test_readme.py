"""The README's commands and code are run, as they stand there but for the size of the job."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import noisette
from commands import SMALL, TINY, run

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
SMALLER = {"--for 10m": shlex.join(("--images", "64", *TINY, "--recipe", SMALL)), "-n 64": "-n 3"}
LABELS = ("potion", "sword")  # the README asks for a potion


def commands() -> list[str]:
    blocks = re.findall(r"```console\n(.*?)```", README, flags=re.S)
    return [line[2:].split("#")[0].strip() for block in blocks for line in block.splitlines() if line.startswith("$ ")]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every command of the README has been typed, in its order."""
    folder = tmp_path_factory.mktemp("readme")
    rng = np.random.default_rng(0)
    for i in range(220):  # enough of them to be evaluated
        pixels = np.zeros((8, 8, 4), dtype=np.uint8)
        top, left = rng.integers(0, 4, 2)
        pixels[top : top + 4, left : left + 4] = (*rng.integers(0, 256, 3), 255)
        label = folder / "my-sprites" / LABELS[i % 2]
        label.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(label / f"{i}.png")
    assert len(commands()) >= 6
    for line in commands():
        small = line
        for words, fewer in SMALLER.items():
            small = small.replace(words, fewer)
        if "evaluate" in small:
            small += " -n 20"
        elif "sample" in small and "-n" not in small and "--like" not in small:
            small += " -n 2"
        program, *words = shlex.split(small)
        assert program == "noisette"
        done = run(*words, cwd=folder)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    return folder


@pytest.mark.slow
def test_the_commands_do_what_they_say(home: Path):
    assert (home / "runs/mine/model/model.safetensors").is_file()
    assert (home / "new/grid.png").is_file()
    assert (home / "runs/mine/evaluation/evaluation.html").is_file()
    drawn, again = home / "new/potion-000007.png", home / "again/potion-000007.png"
    assert drawn.read_bytes() == again.read_bytes()


@pytest.mark.slow
def test_the_code_runs(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(home)
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.S)
    names: dict[str, object] = {}
    exec(code, names)
    assert names["pictures"].shape == (4, 4, 8, 8)
    assert str(names["pictures"].dtype) == "torch.uint8"


def test_every_file_that_it_names_is_there():
    root = Path(__file__).parent.parent
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (root / link).exists(), link


@pytest.mark.slow
def test_the_page_on_notebooks_is_right(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(home)
    page = (Path(__file__).parent.parent / "docs" / "notebooks.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.S)
    names: dict[str, object] = {"noisette": noisette}
    exec(code, names)
    assert len(names["pictures"]) == 8 and (home / "two.png").is_file()
