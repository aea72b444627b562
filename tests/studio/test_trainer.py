import io
import json
import os
import platform
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest
from PIL import Image

from noisette.errors import InputError
from noisette.io import checkpoint
from noisette.io.lock import RunLock, find_owner
from noisette.studio import uploads
from noisette.studio.report import render_status
from noisette.studio.trainer import Trainer, TrainingJob
from noisette.studio.uploads import remove_unused, store_upload
from noisette.studio.workspace import Workspace


def picture(path: Path, color: str = "red") -> Path:
    Image.new("RGB", (8, 8), color).save(path)
    return path


def test_uploads_are_stored_under_safe_names(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "runs")
    evil = picture(tmp_path / "..%2f..%2fevil*.png")
    (tmp_path / "other").mkdir()
    files = [evil, picture(tmp_path / "b.tif", "blue"), picture(tmp_path / "other" / "B.tif")]
    folder = store_upload(workspace, files)
    assert folder.parent == workspace.studio_folder / "uploads"
    assert [p.name for p in sorted(folder.iterdir())] == ["-2f..-2fevil-.png", "B-2.tif", "b.tif"]
    assert store_upload(workspace, files) == folder  # the same files again: the same folder
    assert workspace.studio_folder.stat().st_mode & 0o777 == 0o700
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as packed:
        packed.write(evil, "a/b.png")
    (tmp_path / "no ending").write_bytes(data.getvalue())
    found = store_upload(workspace, [tmp_path / "no ending"])
    assert found.name == "no ending.zip" and found.parent.parent == folder.parent
    assert found.read_bytes() == data.getvalue()


def test_empty_unknown_and_too_large_uploads_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Workspace(tmp_path / "runs")
    (tmp_path / "a.py").write_text("x")
    with pytest.raises(InputError, match="is not a picture by its name"):
        store_upload(workspace, [tmp_path / "a.py"])
    with pytest.raises(InputError, match="no files were uploaded"):
        store_upload(workspace, [])
    monkeypatch.setattr(uploads, "MAX_UPLOAD_BYTES", 10)
    with pytest.raises(InputError, match="too large"):
        store_upload(workspace, [picture(tmp_path / "a.png")])
    assert not workspace.studio_folder.exists() or list((workspace.studio_folder).rglob("*.p*")) == []


def test_unused_uploads_are_removed(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "runs")
    trainer = Trainer(workspace)
    places = [store_upload(workspace, [picture(tmp_path / f"{c}.png", c)]) for c in ("red", "blue", "green", "black")]
    for name, place in zip(("stopped", "finished", "gone"), places, strict=False):
        (workspace.studio_folder / f"{name}.json").write_text(json.dumps(asdict(TrainingJob(str(place), 1.0))))
    for name in ("stopped", "finished"):
        (workspace.folder / name).mkdir()
        (workspace.folder / name / "data.json").write_text("{}")
    (workspace.folder / "finished" / "model").mkdir()
    (workspace.folder / "finished" / "model" / "config.json").write_text("{}")
    (workspace.studio_folder / "damaged.json").write_text("{")
    remove_unused(workspace, trainer.list_used_sources())
    assert all(p.exists() for p in places)  # too new to be removed
    remove_unused(workspace, trainer.list_used_sources(), min_age=0)
    assert [p.exists() for p in places] == [True, False, False, False]
    remove_unused(Workspace(tmp_path / "none"), set(), min_age=0)


def test_training_job_as_a_command(tmp_path: Path) -> None:
    words = TrainingJob("emoji", 1.5, size=16, flip=True).command(tmp_path / "x")
    assert words[1:] == [
        "-m", "noisette", "train", "emoji", "--out", str(tmp_path / "x"), "--for", "90s", "--json",
        "--preset", "auto", "--size", "16", "--flip",
    ]  # fmt: skip
    assert TrainingJob("emoji", 1.5, start_from="none").command(tmp_path)[-2:] == ["--from", "none"]
    for minutes in (0.0, -1.0, 1e6):
        with pytest.raises(InputError, match="minutes"):
            TrainingJob("emoji", minutes)


def test_unknown_runs_cannot_be_stopped_or_resumed(tmp_path: Path) -> None:
    trainer = Trainer(Workspace(tmp_path))
    for wrong in (
        lambda: trainer.stop("x"),
        lambda: trainer.resume("x"),
        lambda: trainer.start("../x", TrainingJob("emoji", 1.0)),
    ):
        with pytest.raises(InputError):
            wrong()
    with pytest.raises(InputError, match="not a valid run name"):
        trainer.resume("../x")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_run_reports_the_error(tmp_path: Path) -> None:
    """The source was removed before the start."""
    trainer = Trainer(Workspace(tmp_path))
    trainer.start("mine", TrainingJob(str(tmp_path / "gone"), 1.0))
    assert trainer.processes["mine"].wait(60) == 2
    standing = trainer.get_status("mine")
    assert standing.state == "failed" and "no source is called" in standing.message


START = """
import sys, time
from pathlib import Path
from noisette.studio.report import render_status
from noisette.studio.trainer import Trainer, TrainingJob
from noisette.studio.workspace import Workspace
Trainer(Workspace(Path(sys.argv[1]))).start("mine", TrainingJob(sys.argv[2], 30.0, "tiny"))
print("started", flush=True)
time.sleep(600)
"""


def until(true: Callable[[], bool], seconds: float = 180) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


@pytest.mark.slow
def test_the_next_studio_can_stop_a_run_of_a_killed_one(tmp_path: Path) -> None:
    source, runs = tmp_path / "pictures", tmp_path / "runs"
    source.mkdir()
    for i in range(16):
        Image.new("RGB", (8, 8), (16 * i, 255 - 16 * i, 99)).save(source / f"{i}.png")
    with subprocess.Popen([sys.executable, "-c", START, runs, source], stdout=subprocess.PIPE) as studio:
        assert studio.stdout is not None and studio.stdout.readline() == b"started\n"
        studio.kill()
    trainer = Trainer(Workspace(runs))
    until(lambda: find_owner(runs / "mine") is not None)
    run = find_owner(runs / "mine")
    assert run is not None
    try:
        assert trainer.get_status("mine").state == "training"
        until(lambda: trainer.get_status("mine").progress.get("images", 0) > 0)
        assert re.fullmatch(
            r"mine: training, [\d,]+ of [\d,]+ images, \d+ per second, [\d.]+ minutes left",
            render_status(trainer.get_status("mine")),
        )
        with pytest.raises(InputError, match="mine is being trained: stop it first"):
            trainer.start("other", TrainingJob(str(source), 1.0))
        with pytest.raises(InputError, match="mine is already being trained"):
            trainer.resume("mine")
        trainer.stop("mine")
        trainer.stop("mine")  # a second request has no effect
        until(lambda: trainer.get_status("mine").state != "stopping")
        assert trainer.get_status("mine").state == "stopped"
        assert not (runs / "mine" / "lock").exists() and checkpoint.find_latest(runs / "mine") is not None
        with pytest.raises(InputError, match="is not being trained"):
            trainer.stop("mine")
    finally:
        if run.is_running():
            run.kill()


HOLDER = """
import sys, time
from noisette.training.progress import StopSignals
from noisette.training.stop_file import interrupt_on_stop_file
with interrupt_on_stop_file(sys.argv[1]), StopSignals() as stop:
    print("waiting", flush=True)
    while not stop.signal_number:
        time.sleep(0.05)
    time.sleep(1)  # a second interrupt would end the process here
    print("saved", stop.signal_number, flush=True)
"""


@pytest.fixture
def no_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system such as Windows, which cannot send SIGINT and SIGTERM to other processes."""

    def refuse(process: object, number: int) -> None:
        raise ValueError(f"Unsupported signal: {number}")

    monkeypatch.setattr(subprocess.Popen, "send_signal", refuse)
    monkeypatch.setattr(psutil.Process, "send_signal", refuse)
    monkeypatch.setattr(os, "kill", refuse)


def test_only_the_process_that_holds_the_lock_is_stopped(tmp_path: Path, no_signals: None) -> None:
    """Not stopped: a running process that the lock names but that does not hold it, and a run that the studio did not
    start. The holder is stopped once, without signals, and can save."""
    trainer = Trainer(Workspace(tmp_path))
    folder, stop_file = trainer.workspace.studio_folder, trainer.workspace.studio_folder / "mine.stop"
    folder.mkdir()
    (folder / "mine.json").write_text(json.dumps(asdict(TrainingJob("emoji", 1.0))))
    with subprocess.Popen([sys.executable, "-c", HOLDER, stop_file], stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout is not None and other.stdout.readline() == b"waiting\n"
            owner = {"pid": other.pid, "host": platform.node(), "since": "then"}
            started = psutil.Process(other.pid).create_time()
            for name, recorded in (("mine", started - 60), ("foreign", started)):
                with RunLock(tmp_path / name):
                    (tmp_path / name / "lock").write_text(json.dumps(owner | {"started": recorded}))
                    with pytest.raises(InputError, match="is not being trained by the studio"):
                        trainer.stop(name)
            assert list(folder.glob("*.stop")) == []
            with pytest.raises(subprocess.TimeoutExpired):
                other.wait(0.5)
            with RunLock(tmp_path / "mine"):  # now it is recorded as the holder
                (tmp_path / "mine" / "lock").write_text(json.dumps(owner | {"started": started}))
                trainer.stop("mine")
                until(lambda: not stop_file.exists())
                trainer.stop("mine")
                Trainer(trainer.workspace).stop("mine")  # another studio, which does not know of the first request
            assert other.stdout.readline() == b"saved 2\n" and other.wait(30) == 0
        finally:
            if other.poll() is None:
                stop_file.touch()


def test_closing_the_studio_stops_its_runs(tmp_path: Path, no_signals: None) -> None:
    trainer = Trainer(Workspace(tmp_path))
    trainer.workspace.studio_folder.mkdir()
    stop_file = trainer.workspace.studio_folder / "mine.stop"
    child = subprocess.Popen([sys.executable, "-c", HOLDER, stop_file], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline() == "waiting\n"
    trainer.processes["mine"] = child  # type: ignore[assignment]
    trainer.close()
    assert child.returncode == 0 and child.stdout.read() == "saved 2\n"


def test_an_old_stop_file_does_not_stop_a_new_run(tmp_path: Path) -> None:
    trainer = Trainer(Workspace(tmp_path))
    trainer.workspace.studio_folder.mkdir()
    (trainer.workspace.studio_folder / "mine.stop").touch()
    trainer.start("mine", TrainingJob(str(tmp_path / "gone"), 1.0))
    assert not (trainer.workspace.studio_folder / "mine.stop").exists()
    assert trainer.processes["mine"].wait(60) == 2
