"""Every chapter runs from top to bottom, at small size; code cells are all that runs, and all of them run."""

import ast
import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from noisette.course import Chapter, list_chapters

CHAPTERS = list_chapters()


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In a folder of its own, at small size, leaving no global state behind."""
    import matplotlib.pyplot as plt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOISETTE_COURSE_SIZE", "small")
    with torch.random.fork_rng([]), torch.enable_grad():  # chapters may switch gradients off
        yield
    plt.close("all")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.path.stem)
def test_the_chapter_runs(chapter: Chapter, alone: None) -> None:
    names: dict[str, object] = {"__name__": "__main__"}
    for number, cell in enumerate(chapter.code, 1):
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(cell, f"{chapter.path.name}, cell {number}", "exec"), names)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.path.stem)
def test_the_text_of_a_chapter(chapter: Chapter) -> None:
    """All fenced Python is a code cell, which is run; two to four exercises are asked."""
    text = chapter.path.read_text(encoding="utf-8")
    assert len(chapter.code) == text.count("```{code-cell}")
    assert not re.search(r"^```(python|py)$", text, re.M)
    assert 2 <= len(set(re.findall(r'check\("([^"]+)"', text))) <= 4
    assert "kernelspec" in text.split("# ")[0]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.path.stem)
def test_the_code_of_a_chapter(chapter: Chapter) -> None:
    """Every import is used; no line is longer than 120 characters."""
    code = "\n".join(chapter.code)
    tree = list(ast.walk(ast.parse(code)))
    imported = {
        (alias.asname or alias.name).split(".")[0]
        for node in tree
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert imported <= {node.id for node in tree if isinstance(node, ast.Name)}
    assert max(map(len, code.splitlines())) <= 120
