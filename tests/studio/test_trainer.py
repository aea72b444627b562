import io
import json
import os
import platform
import signal
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

from noisette import checkpoint
from noisette.errors import InputError
from noisette.lock import RunLock, held_by
from noisette.studio import uploads
from noisette.studio.trainer import Job, Trainer
from noisette.studio.uploads import cleared, taken_in
from noisette.studio.workspace import Workspace


def picture(path: Path, colour: str = "red") -> Path:
    Image.new("RGB", (8, 8), colour).save(path)
    return path


def test_uploads_have_names_of_our_own(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "runs")
    evil = picture(tmp_path / "..%2f..%2fevil;.png")
    folder = taken_in(workspace, [evil, picture(tmp_path / "b.png", "blue")])
    assert folder.parent == workspace.own / "uploads"
    assert [p.name for p in sorted(folder.iterdir())] == ["00000.png", "00001.png"]
    assert taken_in(workspace, [evil, tmp_path / "b.png"]) == folder  # the same again
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as packed:
        packed.write(evil, "a/b.png")
    (tmp_path / "no ending").write_bytes(data.getvalue())
    found = taken_in(workspace, [tmp_path / "no ending"])
    assert found.suffix == ".zip" and found.parent == folder.parent and found.read_bytes() == data.getvalue()


def test_uploads_that_are_nothing_or_too_much_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Workspace(tmp_path / "runs")
    (tmp_path / "a.py").write_text("x")
    with pytest.raises(InputError, match="is no picture"):
        taken_in(workspace, [tmp_path / "a.py"])
    with pytest.raises(InputError, match="nothing was uploaded"):
        taken_in(workspace, [])
    monkeypatch.setattr(uploads, "LARGEST", 10)
    with pytest.raises(InputError, match="too large"):
        taken_in(workspace, [picture(tmp_path / "a.png")])
    assert not workspace.own.exists() or list((workspace.own).rglob("*.p*")) == []


def test_uploads_that_no_run_needs_are_removed(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "runs")
    trainer = Trainer(workspace)
    places = [taken_in(workspace, [picture(tmp_path / f"{c}.png", c)]) for c in ("red", "blue", "green", "black")]
    for name, place in zip(("stopped", "finished", "gone"), places, strict=False):
        (workspace.own / f"{name}.json").write_text(json.dumps(asdict(Job(str(place), 1.0))))
    for name in ("stopped", "finished"):
        (workspace.folder / name).mkdir()
        (workspace.folder / name / "data.json").write_text("{}")
    (workspace.folder / "finished" / "model").mkdir()
    (workspace.folder / "finished" / "model" / "config.json").write_text("{}")
    (workspace.own / "damaged.json").write_text("{")
    cleared(workspace, trainer.needed())
    assert all(p.exists() for p in places)  # somebody may still look at them
    cleared(workspace, trainer.needed(), older=0)
    assert [p.exists() for p in places] == [True, False, False, False]
    cleared(Workspace(tmp_path / "none"), set(), older=0)


def test_a_job_is_a_command(tmp_path: Path) -> None:
    words = Job("emoji", 1.5, size=16, flip=True).command(tmp_path / "x")
    assert words[1:] == [
        "-m", "noisette", "train", "emoji", "--out", str(tmp_path / "x"), "--for", "90s", "--json",
        "--preset", "auto", "--size", "16", "--flip",
    ]  # fmt: skip
    for minutes in (0.0, -1.0, 1e6):
        with pytest.raises(InputError, match="minutes"):
            Job("emoji", minutes)


def test_what_was_not_started_here_is_not_touched(tmp_path: Path) -> None:
    trainer = Trainer(Workspace(tmp_path))
    for wrong in (
        lambda: trainer.stop("x"),
        lambda: trainer.resume("x"),
        lambda: trainer.start("../x", Job("emoji", 1.0)),
    ):
        with pytest.raises(InputError):
            wrong()
    with pytest.raises(InputError, match="no name of a run"):
        trainer.resume("../x")
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_fails_says_why(tmp_path: Path) -> None:
    """The source has gone between the look at it and the start."""
    trainer = Trainer(Workspace(tmp_path))
    trainer.start("mine", Job(str(tmp_path / "gone"), 1.0))
    assert trainer.processes["mine"].wait(60) == 2
    standing = trainer.standing("mine")
    assert standing.state == "failed" and "no source is called" in standing.words


START = """
import sys, time
from pathlib import Path
from noisette.studio.trainer import Job, Trainer
from noisette.studio.workspace import Workspace
Trainer(Workspace(Path(sys.argv[1]))).start("mine", Job(sys.argv[2], 30.0, "tiny"))
print("started", flush=True)
time.sleep(600)
"""
posix = pytest.mark.skipif(os.name == "nt", reason="processes there are told to end in other ways")


def until(true: Callable[[], bool], seconds: float = 180) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


@pytest.mark.slow
@posix
def test_a_run_whose_studio_was_killed_is_stopped_by_the_next(tmp_path: Path) -> None:
    source, runs = tmp_path / "pictures", tmp_path / "runs"
    source.mkdir()
    for i in range(16):
        Image.new("RGB", (8, 8), (16 * i, 255 - 16 * i, 99)).save(source / f"{i}.png")
    with subprocess.Popen([sys.executable, "-c", START, runs, source], stdout=subprocess.PIPE) as studio:
        assert studio.stdout is not None and studio.stdout.readline() == b"started\n"
        studio.kill()
    trainer = Trainer(Workspace(runs))
    until(lambda: held_by(runs / "mine") is not None)
    run = held_by(runs / "mine")
    assert run is not None
    try:
        assert trainer.standing("mine").state == "training"
        until(lambda: trainer.standing("mine").progress.get("images", 0) > 0)
        with pytest.raises(InputError, match="mine is being trained: stop it first"):
            trainer.start("other", Job(str(source), 1.0))
        with pytest.raises(InputError, match="mine is being trained already"):
            trainer.resume("mine")
        trainer.stop("mine")
        trainer.stop("mine")  # it is asked once
        until(lambda: trainer.standing("mine").state != "stopping")
        assert trainer.standing("mine").state == "stopped"
        assert not (runs / "mine" / "lock").exists() and checkpoint.latest(runs / "mine") is not None
        with pytest.raises(InputError, match="is not being trained"):
            trainer.stop("mine")
    finally:
        if run.is_running():
            run.kill()


@posix
def test_nobody_else_is_told_to_end(tmp_path: Path) -> None:
    """A lock that is held, and that names a living process which is not its holder; and a run that was not started
    here."""
    trainer = Trainer(Workspace(tmp_path))
    trainer.workspace.own.mkdir()
    (trainer.workspace.own / "mine.json").write_text(json.dumps(asdict(Job("emoji", 1.0))))
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as other:
        try:
            told = {"pid": other.pid, "host": platform.node(), "since": "then"}
            real = psutil.Process(other.pid).create_time()
            for name, started in (("mine", real - 60), ("foreign", real)):
                with RunLock(tmp_path / name):
                    (tmp_path / name / "lock").write_text(json.dumps(told | {"started": started}))
                    with pytest.raises(InputError, match="is not being trained from here"):
                        trainer.stop(name)
            with pytest.raises(subprocess.TimeoutExpired):
                other.wait(0.5)
            with RunLock(tmp_path / "mine"):  # and it would have ended, were it the holder
                (tmp_path / "mine" / "lock").write_text(json.dumps(told | {"started": real}))
                trainer.stop("mine")
            assert other.wait(30) == -signal.SIGTERM
        finally:
            other.kill()
