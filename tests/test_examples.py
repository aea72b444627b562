"""Every example runs as it stands, with a model that is quick to draw with."""

import re
import runpy
import sys
from pathlib import Path

import pytest
from PIL import Image

from tiny_models import tiny

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    tiny().save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def run(monkeypatch: pytest.MonkeyPatch, name: str, *arguments: object) -> dict[str, object]:
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    return runpy.run_path(str(EXAMPLES / name), run_name="__main__")


@pytest.mark.slow
def test_steer(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGBA", (8, 8), (200, 40, 40, 255)).save(tmp_path / "photo.png")
    names = run(monkeypatch, "steer.py", model, tmp_path / "photo.png", "sword", tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["filled.png", "images.png", "sharp.png"]
    known = names["mask"].expand_as(names["filled"]) == 1
    assert (names["filled"][known] == names["photo"].expand_as(names["filled"])[known]).all()
    seen = names["AveragePool"](4)(names["sharp"])
    assert (seen - names["small"]).abs().max() < 1e-4


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda p: p.name)
def test_examples_are_short_and_say_how_to_run_them(path: Path) -> None:
    text = path.read_text("utf8")
    assert len(text.splitlines()) <= 40
    assert f"python examples/{path.name}" in re.findall(r'"""(.*?)"""', text, flags=re.S)[0]
