"""noisette course: notebooks that Jupyter opens, kept where they exist; the rendered pages; and what is missing."""

import json
import sys
from pathlib import Path

import nbformat
import pytest

from noisette.course import list_chapters, notebooks, write_notebooks
from noisette.errors import InputError

CHAPTERS = list_chapters()
JUPYTER = """
import json, os, sys
json.dump([os.getcwd(), sys.argv[1:]], open("started.json", "w"))
sys.exit(3)
"""  # a Jupyter Lab that writes down how it was started


@pytest.fixture
def jupyter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m jupyterlab`, in processes too."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "jupyterlab.py").write_text(JUPYTER)
    monkeypatch.syspath_prepend(tmp_path / "bin")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "bin"))
    monkeypatch.delitem(sys.modules, "jupyterlab", raising=False)


def test_the_notebooks_are_valid_and_have_the_chapters_cells(call, tmp_path: Path) -> None:
    assert call("course", "--no-open", "--out", tmp_path / "course").code == 0
    paths = sorted((tmp_path / "course").iterdir())
    assert [path.name for path in paths] == [f"{chapter.path.stem}.ipynb" for chapter in CHAPTERS]
    for path, chapter in zip(paths, CHAPTERS, strict=True):
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
        assert code == [cell.rstrip("\n") for cell in chapter.code]
        assert notebook.metadata.kernelspec.name == "python3"
        assert any(cell.source.startswith(f"# {chapter.title}") for cell in notebook.cells)
    again = write_notebooks(tmp_path / "again")
    assert [path.read_bytes() for path in again.written] == [path.read_bytes() for path in paths] and not again.kept


def test_a_student_s_notebook_is_kept(call, tmp_path: Path) -> None:
    folder, name = tmp_path / "course", f"{CHAPTERS[0].path.stem}.ipynb"
    folder.mkdir()
    (folder / name).write_text("my answers")
    result = call("course", 1, "--no-open", "--out", folder)
    assert result.code == 0 and "kept 1 notebook" in result.out
    assert (folder / name).read_text() == "my answers" and len(list(folder.iterdir())) == 1


def test_one_chapter_alone(call, tmp_path: Path) -> None:
    number = CHAPTERS[-1].number
    call("course", number, "--no-open", "--out", tmp_path / "course")
    assert [path.stem for path in (tmp_path / "course").iterdir()] == [CHAPTERS[-1].path.stem]


def test_what_cannot_be_done_is_said(refused, tmp_path: Path) -> None:
    assert "there is no chapter 77: give one of 1" in refused("course", 77, "--out", tmp_path / "x")
    (tmp_path / "file").write_text("")
    assert "file" in refused("course", "--no-open", "--out", tmp_path / "file")
    assert not (tmp_path / "x").exists()


def test_jupyter_is_started_in_the_folder(call, jupyter, tmp_path: Path) -> None:
    folder = tmp_path / "course"
    assert call("course", 1, "--out", folder).code == 3  # the exit code of Jupyter
    place, words = json.loads((folder / "started.json").read_text())
    assert Path(place).resolve() == folder.resolve() and words == [f"{CHAPTERS[0].path.stem}.ipynb"]


def test_without_jupyter_the_rendered_pages_are_opened(call, refused, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "jupyterlab", None)
    monkeypatch.setattr("noisette.cli.course.find_spec", lambda name: None)
    opened: list[str] = []
    monkeypatch.setattr("typer.launch", lambda address: opened.append(address) or 0)
    monkeypatch.setattr(notebooks, "RENDERED", (tmp_path / "none", tmp_path / "site"))
    assert "pip install 'noisette[course]'" in refused("course", "--out", tmp_path / "x") and not opened
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "course.html").write_text("")
    assert call("course", "--out", tmp_path / "x").code == 0
    assert call("course", 1, "--out", tmp_path / "x").code == 0
    assert opened == [
        (tmp_path / "site" / "course.html").as_uri(),
        (tmp_path / "site" / "course" / f"{CHAPTERS[0].path.stem}.html").as_uri(),
    ]
    assert not (tmp_path / "x").exists()


def test_jupytext_is_named_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jupytext", None)
    with pytest.raises(InputError, match=r"notebooks need jupytext.*noisette\[course\]"):
        write_notebooks(tmp_path / "course")
    assert not (tmp_path / "course").exists()
