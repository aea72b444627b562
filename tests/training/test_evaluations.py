"""Evaluations during training: they change nothing of the run, survive an interruption, and keep the best."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import noisette
from commands import SMALL, TINY, run_ranks
from noisette.data import prepare
from noisette.io.json_files import read_json
from noisette.training import Progress, snapshots, train
from noisette.training.periodic_evaluation import MAX_EVALUATIONS, SAMPLE_COUNTS, plan_evaluations

from .test_run import assert_same_run, losses, options, rows
from .test_run_errors import Crash, crash_after


@pytest.fixture(scope="module")
def sprites(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 pictures, of which 12 are held out: enough for a KID."""
    folder, rng = tmp_path_factory.mktemp("sprites"), np.random.default_rng(0)
    for i in range(120):
        label = ("food", "tool")[i % 2]
        (folder / label).mkdir(exist_ok=True)
        pixels = np.zeros((8, 8, 4), dtype=np.uint8)
        top, left = rng.integers(0, 4, 2)
        pixels[top : top + 4, left : left + 4] = (*rng.integers(0, 256, 3), 255)
        Image.fromarray(pixels).save(folder / label / f"{i:03d}.png")
    return folder


@pytest.fixture(scope="module")
def checked(sprites: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Progress]]:
    out, seen = tmp_path_factory.mktemp("checked") / "run", []
    train(sprites, out, options(evaluations=3), on_progress=seen.append)
    return out, seen


def test_evaluations_do_not_change_the_run_and_record_all_figures(
    checked: tuple[Path, list[Progress]], sprites: Path, tmp_path: Path
):
    out, seen = checked
    train(sprites, tmp_path / "bare", options(evaluations=0))
    assert losses(tmp_path / "bare") == losses(out)
    bare, last = (noisette.load(run / "checkpoints" / "000000096") for run in (tmp_path / "bare", out))
    for name, value in bare.net.state_dict().items():  # the run's model may be an earlier snapshot
        assert torch.equal(value, last.net.state_dict()[name]), name
    assert not (tmp_path / "bare" / "snapshots").exists()
    found = rows(out, "evaluation")
    assert [r["images"] for r in found] == [32, 64, 96]
    assert [p.images for p in seen if p.evaluation] == [32, 64, 96]
    last = found[-1]["evaluation"]
    assert last["samples"] == 64
    assert last["kid"]["low"] < last["kid"]["value"] < last["kid"]["high"]
    assert last["real_kid"]["value"] < last["kid"]["value"]
    assert 0 <= last["copies"]["low"] <= last["copies"]["high"] < 1
    assert last["drift"]["brightness"].keys() == {"red", "green", "blue", "alpha"}


def test_snapshots_are_models(checked: tuple[Path, list[Progress]]):
    out, _ = checked
    kept = snapshots.read_all(out)
    assert kept[-1].images == 96 and snapshots.find_best(kept) in kept and len(kept) <= 2
    ours, last = noisette.load(snapshots.find_folder(out, "last")), noisette.load(out / "checkpoints" / "000000096")
    for name, value in ours.net.state_dict().items():
        assert torch.equal(value, last.net.state_dict()[name]), name
    assert {noisette.load(snapshots.snapshot_folder(out, c.images)).config.sampling for c in kept} == {
        noisette.load(out).config.sampling  # what is compared with the run's model draws as it does
    }


def test_an_interrupted_run_keeps_what_an_uninterrupted_one_does(
    checked: tuple[Path, list[Progress]], sprites: Path, tmp_path: Path
):
    with pytest.raises(Crash):
        train(sprites, tmp_path / "run", options(evaluations=3, save_every=0.0), on_progress=crash_after(40))
    with pytest.raises(Crash):
        train(sprites, tmp_path / "run", options(evaluations=3, save_every=1e9), on_progress=crash_after(72))
    train(sprites, tmp_path / "run", options(evaluations=3))
    assert_same_run(checked[0], tmp_path / "run")
    assert rows(checked[0], "evaluation") == rows(tmp_path / "run", "evaluation")
    assert snapshots.read_all(checked[0]) == snapshots.read_all(tmp_path / "run")


def test_the_model_is_a_clearly_better_snapshot(sprites: Path, tmp_path: Path):
    """Here the better one is made so by hand: what was found of it is put a thousand lower."""
    with pytest.raises(Crash):
        train(sprites, tmp_path / "run", options(evaluations=3, save_every=0.0), on_progress=crash_after(80))
    file = snapshots.snapshot_folder(tmp_path / "run", 64) / "evaluation.json"
    record = read_json(file)
    record |= {
        "kid_resamples": [d - 1000 for d in record["kid_resamples"]],
        "kid": {k: v - 1000 for k, v in record["kid"].items()},
    }
    file.write_text(json.dumps(record))
    train(sprites, tmp_path / "run", options(evaluations=3))
    assert [c.images for c in snapshots.read_all(tmp_path / "run")] == [64, 96]
    ours, early = noisette.load(tmp_path / "run"), noisette.load(snapshots.find_folder(tmp_path / "run", "best"))
    for name, value in ours.state_dict().items():
        assert torch.equal(value, early.state_dict()[name]), name
    assert "after 64 images, not the last one: its KID" in snapshots.describe_selection(tmp_path / "run")
    before = (tmp_path / "run" / "metrics.jsonl").read_text()
    train(sprites, tmp_path / "run", options(evaluations=3))  # nothing is left to do
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == before


def test_few_held_out_pictures_have_no_kid(sprites: Path, tmp_path: Path):
    few = tmp_path / "few"
    few.mkdir()
    for i, path in enumerate(sorted(sprites.rglob("*.png"))[:30]):
        (few / f"{i}.png").write_bytes(path.read_bytes())
    train(few, tmp_path / "run", options(images=16, evaluations=1))
    (row,) = rows(tmp_path / "run", "evaluation")
    assert row["evaluation"]["kid"] is None and row["evaluation"]["copies"]["high"] > 0
    assert [c.images for c in snapshots.read_all(tmp_path / "run")] == [16]


@pytest.mark.slow
def test_two_processes_evaluate_as_one(checked: tuple[Path, list[Progress]], sprites: Path, tmp_path: Path):
    words = (
        "train",
        sprites,
        "--out",
        tmp_path / "run",
        "--images",
        "96",
        "--evaluations",
        "3",
        *TINY,
        "--recipe",
        SMALL,
    )
    done = run_ranks(*words)
    assert done.returncode == 0, done.stderr
    assert losses(tmp_path / "run") == pytest.approx(losses(checked[0]), abs=1e-5)
    theirs, ours = rows(tmp_path / "run", "evaluation"), rows(checked[0], "evaluation")
    assert [r["images"] for r in theirs] == [r["images"] for r in ours]
    for one, other in zip(theirs, ours, strict=True):
        assert one["evaluation"]["kid"]["value"] == pytest.approx(other["evaluation"]["kid"]["value"], rel=0.02)
    assert done.stdout.count("evaluation: KID") == 3


def test_as_many_as_the_time_allows(sprites: Path, tmp_path: Path):
    data = prepare(str(sprites), tmp_path / "run")
    assert plan_evaluations(data, 60.0, 0.003, None) == (0, 0)  # no time for any
    assert plan_evaluations(data, 60.0, 0.003, 5) == (5, 64)  # unless --evaluations asks for them
    assert plan_evaluations(data, 1e6, 0.003, 0) == (0, 0)
    assert plan_evaluations(data, 1e6, 0.003, None) == (MAX_EVALUATIONS, SAMPLE_COUNTS[0])
    times, samples = plan_evaluations(data, 6000.0, 0.1, None)
    assert 0 < times < MAX_EVALUATIONS and samples == 64
    assert times * samples * 12 * 0.1 / 3 < 0.04 * 6000
