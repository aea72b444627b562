"""noisette course: the course's notebooks in Jupyter, or its rendered pages."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError
from .terminal import print_paths


def course(
    chapter: Annotated[
        int | None, typer.Argument(help="Number of a chapter, from 1. Default: all chapters.", show_default=False)
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the notebooks. Files that exist are kept as they are.")] = Path(
        "noisette-course"
    ),
    open_jupyter: Annotated[
        bool, typer.Option("--open/--no-open", help="Start Jupyter Lab in the folder, or only write the notebooks.")
    ] = True,
) -> None:
    """Open the course "How a small model learns to draw": twelve notebooks, with exercises that check themselves.

    Writes the notebooks and starts Jupyter Lab, which pip install 'noisette[course]' installs. Without Jupyter, opens
    the rendered pages in the browser, if this installation has them. Nothing is fetched.
    """
    from ..course.chapters import list_chapters
    from ..course.notebooks import find_chapter, find_pages, write_notebooks

    chosen = find_chapter(chapter) if chapter is not None else list_chapters()[0]
    if open_jupyter and not (find_spec("jupyterlab") and find_spec("jupytext")):
        pages = find_pages()
        if pages is None:
            raise InputError("the course needs Jupyter, which is not installed: pip install 'noisette[course]'")
        page = pages / ("course.html" if chapter is None else f"course/{chosen.path.stem}.html")
        typer.echo(f"Jupyter is not installed, so these are the rendered pages: {page}")
        typer.launch(page.as_uri())
        return
    notebooks = write_notebooks(out, () if chapter is None else (chapter,))
    if notebooks.written:
        print_paths(notebooks.written)
    if notebooks.kept:
        count = len(notebooks.kept)
        typer.echo(f"kept {count} notebook{'s' * (count != 1)} that were there already")
    if open_jupyter:
        sys.stdout.flush()
        notebook = f"{chosen.path.stem}.ipynb"
        raise typer.Exit(subprocess.call([sys.executable, "-m", "jupyterlab", notebook], cwd=out))
