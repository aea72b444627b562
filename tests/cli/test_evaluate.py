import json
import shutil

import pytest

import commands
from noisette.data import prepare


@pytest.fixture(scope="module")
def run(sprites, model, tmp_path_factory):
    """A run folder with 100 pictures more than the tiny model ever saw: what counts is that the figures are made."""
    import numpy as np
    from PIL import Image

    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("run")
    rng = np.random.default_rng(0)
    for i in range(204):
        label = ("bread", "health potion", "sword")[i % 3]
        (source / label).mkdir(exist_ok=True)
        pixels = np.zeros((8, 8, 4), np.uint8)
        top, left = rng.integers(0, 4, 2)
        pixels[top : top + 3 + i % 3, left : left + 4] = (*rng.integers(0, 256, 3), 255)
        Image.fromarray(pixels).save(source / label / f"{i}.png")
    prepare(source, folder)
    shutil.copytree(model, folder / "model")
    return folder


def test_four_rows_a_page_and_json(call, run, tmp_path):
    result = call("evaluate", run, "-n", 30, "--out", tmp_path / "out", "--json")
    assert result.code == 0, result.err
    data = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert json.loads(result.out).items() <= data.items()
    assert [score["name"] for score in data["scores"]] == ["real data", "model", "training copies", "noise"]
    assert any(sentence.startswith("Memorization:") for sentence in data["verdict"])
    real, model, copies, _ = data["scores"]
    assert copies["memorized"]["value"] > 0.5 > real["memorized"]["value"]
    assert model["kid"]["low"] > real["kid"]["high"]  # random weights
    assert model["n"] == 30 == data["settings"]["samples"] and data["settings"]["extractor_hash"]
    assert (
        real["agreement"] is None
        and 0 <= model["agreement"]["value"] <= 1
        and data["classifier_accuracy"]["value"] > 0.5
    )
    page = (tmp_path / "out" / "evaluation.html").read_text(encoding="utf-8")
    assert page.count("<img") == 3 + 20


def test_what_cannot_be_evaluated(refused, run, model, trained, other_model, tmp_path):
    assert "--data" in refused("evaluate", model)
    assert "at least 20" in refused("evaluate", trained[0])
    assert "give the run that the model was trained in" in refused("evaluate", other_model, "--data", run)
    assert "-n must be at least 20, got 3" in refused("evaluate", run, "-n", 3)


@pytest.mark.slow
def test_two_processes_find_what_one_finds(run, tmp_path):
    """Batches are dealt out whole: the figures agree to the last digit."""
    words = ("evaluate", run, "-n", 20, "--batch", 6)  # four batches, the last one smaller
    alone = commands.run(*map(str, words), "--out", tmp_path / "one")
    both = commands.run_ranks(*map(str, words), "--out", tmp_path / "two")
    assert alone.returncode == both.returncode == 0, alone.stderr + both.stderr
    one, two = (json.loads((tmp_path / name / "evaluation.json").read_text()) for name in ("one", "two"))
    assert one == two
    assert both.stdout.count("wrote") == 1
