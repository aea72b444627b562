"""docs/export.md is run from top to bottom, as it stands there."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from commands import run
from noisette.errors import InputError
from noisette.interop.web_runtime import find_runtime
from tiny_models import tiny

PAGE = (Path(__file__).parent.parent / "docs" / "export.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(console|python)\n(.*?)```", PAGE, flags=re.S)


def typed(words: list[str], folder: Path) -> str:
    """The output of a command, which must succeed."""
    program, *arguments = words
    if any(word.startswith("web") for word in words) and "CI" not in os.environ:
        try:
            find_runtime()
        except InputError:
            return ""  # ONNX Runtime Web comes from npm
    if program == "noisette":
        done = run(*arguments, cwd=folder)
    elif program == "python":
        done = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    else:
        assert words[:2] in (["pip", "install"], ["npm", "install"])  # it is
        return ""
    assert done.returncode == 0, f"{words}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tiny().save_pretrained(tmp_path / "runs" / "mine" / "model")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    outputs: list[str] = []
    for kind, text in BLOCKS:
        if kind == "python":
            exec(text, names)
            continue
        for line in re.findall(r"^\$ ([^#\n]*)", text, flags=re.M):
            outputs.append(typed(shlex.split(line), tmp_path))
    assert names["drawn"].shape == (4, 8, 8, 4)
    assert (tmp_path / "one.png").is_file()
    opset, error = re.findall(r"opset: (\d+)\nmax error against PyTorch: (\S+)", "".join(outputs))[0]
    assert opset == "18" and float(error) < 1e-4
    drawn = sorted(p.name for p in (tmp_path / "drawn").iterdir())
    assert drawn == ["bread-000000.png", "bread-000003.png", "health-potion-000001.png", "sword-000002.png"]
    if (tmp_path / "mine.html").exists():
        assert (tmp_path / "mine.html").stat().st_size > (tmp_path / "site" / "index.html").stat().st_size
    for folder in ("mine-hub", "copy-with-card"):
        assert {"README.md", "samples.png", "model.safetensors"} < {p.name for p in (tmp_path / folder).iterdir()}
