"""noisette provenance: what a model was made of, for programs and for people."""

import csv
import json
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cli.conftest import call, refused
from commands import SMALL
from noisette.data import Dataset, open_source, scan
from noisette.data.builtin import CREDITS
from noisette.io.files import file_sha256
from noisette.models import shipped
from noisette.models.config import Origin
from noisette.models.picture_model import PictureModel
from noisette.training import TrainOptions, train

__all__ = ["call", "refused"]
OPTIONS: dict[str, Any] = {"preset": "tiny", "images": 16, "batch": 8, "precision": "fp32", "recipe": SMALL}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 pictures; some columns say where they are from, in other spellings, too."""
    folder, random = tmp_path_factory.mktemp("credits") / "mine", np.random.default_rng(0)
    folder.mkdir()
    with (folder / "metadata.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file_name", "label", "License", "artist", "hue"])
        for i in range(24):
            Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8)).save(folder / f"{i}.png")
            rows.writerow([f"{i}.png", "ab"[i % 2], "CC0-1.0" if i < 20 else "", "Ann <a@b>" if i % 2 else "Bob", i])
    return folder


@pytest.fixture(scope="module")
def run(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "first"
    train(source, folder, TrainOptions(**OPTIONS))
    return folder


def read(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "provenance.json").read_text("utf8"))


def test_credits_are_no_attributes(source: Path, run: Path) -> None:
    found = scan(source)
    assert any("kept for noisette provenance: License, artist" in note for note in found.notes)
    assert found.pictures[0].credits == {"license": "CC0-1.0", "author": "Bob"}
    assert set(Dataset.open(run).pictures.attributes) == {"hue"}


def test_every_file_with_its_credits(call, run: Path, source: Path, tmp_path: Path) -> None:
    result = call("provenance", run, "--out", tmp_path)
    assert result.code == 0, result.err
    assert "not stated, of 24 pictures: license of 4, source of 24" in result.err
    found = read(tmp_path)
    files = {row["name"]: row for row in found["data"]["files"]}
    assert len(files) == 24 and found["data"]["not stated"] == {"license": 4, "author": 0, "source": 24}
    for i in range(24):
        row = files[f"{i}.png"]
        assert row["sha256"] == file_sha256(source / f"{i}.png") and row["label"] == "ab"[i % 2]
        assert row["license"] == ("CC0-1.0" if i < 20 else None) and row["source"] is None
        assert row["author"] == ("Ann <a@b>" if i % 2 else "Bob")
    assert found["model"]["hash"] == PictureModel.from_pretrained(run / "model").hash
    assert found["training"]["images"] == 16 and found["training"]["recipe"]["training"]["batch"] == 8
    train = [row for row in files.values() if row["split"] == "train"]
    free = sum(row["license"] is not None for row in train)
    licenses = f"CC0-1.0 ({free}), not stated ({len(train) - free})"
    assert f"on {len(train)} pictures (licenses: {licenses}; authors: " in found["disclosure"]
    page = (tmp_path / "provenance.html").read_text("utf8")
    assert "Ann &lt;a@b&gt;" in page and "<a@b>" not in page and escape(found["disclosure"]) in page
    assert "None: training started from random weights." in page


def test_a_run_that_started_from_another(call, run: Path, source: Path, tmp_path: Path) -> None:
    """Both data sets are listed; without the other run, it is said that they are not known."""
    second = tmp_path / "second"
    train(source, second, TrainOptions(**OPTIONS, start_from=str(run)))
    assert call("provenance", second).code == 0
    (origin,) = read(second)["started from"]
    assert origin["name"] == "first" and len(origin["data"]["files"]) == 24
    assert "Its training started from the model first." in read(second)["disclosure"]
    moved = run.rename(run.with_name("elsewhere"))
    try:
        assert call("provenance", second).code == 0
    finally:
        moved.rename(run)
    assert read(second)["started from"][0]["data"] is None
    assert "not known here" in (second / "provenance.html").read_text("utf8")


def test_a_run_that_started_from_a_base(call, run: Path, tmp_path: Path) -> None:
    """The base's attributions are those of its own origins, too. A model of its name with another hash has none."""
    base = PictureModel.from_pretrained(shipped.ROOT / "base-16")
    for kind, base_hash in (("real", base.hash), ("other", "0" * 64)):
        folder = tmp_path / kind
        folder.mkdir()
        for name in ("config.json", "data.json", "metrics.jsonl"):
            (folder / name).write_bytes((run / name).read_bytes())
        model = PictureModel.from_pretrained(run / "model")
        origins = (Origin("base-16", base_hash, "16×16 RGBA"), Origin("base-16", "1" * 64, "16×16 RGBA"))
        model.config = replace(model.config, origins=origins)
        model.save_pretrained(folder / "model")
        assert call("provenance", folder).code == 0
    (origin,) = read(tmp_path / "real")["started from"]
    assert origin["attribution"] == (shipped.ROOT / "base-16" / "ATTRIBUTION.md").read_text("utf8")
    assert "Kenney" in (tmp_path / "real" / "provenance.html").read_text("utf8")
    assert [one["attribution"] for one in read(tmp_path / "other")["started from"]] == [None, None]


def test_built_in_sets_state_their_origin() -> None:
    for name, author in (("emoji", "Twemoji"), ("digits", "Alpaydin")):
        entries = open_source(name).entries
        assert all(author in entry.credits["author"] and entry.credits["license"] for entry in entries)
    assert "Kamiyamane" in CREDITS["icons"]["author"]  # whose package is not installed everywhere


def test_what_has_no_provenance(refused, run: Path, tmp_path: Path) -> None:
    assert "not a run folder" in refused("provenance", run / "model")
    assert "not a run folder" in refused("provenance", tmp_path / "none")
