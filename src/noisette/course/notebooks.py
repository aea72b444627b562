"""The chapters as Jupyter notebooks in a student's folder, and the rendered pages where the installation has them."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..io.files import atomic_write
from .chapters import Chapter, list_chapters

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
RENDERED = (  # where `make docs` puts the pages: in a wheel (hatch_build.py), in a clone
    Path(__file__).parent / "site",
    Path(__file__).parents[3] / "build" / "docs",
)


@dataclass(frozen=True)
class NotebookFolder:
    """The notebooks of a folder: those that were written now, and those that were there and stayed as they were."""

    written: list[Path]
    kept: list[Path]


def write_notebooks(folder: str | Path, numbers: Collection[int] = ()) -> NotebookFolder:
    """Write chapters of the course as notebooks without outputs, NN-NAME.ipynb. A file that exists is kept.

    folder: existing or new. numbers: of the chapters, from 1; all by default. Each file is written atomically. Raises
    InputError for a chapter that does not exist, and where jupytext is not installed.
    """
    chapters = [find_chapter(number) for number in numbers] or list_chapters()
    result = NotebookFolder([], [])
    for chapter in chapters:
        path = Path(folder) / f"{chapter.path.stem}.ipynb"
        if path.exists():
            result.kept.append(path)
            continue
        atomic_write(path, to_notebook(chapter))
        result.written.append(path)
    return result


def find_chapter(number: int) -> Chapter:
    """The chapter of that number. Raises InputError where there is none."""
    chapters = {chapter.number: chapter for chapter in list_chapters()}
    if number not in chapters:
        raise InputError(f"there is no chapter {number}: give one of {', '.join(map(str, chapters))}")
    return chapters[number]


def to_notebook(chapter: Chapter) -> bytes:
    """The .ipynb file of a chapter: the same bytes each time. Raises InputError where jupytext is not installed."""
    try:
        import jupytext
    except ImportError as missing:
        raise InputError("notebooks need jupytext, which is not installed: pip install 'noisette[course]'") from missing
    notebook: Any = jupytext.reads(chapter.path.read_text(encoding="utf-8"), fmt="md:myst")
    notebook.metadata.kernelspec = KERNEL
    for number, cell in enumerate(notebook.cells, 1):
        cell["id"] = f"cell-{number}"
    return str(jupytext.writes(notebook, fmt="ipynb")).encode()


def find_pages() -> Path | None:
    """The folder of the rendered site, with course.html; None where this installation has none."""
    return next((folder for folder in RENDERED if (folder / "course.html").is_file()), None)
