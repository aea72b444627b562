import json
import shutil

import pytest

import commands
from noisette.data import prepare

TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc_per_node=2")


@pytest.fixture(scope="module")
def run(sprites, model, tmp_path_factory):
    """A run folder with 100 pictures more than the tiny model ever saw: what counts is that the figures are made."""
    import numpy as np
    from PIL import Image

    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("run")
    rng = np.random.default_rng(0)
    for i in range(240):
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
    told = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert json.loads(result.out).items() <= told.items()
    assert [score["name"] for score in told["scores"]] == ["floor", "model", "copycat", "broken"]
    assert any(sentence.startswith("Originality:") for sentence in told["says"])
    floor, model, copycat, _ = told["scores"]
    assert copycat["memorised"]["value"] > 0.5 > floor["memorised"]["value"]
    assert model["kid"]["low"] > floor["kid"]["high"]  # random weights
    assert model["n"] == 30 == told["about"]["samples"] and told["about"]["extractor_hash"]
    assert floor["agreement"] is None and 0 <= model["agreement"]["value"] <= 1 and told["known"]["value"] > 0.5
    page = (tmp_path / "out" / "evaluation.html").read_text(encoding="utf-8")
    assert page.count("<img") == 3 + 20


def test_what_cannot_be_evaluated(refused, run, model, trained, other_model, tmp_path):
    assert "--data" in refused("evaluate", model)
    assert "at least 20" in refused("evaluate", trained[0])
    assert "give the run that it was trained in" in refused("evaluate", other_model, "--data", run)
    assert "-n is 3" in refused("evaluate", run, "-n", 3)


@pytest.mark.slow
def test_two_processes_find_what_one_finds(run, tmp_path):
    """Batches are dealt out whole: the figures agree to the last digit."""
    words = ("evaluate", run, "-n", 50, "--batch", 8)
    alone = commands.run(*map(str, words), "--out", tmp_path / "one")
    both = commands.run(*map(str, words), "--out", tmp_path / "two", launcher=TORCHRUN)
    assert alone.returncode == both.returncode == 0, alone.stderr + both.stderr
    one, two = (json.loads((tmp_path / name / "evaluation.json").read_text()) for name in ("one", "two"))
    assert one == two
    assert both.stdout.count("wrote") == 1
