import shutil
from pathlib import Path

import pytest
import torch

from noisette.errors import InputError
from noisette.studio.train_tab import TrainTab
from noisette.studio.trainer import Trainer
from noisette.studio.workspace import Workspace


@pytest.fixture
def workspace(workspace: Path, tmp_path: Path) -> Path:
    """A copy, because other tests train in the shared workspace."""
    for name in ("runs/tiny", "runs/gray", "runs/squares", "outside"):
        shutil.copytree(workspace.parent / name, tmp_path / "copy" / name)
    return tmp_path / "copy" / "runs"


def test_names_are_never_used_as_paths(workspace: Path) -> None:
    found = Workspace(workspace)
    assert found.list_models() == ["gray", "tiny"] and found.list_runs() == [] and found.list_sources() == ["squares"]
    assert found.load_model("tiny").pictures.width == 16
    assert found.load_model("tiny") is found.load_model("tiny")
    for name in ("../outside", str(workspace.parent / "outside"), "tiny/../../outside", ".", "..", "", "secret.txt"):
        with pytest.raises(InputError, match="no model is called"):
            found.load_model(name)
        with pytest.raises(InputError):
            found.new_run_folder(name if name not in ("",) else "a/b")
    with pytest.raises(InputError, match="no run is called 'tiny'"):
        found.find_run("tiny")
    with pytest.raises(InputError, match="has no model"):
        found.load_model("squares")
    with pytest.raises(InputError, match="already"):
        found.new_run_folder("tiny")
    assert found.new_run_folder("my run 2") == workspace / "my run 2"


def test_links_out_of_the_workspace_are_not_listed(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "away").symlink_to(workspace / "tiny")
    assert Workspace(tmp_path / "runs").list_models() == []


def test_a_model_given_by_path_is_listed_first(workspace: Path) -> None:
    found = Workspace(workspace, workspace.parent / "outside")
    assert found.list_models() == ["outside", "gray", "tiny"]
    assert found.load_model("outside").pictures.width == 8


def test_a_workspace_need_not_exist(tmp_path: Path) -> None:
    assert Workspace(tmp_path / "none").list_models() == []


def test_outdated_directions_do_not_prevent_selecting_a_model(workspace: Path) -> None:
    from noisette.edit.hspace import Direction, save_directions
    from noisette.studio.sliders_tab import SlidersTab

    found = Workspace(workspace)
    save_directions(
        workspace / "tiny" / "directions.safetensors", [Direction("1", torch.ones(1), torch.ones(1, 8, 4, 4))], "0", ""
    )
    words, label, *sliders = SlidersTab(found).select_model("tiny")
    assert "another model" in words and "sword" in label["choices"] and not any(s["visible"] for s in sliders)


def test_existing_runs_are_found_and_others_refused(workspace: Path) -> None:
    shutil.copytree(workspace / "tiny", workspace / "emoji-v1.2" / "model")
    (workspace / "emoji-v1.2" / "data.json").write_text("{}")
    trainer = Trainer(Workspace(workspace))
    assert trainer.get_status("emoji-v1.2").state == "finished"
    for name in ("mien", "../outside", "a/b"):
        with pytest.raises(InputError, match="no run is called"):
            trainer.get_status(name)


def test_shipped_models_are_last_and_hide_no_other(workspace: Path) -> None:
    away = workspace.parent / "outside"
    found = Workspace(workspace, shipped={"shipped": away, "tiny": away})
    assert found.list_models() == ["gray", "tiny", "shipped"] and found.list_runs() == []
    assert (found.load_model("shipped").pictures.width, found.load_model("tiny").pictures.width) == (8, 16)


def test_runs_start_from_models_of_the_workspace_and_of_the_package(workspace: Path) -> None:
    """Those of the package by their names, so that no run holds the path of an installation."""
    both = Workspace(workspace, shipped={"base-16": workspace.parent / "outside"})
    tab = TrainTab(both, Trainer(both))
    starts = tab.list_starts()
    assert starts[0] == "automatic" and starts[-2:] == ["base-16", "none: from scratch"]
    assert "tiny" in starts and "squares" not in starts
    assert [tab.resolve_start(name) for name in ("automatic", "none: from scratch", "base-16")] == [
        None,
        "none",
        "base-16",
    ]
    assert tab.resolve_start("tiny") == str(workspace / "tiny")
    for wrong in ("squares", "../outside", "none", str(workspace / "tiny")):
        with pytest.raises(InputError, match="no model to start from is called"):
            tab.resolve_start(wrong)
