"""What goes wrong around a run: damage, a full disk, two at once, a newer version, a tracker that is not there."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import noisette
from commands import TINY, run
from noisette.cli.diagnosis import diagnose_run
from noisette.data import Dataset
from noisette.errors import InputError, OutOfMemory, explain_out_of_memory
from noisette.io import checkpoint
from noisette.io.files import HOST_ID
from noisette.io.json_files import read_json
from noisette.io.lock import RunLock
from noisette.report.card import held_out_loss
from noisette.training import Progress, TrainOptions, train
from noisette.training.callbacks import TrainingStep
from noisette.training.metrics_log import MetricsLog
from noisette.training.plan import build_recipe, make_plan
from noisette.training.sample_sheets import SampleSheets
from noisette.training.trial_step import step_bytes

from .test_run import assert_same_run, losses, options, rows


class Crash(Exception):
    """Something that nobody foresaw."""


def crash_after(images: int):
    def watcher(progress: Progress) -> None:
        if progress.images >= images:
            raise Crash

    return watcher


@pytest.fixture(scope="module")
def whole(sprites: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing happened to."""
    out = tmp_path_factory.mktemp("whole") / "run"
    train(sprites, out, options())
    return out


@pytest.fixture(scope="module")
def crashed(sprites: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run, which came as far as 64 images and kept two checkpoints."""
    out = tmp_path_factory.mktemp("crashed") / "run"
    with pytest.raises(Crash):
        train(sprites, out, options(save_every=0.0), on_progress=crash_after(64))
    return out


@pytest.mark.slow
@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b[:-9] + b"?" + b[-8:]], ids=["cut", "flip"])
def test_a_damaged_checkpoint_is_passed_over_by_name(whole: Path, crashed: Path, sprites: Path, tmp_path: Path, damage):
    shutil.copytree(crashed, tmp_path / "run")
    before, newest = checkpoint.list_checkpoints(tmp_path / "run")
    victim = newest / "optimizer.safetensors"
    victim.write_bytes(damage(victim.read_bytes()))
    seen: list[Progress] = []
    train(sprites, tmp_path / "run", options(), on_progress=seen.append)
    assert newest.name in seen[0].notes[0] and "skipped" in seen[0].notes[0]
    assert seen[0].images == int(before.name) + 8
    assert_same_run(whole, tmp_path / "run")


@pytest.mark.slow
def test_a_bad_line_of_metrics_jsonl_is_named_and_skipped(whole: Path, crashed: Path, sprites: Path, tmp_path: Path):
    """It keeps no run from going on, and no page from being made."""
    shutil.copytree(crashed, tmp_path / "run")
    journal = tmp_path / "run" / "metrics.jsonl"
    lines = journal.read_bytes().split(b"\n")
    journal.write_bytes(b"\n".join([b"5", lines[0], b"\xb0" + lines[1][1:], *lines[2:]]))
    assert diagnose_run(tmp_path / "run") and held_out_loss(tmp_path / "run")
    seen: list[Progress] = []
    train(sprites, tmp_path / "run", options(), on_progress=seen.append)
    assert "metrics.jsonl: lines 1, 3 could not be read" in seen[0].notes[0]
    ours, theirs = load_file(tmp_path / "run/model/model.safetensors"), load_file(whole / "model/model.safetensors")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_what_is_not_finished_says_so_and_what_to_do(crashed: Path, tmp_path: Path):
    newest = checkpoint.list_checkpoints(crashed)[-1]
    with pytest.raises(InputError, match=f"not finished: continue it .*{newest}"):
        noisette.load(crashed)
    noisette.load(newest)
    shutil.copytree(crashed, tmp_path / "run")
    (tmp_path / "run" / "checkpoints" / newest.name / "ema.safetensors").write_bytes(b"")
    older = checkpoint.list_checkpoints(tmp_path / "run")[0]
    assert noisette.Run(tmp_path / "run").model.hash == noisette.load(older).hash
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    with pytest.raises(InputError, match="is a run that is not finished: continue it with the same noisette train"):
        noisette.load(tmp_path / "run")


def test_memory_that_does_not_suffice(sprites: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Foreseen, with the figure; or noticed when it happens. Both say what to lower."""
    with (
        pytest.raises(OutOfMemory, match=r"could not get another \d+ bytes\): lower it"),
        explain_out_of_memory("lower it"),
    ):
        torch.empty(1 << 60, dtype=torch.uint8)
    with pytest.raises(KeyError), explain_out_of_memory("lower it"):
        raise KeyError
    small = step_bytes(build_recipe("tiny", Dataset.open(trained(sprites, tmp_path)), options()), "fp32", 8)
    monkeypatch.setattr("noisette.training.trial_step.free_memory", lambda device: small - 1)
    with pytest.raises(OutOfMemory, match=r"step of 8 pictures of 8×8 needs .* lower --batch, raise --accumulate"):
        train(sprites, tmp_path / "more", options())
    auto = options(preset="auto", recipe=None, batch=None, images=10**7)
    with pytest.raises(OutOfMemory, match="step of 32 pictures"):
        make_plan(Dataset.open(tmp_path / "run"), auto, torch.device("cpu"), 1, None)


def trained(sprites: Path, tmp_path: Path) -> Path:
    train(sprites, tmp_path / "run", options(images=16))
    return tmp_path / "run"


def test_the_space_of_a_run_is_asked_for_before_its_first_step(
    sprites: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """All that it writes, checkpoints included; a run that is there needs less."""
    asked: list[int] = []
    monkeypatch.setattr("noisette.training.resume.require_space", lambda path, needed: asked.append(needed))
    train(sprites, tmp_path / "run", options(images=16, save_every=0.0))
    train(sprites, tmp_path / "run", options(images=16))
    written = sum(p.stat().st_size for p in (tmp_path / "run").rglob("*") if p.is_file())
    assert asked[0] > written and asked[1] < asked[0] - written / 2


def test_leftovers_of_a_kill_are_swept(sprites: Path, tmp_path: Path):
    train(sprites, tmp_path / "run", options(images=16))
    for folder in (".", "samples", "checkpoints", "data"):
        (tmp_path / "run" / folder / f"x.part-{2**22 + 1}-{HOST_ID}-0123abcd-0").write_bytes(b"half")
    train(sprites, tmp_path / "run", options(images=16))
    assert not list((tmp_path / "run").rglob("*.part-*"))


def test_two_runs_in_one_folder(sprites: Path, tmp_path: Path):
    with RunLock(tmp_path / "run"), pytest.raises(InputError, match="in use by process"):
        train(sprites, tmp_path / "run", options())
    train(sprites, tmp_path / "run", options(images=16))
    assert len(losses(tmp_path / "run")) == 2


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)]
    try:
        mounted = subprocess.run(words, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("cannot mount a small disk here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_one_sentence(sprites: Path, small_disk: Path):
    done = run("train", sprites, "--out", small_disk / "run", "--images", "16", *TINY)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert str(small_disk) in done.stderr
    assert not list(small_disk.rglob("*.part*"))


def test_metrics_that_cannot_be_written_are_one_sentence(tmp_path: Path):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no full device here")
    journal = MetricsLog(tmp_path / "metrics.jsonl", 0)
    journal.path = full
    with pytest.raises(InputError, match="cannot write /dev/full"):
        journal.write({"images": 8})


def test_sheets_of_what_a_run_has_not_done_yet_are_removed(sprites: Path, tmp_path: Path):
    """And the one that is due at the first step after is drawn."""
    train(sprites, tmp_path / "run", options(images=16))
    model, data = noisette.load(tmp_path / "run"), Dataset.open(tmp_path / "run")
    sheets = tmp_path / "run" / "samples"
    for path in sheets.iterdir():
        path.unlink()
    for images in (0, 160, 320, 480):
        (sheets / f"{images:09d}.png").write_bytes(b"a sheet")
    growth = SampleSheets(tmp_path / "run", model, data, 0, 320)
    assert sorted(int(p.stem) for p in sheets.iterdir()) == [0, 160, 320]
    growth(TrainingStep(328, 0.299, 0.301))  # of a mark, but hardly after the last one
    assert not (sheets / "000000328.png").exists()
    growth = SampleSheets(tmp_path / "run", model, data, 0, 392)
    growth(TrainingStep(400, 0.299, 0.301))
    assert (sheets / "000000400.png").exists()


def test_one_held_out_picture_tells_no_gap(sprites: Path, tmp_path: Path):
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted(sprites.rglob("*.png"))[:9]:
        (few / path.name).write_bytes(path.read_bytes())
    train(few, tmp_path / "run", options(images=16))
    assert len(Dataset.open(tmp_path / "run").held_out) == 1
    assert rows(tmp_path / "run", "train") and not rows(tmp_path / "run", "gap")


def test_a_config_of_a_newer_version(sprites: Path, tmp_path: Path):
    train(sprites, tmp_path / "run", options(images=16))
    path = tmp_path / "run" / "config.json"
    path.write_text(json.dumps(read_json(path) | {"format": 99}))
    with pytest.raises(InputError, match="newer Noisette"):
        train(sprites, tmp_path / "run", options(images=16))


def test_other_pictures_in_the_same_run(sprites: Path, tmp_path: Path):
    shutil.copytree(sprites, tmp_path / "mine")
    train(tmp_path / "mine", tmp_path / "run", options(images=16))
    next((tmp_path / "mine").rglob("*.png")).unlink()
    with pytest.raises(InputError, match=r"run|data"):
        train(tmp_path / "mine", tmp_path / "run", options(images=16))


def test_tensorboard_on_request(sprites: Path, tmp_path: Path):
    pytest.importorskip("tensorboard")
    train(sprites, tmp_path / "run", options(images=32, log="tensorboard"))
    assert list((tmp_path / "run").rglob("events.out.tfevents.*"))


def test_a_tracker_that_is_not_installed(sprites: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("noisette.training.run.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'noisette\[trackio\]'"):
        train(sprites, tmp_path / "run", TrainOptions(images=16, log="trackio"))


def test_a_source_that_is_none_leaves_no_folder_behind(tmp_path: Path):
    with pytest.raises(InputError):
        train(tmp_path / "nowhere", tmp_path / "run", options())
    assert not (tmp_path / "run").exists()
