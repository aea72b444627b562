"""A run is made longer by the same command with more time or images; other changes are named as they are typed."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from noisette.errors import InputError
from noisette.models.task import Upscale
from noisette.training import Progress, TrainOptions, train
from noisette.training.progress_schedule import ProgressSchedule
from noisette.training.stored_options import describe

from .test_run import losses, options, rows, weights


@pytest.mark.slow
def test_a_finished_run_is_made_longer(sprites: Path, tmp_path: Path):
    """It goes on from its last checkpoint with the learning rate of the longer run, and ends annealed again."""
    run, seen = tmp_path / "run", list[Progress]()
    train(sprites, run, options(images=64))
    first = weights(run)
    train(sprites, run, options(images=128), on_progress=seen.append)
    assert [p.images for p in seen] == list(range(72, 129, 8)) and seen[0].total == 128
    assert "made longer, to 128 images" in seen[0].notes[0]
    rates = {r["images"]: r["lr"] for r in rows(run)}
    assert rates[72] > 5 * rates[64] and rates[128] < rates[72] / 5
    assert any(not torch.equal(value, weights(run)[name]) for name, value in first.items())
    assert len(losses(run)) == 16
    train(sprites, run, options(images=128))  # it is finished
    with pytest.raises(InputError, match="with --images 128, not with --images 64"):
        train(sprites, run, options(images=64))


@pytest.mark.slow
def test_a_longer_run_that_is_stopped_ends_as_one_that_is_not(sprites: Path, tmp_path: Path):
    """Also when it is stopped before its first checkpoint, or at its start."""
    for name in ("whole", "stopped"):
        train(sprites, tmp_path / name, options(images=64))

    class Stop(Exception):
        pass

    def stop_at(images: int):
        def watch(progress: Progress) -> None:
            if progress.images >= images:
                raise Stop

        return watch

    train(sprites, tmp_path / "whole", options(images=128))
    for images in (72, 104):
        with pytest.raises(Stop):
            train(sprites, tmp_path / "stopped", options(images=128), on_progress=stop_at(images))
    train(sprites, tmp_path / "stopped", options(images=128))
    ours, theirs = weights(tmp_path / "whole"), weights(tmp_path / "stopped")
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert losses(tmp_path / "whole") == losses(tmp_path / "stopped")


def test_an_exception_in_on_progress_ends_the_run_after_it_was_saved(sprites: Path, tmp_path: Path):
    def watch(progress: Progress) -> None:
        if progress.images == 40:
            raise KeyError("the watcher's own fault")

    with pytest.raises(KeyError, match="own fault"):
        train(sprites, tmp_path / "run", options(), on_progress=watch)
    seen: list[Progress] = []
    train(sprites, tmp_path / "run", options(), on_progress=seen.append)
    assert seen[0].images == 48


def test_more_time_for_a_run_with_a_time_box(sprites: Path, tmp_path: Path):
    timed = replace(options(), images=None, seconds=2.0)
    train(sprites, tmp_path / "run", timed)
    before = json.loads((tmp_path / "run" / "config.json").read_text())["plan"]
    seen: list[Progress] = []
    train(sprites, tmp_path / "run", replace(timed, seconds=4.0), on_progress=seen.append)
    plan = json.loads((tmp_path / "run" / "config.json").read_text())["plan"]
    assert seen and plan["seconds"] == 4.0 and plan["extended_at"] < plan["images"] and "extended_at" in before
    with pytest.raises(InputError, match="with --for 4s, not with --images 96"):
        train(sprites, tmp_path / "run", options())


def test_progress_of_a_run_that_is_made_longer():
    line = ProgressSchedule.linear(100)
    assert line.extend(100, 400).progress(100) == 0.25  # finished: back to where the longer run is
    half = line.extend(50, 400)
    assert half.progress(50) == 0.5 and half.progress(225) == pytest.approx(0.75) and half.total == 400


def test_options_are_named_as_they_are_typed():
    assert describe("seconds", 90.0) == "with --for 90s" and describe("batch", None) == "without --batch"
    assert describe("size", [16, 24]) == "with --size 24x16" and describe("seed", 0) == "with --seed 0"
    assert describe("flip", True) == "with --flip" and describe("flip", False) == "without --flip"
    assert describe("task", {"is": Upscale.__name__, "factor": 3}) == "with --task upscale --factor 3"
    with pytest.raises(InputError, match=r"--for\) or a number of images \(--images\)"):
        TrainOptions()
    with pytest.raises(InputError, match="--batch must be above 0 and at most 65,536, got 0"):
        options(batch=0)
