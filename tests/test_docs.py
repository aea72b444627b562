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
PARTS = ("", "start", "howto", "reference")  # of docs/; what the site's build writes below them is not in git
PAGES = [ROOT / "README.md", *sorted(page for part in PARTS for page in (ROOT / "docs" / part).glob("*.md"))]
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
    "noisette course": "starts Jupyter; tests/cli/test_course.py runs it",
    "noisette export runs/mine mine-onnx": "tests/test_export_page.py runs it",
    "noisette export runs/mine mine.html": "needs npm; tests/interop/test_web_page.py runs it",
    "noisette export runs/mine site": "needs npm; tests/interop/test_web_page.py runs it",
    "noisette export runs/mine mine-hub-2": "uploads; tests/io/test_hub.py does so to a stand-in of the hub",
    "from gradio_client": "tests/studio/test_api.py calls every endpoint of a running studio",
    "noisette studio": "tests/cli/test_studio.py starts it",
    "noisette mcp": "tests/mcp_server starts it",
    "noisette serve": "tests/serving starts it",
}
NET = {"model": {"net": {"channels": [8, 8], "attention": [False, True], "blocks": 1, "groups": 4, "time_channels": 8}}}
TRAIN = {"--images": "24", "--batch": "8", "--preset": "tiny", "--precision": "fp32", "--recipe": "net.json"}
STARTS = {"runs/few": "runs/mine"}  # --out: what takes the place of the base, which has another network
LENGTHS = ("--for", "--preset", "--dropout")  # options of a long run, which TRAIN replaces
API = 'images=24, batch=8, preset="tiny", precision="fp32", recipe=NET'  # the same in Python
FEW = {  # options that make a command small
    "train": TRAIN,
    "plan": {"--for": "2s"},
    "sample": {"--steps": "1"},
    "evaluate": {"-n": "20"},
    "steps": {"-n": "20", "--sampler": "ddim", "--grid": "karras", "--steps": "2"},
    "edit": {"--steps": "2"},
    "tileset": {"--steps": "1"},
    "distill": {"--images": "64", "--batch": "32", "--precision": "fp32"},
}
FEW_STEPS = (4, 6)  # of each sampler in a report; tests/report/explain/test_report.py renders one with more


def name_of(page: Path) -> str:
    """A page's path in docs/; README.md."""
    return page.relative_to(ROOT / "docs").as_posix() if page.is_relative_to(ROOT / "docs") else page.name


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


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_has_a_runner(page: Path) -> None:
    """A page is run elsewhere, or here; on pages that are run here, each line is a command, or has a reason."""
    if name_of(page) in ELSEWHERE:
        name = ELSEWHERE[name_of(page)]
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
    (folder / "docs").mkdir()
    (folder / "docs" / "pictures").symlink_to(ROOT / "docs" / "pictures")
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
    if words[0] in ("train", "plan", "distill"):
        for option in [o for o in LENGTHS if o in words]:
            del words[words.index(option) : words.index(option) + 2]
    if words[0] == "train":  # tests/cli/test_text.py trains on the many emoji
        words = ["my-sprites" if word == "emoji" else word for word in words]
    if "--size" in words:  # half of it: the pictures here are of 8×8
        at = words.index("--size") + 1
        words[at] = "x".join(str(int(side) // 2) for side in words[at].split("x"))
    if "segment" in words:  # which needs pictures with masks
        words = ["MASKED" if word == "FOLDER" else word for word in words]
    fewer = dict(FEW.get(words[0], {})) if "--like" not in words else {}  # which takes all settings from the picture
    if words[0] == "train" and "--from" in words:  # the network of that model
        del fewer["--preset"], fewer["--recipe"]
    if (start := STARTS.get(words[words.index("--out") + 1] if "--out" in words else "")) and words[0] == "train":
        fewer["--from"] = start
    for option, value in fewer.items():
        if option in words:
            words[words.index(option) + 1] = value
        else:
            words += [option, value]
    return words


@pytest.fixture(scope="module")
def typed() -> set[str]:
    """The lines that have been run: one that several pages have, such as `noisette doctor`, is run once."""
    return set()


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PAGES if name_of(p) not in ELSEWHERE and blocks(p)], ids=name_of)
def test_the_page_runs(
    page: Path, home: Path, run: Path, monkeypatch: pytest.MonkeyPatch, call: Callable[..., object], typed: set[str]
) -> None:
    monkeypatch.chdir(home)
    monkeypatch.setattr(solvers, "STEPS", FEW_STEPS)
    monkeypatch.setattr(solvers, "REFERENCE", ("heun", FEW_STEPS[-1]))
    names: dict[str, object] = {"NET": NET}
    for kind, text in blocks(page):
        if kind == "python":
            if reason(text.lstrip()) is None:
                code = text.replace('"runs/mine", seconds="10m"', f'"runs/api", {API}')
                code = code.replace("steps=(4, 8), n=100", "steps=(2,), n=20")
                exec(compile(code, page.name, "exec"), names)
            continue
        for line in commands(kind, text):
            if reason(line) is None and line not in typed:
                typed.add(line)
                result = call(*small(line))
                assert result.code == 0, f"{line}\n{result.err}"
