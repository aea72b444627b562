import shutil
from pathlib import Path

import pytest
import torch

from noisette.errors import InputError
from noisette.studio.workspace import Workspace


@pytest.fixture
def workspace(workspace: Path, tmp_path: Path) -> Path:
    """A copy, since others train in that one."""
    for name in ("runs/tiny", "runs/grey", "runs/squares", "outside"):
        shutil.copytree(workspace.parent / name, tmp_path / "copy" / name)
    return tmp_path / "copy" / "runs"


def test_names_are_looked_up_and_never_paths(workspace: Path) -> None:
    found = Workspace(workspace)
    assert found.models() == ["grey", "tiny"] and found.runs() == [] and found.sources() == ["squares"]
    assert found.model("tiny").pictures.width == 16
    assert found.model("tiny") is found.model("tiny")
    for name in ("../outside", str(workspace.parent / "outside"), "tiny/../../outside", ".", "..", "", "secret.txt"):
        with pytest.raises(InputError, match="no model is called"):
            found.model(name)
        with pytest.raises(InputError):
            found.new(name if name not in ("",) else "a/b")
    with pytest.raises(InputError, match="no run is called 'tiny'"):
        found.run("tiny")
    with pytest.raises(InputError, match="holds no model"):
        found.model("squares")
    with pytest.raises(InputError, match="already"):
        found.new("tiny")
    assert found.new("my run 2") == workspace / "my run 2"


def test_a_link_that_leads_out_is_not_there(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "away").symlink_to(workspace / "tiny")
    assert Workspace(tmp_path / "runs").models() == []


def test_what_was_given_is_first_wherever_it_lies(workspace: Path) -> None:
    found = Workspace(workspace, workspace.parent / "outside")
    assert found.models() == ["outside", "grey", "tiny"]
    assert found.model("outside").pictures.width == 8


def test_a_workspace_need_not_exist(tmp_path: Path) -> None:
    assert Workspace(tmp_path / "none").models() == []


def test_directions_of_what_a_model_was_before_do_not_keep_it_from_being_chosen(workspace: Path) -> None:
    from noisette.edit.directions import save
    from noisette.edit.hspace import Direction
    from noisette.studio.slide import Sliding

    found = Workspace(workspace)
    save(
        workspace / "tiny" / "directions.safetensors", [Direction("1", torch.ones(1), torch.ones(1, 8, 4, 4))], "0", ""
    )
    words, label, *sliders = Sliding(found).chosen("tiny")
    assert "another model" in words and "sword" in label["choices"] and not any(s["visible"] for s in sliders)


def test_runs_of_any_name_are_shown_and_others_are_not_there(workspace: Path) -> None:
    from noisette.studio.trainer import Trainer

    shutil.copytree(workspace / "tiny", workspace / "emoji-v1.2" / "model")
    (workspace / "emoji-v1.2" / "data.json").write_text("{}")
    trainer = Trainer(Workspace(workspace))
    assert trainer.standing("emoji-v1.2").state == "finished"
    for name in ("mien", "../outside", "a/b"):
        with pytest.raises(InputError, match="no run is called"):
            trainer.standing(name)


def test_models_that_come_along_are_last_and_hide_nothing(workspace: Path) -> None:
    away = workspace.parent / "outside"
    found = Workspace(workspace, beside={"shipped": away, "tiny": away})
    assert found.models() == ["grey", "tiny", "shipped"] and found.runs() == []
    assert (found.model("shipped").pictures.width, found.model("tiny").pictures.width) == (8, 16)
