import io
import json
import zipfile
from dataclasses import asdict
from pathlib import Path

import pytest
from PIL import Image

from noisette.errors import InputError
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
