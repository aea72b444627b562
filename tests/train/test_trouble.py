"""What goes wrong around a run: damage, a full disk, two at once, a newer version, a tracker that is not there."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import noisette
from commands import TINY, run
from noisette import checkpoint
from noisette.data import Dataset
from noisette.errors import InputError
from noisette.lock import RunLock
from noisette.train import Progress, TrainOptions, train
from noisette.train.growth import Growth
from noisette.train.journal import Journal
from noisette.train.observer import Moment

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
        train(sprites, out, options(save_every=0.0), watcher=crash_after(64))
    return out


@pytest.mark.slow
@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b[:-9] + b"?" + b[-8:]], ids=["cut", "flip"])
def test_a_damaged_checkpoint_is_passed_over_by_name(whole: Path, crashed: Path, sprites: Path, tmp_path: Path, damage):
    shutil.copytree(crashed, tmp_path / "run")
    before, newest = checkpoint.checkpoints(tmp_path / "run")
    victim = newest / "optimizer.safetensors"
    victim.write_bytes(damage(victim.read_bytes()))
    seen: list[Progress] = []
    train(sprites, tmp_path / "run", options(), watcher=seen.append)
    assert newest.name in seen[0].notes[0] and "skipped" in seen[0].notes[0]
    assert seen[0].images == int(before.name) + 8
    assert_same_run(whole, tmp_path / "run")


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


def test_a_journal_that_cannot_be_written_is_one_sentence(tmp_path: Path):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no full device here")
    journal = Journal(tmp_path / "metrics.jsonl", 0)
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
    growth = Growth(tmp_path / "run", model, data, 0, 320)
    assert sorted(int(p.stem) for p in sheets.iterdir()) == [0, 160, 320]
    growth(Moment(328, 0.299, 0.301))  # of a mark, but hardly after the last one
    assert not (sheets / "000000328.png").exists()
    growth = Growth(tmp_path / "run", model, data, 0, 392)
    growth(Moment(400, 0.299, 0.301))
    assert (sheets / "000000400.png").exists()


def test_one_held_out_picture_tells_no_gap(sprites: Path, tmp_path: Path):
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted(sprites.rglob("*.png"))[:9]:
        (few / path.name).write_bytes(path.read_bytes())
    train(few, tmp_path / "run", options(images=16))
    assert len(Dataset.open(tmp_path / "run").held_out) == 1
    assert rows(tmp_path / "run", "seen") and not rows(tmp_path / "run", "gap")


def test_a_config_of_a_newer_version(sprites: Path, tmp_path: Path):
    train(sprites, tmp_path / "run", options(images=16))
    path = tmp_path / "run" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
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
    monkeypatch.setattr("noisette.train.run.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'noisette\[trackio\]'"):
        train(sprites, tmp_path / "run", TrainOptions(images=16, log="trackio"))


def test_a_source_that_is_none_leaves_no_folder_behind(tmp_path: Path):
    with pytest.raises(InputError):
        train(tmp_path / "nowhere", tmp_path / "run", options())
    assert not (tmp_path / "run").exists()
