"""docs/textures.md: every command runs, at tiny size (textures.md in the table of pages)."""

import re
import shlex
from pathlib import Path

from PIL import Image

from tiny_models import tiny

PAGE = Path(__file__).parents[2] / "docs" / "textures.md"


def test_the_page(call, tmp_path, monkeypatch) -> None:
    lines = re.findall(r"^\$ (noisette [^\n]*)", PAGE.read_text("utf8"), re.M)
    assert len(lines) >= 4
    tiny("RGB", ("grass", "water"), 32, 32).save_pretrained(tmp_path / "runs" / "mine" / "model")
    monkeypatch.chdir(tmp_path)
    for line in lines:
        words = shlex.split(line, comments=True)[1:]
        result = call(*words, *(("-n", "1") if words[0] == "sample" else ("--tile", "8")), "--steps", "1")
        assert result.code == 0, f"{line}\n{result.err}"
    with Image.open(tmp_path / "wide" / "grass-000000.png") as picture:
        assert picture.size == (128, 48)
