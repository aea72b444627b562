"""Every command and every Python block of the README and of docs/ is run, here or by the test named in ELSEWHERE."""

import json
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import masked
import noisette
from cli.conftest import call
from noisette.report.explain import solvers

__all__ = ["call"]
ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ELSEWHERE = {  # page: the test that runs all of it
    "README.md": "tests/test_readme.py",
    "export.md": "tests/test_export_page.py",
    "networks.md": "tests/nn/test_networks_page.py",
    "notebooks.md": "tests/test_readme.py",
    "data.md": "tests/data/test_prepare.py",
    "steering.md": "tests/cli/test_steering_page.py",
    "films.md": "tests/cli/test_film.py",
    "text.md": "tests/cli/test_text.py",
    "sheets.md": "tests/cli/test_sheet.py",
    "textures.md": "tests/cli/test_textures_page.py",
    "palettes.md": "tests/cli/test_palette.py",
    "distilling.md": "tests/cli/test_distill.py",
    "latent.md": "tests/training/test_autoencoder.py",
}
NOT_RUN = {  # the beginning of a block, and why it is not run
    "accelerate launch": "needs a launcher; tests/training runs it",
    "python benchmarks/": "measures for minutes",
    "pip install": "changes the environment",
    "jupyter lab": "tests/report/test_notebook.py runs the notebook",
    "make ": "installs into the repository",
    "from gradio_client": "tests/studio/test_api.py calls every endpoint of a running studio",
    "noisette studio": "tests/cli/test_studio.py starts it",
    "noisette mcp": "tests/mcp_server starts it",
}
NET = {"model": {"net": {"channels": [8, 8], "attention": [False, True], "blocks": 1, "groups": 4, "time_channels": 8}}}
TRAIN = {"--images": "24", "--batch": "8", "--preset": "tiny", "--precision": "fp32", "--recipe": "net.json"}
LENGTHS = ("--for", "--preset", "--dropout")  # options of a long run, which TRAIN replaces
API = 'images=24, batch=8, preset="tiny", precision="fp32", recipe=NET'  # the same in Python
FEW = {  # options that make a command small
    "train": TRAIN,
    "plan": {"--for": "2s"},
    "sample": {"--steps": "1"},
    "evaluate": {"-n": "20"},
    "steps": {"-n": "20", "--sampler": "ddim", "--grid": "karras", "--steps": "2"},
    "edit": {"--steps": "2"},
}
FEW_STEPS = (4, 6)  # of each sampler in a report; tests/report/explain/test_report.py renders one with more


def blocks(page: Path) -> list[tuple[str, str]]:
    """(language, text) of all fenced blocks with a language, and of indented lines that are commands."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"^```(console|python)\n(.*?)^```|^    ((?:noisette|python|pip|make) [^\n]*)", text, re.S | re.M)
    return [(kind or "command", body or line) for kind, body, line in found]


def commands(kind: str, text: str) -> list[str]:
    if kind == "command":
        return [text]
    return re.findall(r"^\$ ([^\n]*)", text, re.M)


def reason(line: str) -> str | None:
    return next((why for start, why in NOT_RUN.items() if line.startswith(start)), None)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_has_a_runner(page: Path) -> None:
    """A page is run elsewhere, or here; on pages that are run here, each line is a command, or has a reason."""
    if page.name in ELSEWHERE:
        name = ELSEWHERE[page.name]
        assert page.name in (ROOT / name).read_text(encoding="utf-8"), f"{name} does not read {page.name}"
        return
    for kind, text in blocks(page):
        for line in commands(kind, text) if kind != "python" else []:
            assert line.startswith("noisette ") or reason(line), f"{page.name}: {line}"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sources that the pages name."""
    folder = tmp_path_factory.mktemp("docs")
    rng = np.random.default_rng(0)
    for i in range(220):
        pixels = np.zeros((8, 8, 4), dtype=np.uint8)
        top, left = rng.integers(0, 4, 2)
        pixels[top : top + 4, left : left + 4] = (*rng.integers(0, 256, 3), 255)
        for name in ("my-sprites", "sprites", "FOLDER"):
            place = folder / name / ("potion", "sword")[i % 2]
            place.mkdir(parents=True, exist_ok=True)
            word = ("red", "blue")[i % 2], ("fish", "square")[i // 2 % 2]
            Image.fromarray(pixels).save(place / f"{'_'.join(word)}-{i:03d}.png")
    masked.folder(folder / "MASKED", side=8)
    (folder / "net.json").write_text(json.dumps(NET))
    Image.fromarray(np.full((4, 4, 4), 255, np.uint8)).save(folder / "small.png")
    Image.fromarray(np.full((8, 8, 3), 128, np.uint8)).save(folder / "picture.png")
    return folder


@pytest.fixture(scope="module")
def run(home: Path) -> Path:
    """runs/mine, small but complete; its samples take 4 steps unless a command says otherwise."""
    from commands import run as typed

    done = typed("train", "my-sprites", "--out", "runs/mine", *(w for pair in TRAIN.items() for w in pair), cwd=home)
    assert done.returncode == 0, done.stderr
    model = noisette.load(home / "runs" / "mine")
    model.save_sampling(home / "runs" / "mine", replace(model.config.sampling, steps=4))
    return home / "runs" / "mine"


def small(line: str) -> list[str]:
    """The words of a command, its job made small."""
    words = shlex.split(line, comments=True)[1:]
    if words[0] in ("train", "plan"):
        for option in [o for o in LENGTHS if o in words]:
            del words[words.index(option) : words.index(option) + 2]
    if words[0] == "train":  # tests/cli/test_text.py trains on the many emoji
        words = ["my-sprites" if word == "emoji" else word for word in words]
    if "--size" in words:  # half of it: the pictures here are of 8×8
        at = words.index("--size") + 1
        words[at] = str(int(words[at]) // 2)
    if "segment" in words:  # which needs pictures with masks
        words = ["MASKED" if word == "FOLDER" else word for word in words]
    fewer = dict(FEW.get(words[0], {}))
    for option, value in fewer.items():
        if option in words:
            words[words.index(option) + 1] = value
        else:
            words += [option, value]
    return words


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [p for p in PAGES if p.name not in ELSEWHERE and blocks(p)], ids=lambda page: page.name
)
def test_the_page_runs(
    page: Path, home: Path, run: Path, monkeypatch: pytest.MonkeyPatch, call: Callable[..., object]
) -> None:
    monkeypatch.chdir(home)
    monkeypatch.setattr(solvers, "STEPS", FEW_STEPS)
    monkeypatch.setattr(solvers, "REFERENCE", ("heun", FEW_STEPS[-1]))
    names: dict[str, object] = {"NET": NET}
    for kind, text in blocks(page):
        if kind == "python":
            if reason(text.lstrip()) is None:
                code = text.replace('"runs/mine", seconds="10m"', f'"runs/api", {API}')
                exec(compile(code, page.name, "exec"), names)
            continue
        for line in commands(kind, text):
            if reason(line) is None:
                result = call(*small(line))
                assert result.code == 0, f"{line}\n{result.err}"
