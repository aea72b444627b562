"""docs/steering.md: its commands and its code are run, at tiny size; its files are there."""

import ast
import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

import noisette
from noisette.diffusion.guidance import GradientGuided, Guided
from noisette.models.config import Origin
from tiny_models import make_classifier, tiny

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "steering.md").read_text("utf8")
LINES = [line.strip() for line in PAGE.splitlines() if re.match(r"(    |\$ )noisette (sample|edit) ", line)]
LABELS = ("Food & Drink", "Animals & Nature", "Smileys & Emotion", "Symbols", "Travel & Places", "potion", "weapon")
FEW = {"walk": ("--frames", "3", "--format", "none"), "hspace": ("-n", "5"), "invert": ()}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The models and the pictures that the page names."""
    model = tiny("RGBA", LABELS, 16, 16, attributes=("hue", "shape=round"), means=(0.5, 0.0), scales=(0.2, 1.0))
    for name in ("emoji", "mine/early"):
        model.save_pretrained(tmp_path / "runs" / name)
    origin = Origin("emoji", noisette.load(tmp_path / "runs" / "emoji").hash, "16×16 RGBA")
    model.config = replace(model.config, origins=(origin,))
    model.save_pretrained(tmp_path / "runs" / "mine" / "model")
    make_classifier(model).save_pretrained(tmp_path / "classifier")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "pictures").symlink_to(ROOT / "docs" / "pictures")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_file_that_it_names_is_there() -> None:
    for link in re.findall(r"\]\((?!http)([^)#]+)", PAGE):
        assert (ROOT / "docs" / link).exists(), link


def test_the_commands_do_what_they_say(call, place: Path) -> None:
    assert len(LINES) >= 11
    for line in LINES:
        words = shlex.split(line.removeprefix("$ "), comments=True)[1:]
        result = call(*words, "--steps", 2, *FEW.get(words[1], ("-n", "2")))
        assert result.code == 0, f"{line}\n{result.err}"
        assert any(Path(words[words.index("--out") + 1]).iterdir())
    with Image.open(place / "filled" / "steer-apple-000000.png") as picture:
        assert picture.size == (16, 16)


def test_the_code_of_the_page_guides(place: Path) -> None:
    model = noisette.load("runs/mine")
    cat, dog = model.condition("potion", 2), model.condition("weapon", 2)
    names = {"model": model, "cat": cat, "dog": dog, "noisette": noisette, "Guided": Guided}
    asking, guiding = re.findall(r"```python\n(.*?)```", PAGE, flags=re.S)
    exec(asking, names)
    lines = [ast.unparse(statement) for statement in ast.parse(guiding).body]
    x, t = torch.randn(2, 4, 16, 16), torch.tensor(0.01, dtype=torch.float64)
    drawn = [eval(line, names | {"GradientGuided": GradientGuided})(x, t).x0 for line in lines]
    assert len(drawn) == 5
    for i, one in enumerate(drawn):
        assert one.isfinite().all()
        assert all(not torch.equal(one, other) for other in drawn[i + 1 :])
