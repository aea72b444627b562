"""The commands that speak of the base model that training starts from by default."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from noisette.models import shipped
from noisette.training import TrainOptions, train
from tiny_models import tiny

from .conftest import Call


def test_scan_and_doctor_name_the_base(
    sprites: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scan: also that few pictures need one. Doctor: what a run has started from."""
    monkeypatch.setattr(shipped, "ROOT", tmp_path / "home")
    source = tmp_path / "larger"
    source.mkdir()
    for path in sprites.rglob("[0-9]*.png"):
        Image.open(path).resize((16, 16), Image.Resampling.NEAREST).save(source / path.name)
    before = call("scan", source).out
    assert "training pictures are few: start from a model of many pictures" in before and "it starts" not in before
    tiny(height=16, width=16).save_pretrained(tmp_path / "base")
    shutil.copytree(tmp_path / "base", tmp_path / "home" / "base-16")
    out = call("scan", source).out
    assert "training pictures are few: training starts from base-16" in out and "; it starts from base-16" in out
    assert json.loads(call("scan", source, "--json").out)["start_from"] == "base-16"
    assert "starts from" not in call("scan", sprites).out  # 8×8
    options = TrainOptions(images=8, batch=8, precision="fp32", evaluations=0, start_from=str(tmp_path / "base"))
    train(source, tmp_path / "run", options)
    assert "base (16×16 RGBA)" in call("doctor", tmp_path / "run").out
