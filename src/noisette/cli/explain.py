"""noisette explain: how this model draws, step by step, as one page."""

from pathlib import Path
from typing import Annotated

import typer

from .terminal import console, wrote


def explain(
    model: Annotated[Path, typer.Argument(help="A run folder; or a model folder, of which less is told.")],
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("report.html"),
    label: Annotated[
        str | None, typer.Option(help="What is drawn throughout. That of the picture shown unless said.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the picture shown and of every noise.")] = 0,
    lesson: Annotated[
        str | None,
        typer.Option(
            help="Break it on purpose: no-time, wrong-index, not-normalised, no-ema, no-added-noise, few-steps, all."
        ),
    ] = None,
) -> None:
    """Write a page that shows how this model draws: from noise to picture, with its own pictures and numbers.

    One file that opens from disk and loads nothing. It takes under a minute for pictures of 16 pixels.
    """
    from ..edit.explain import CHAPTERS, LESSONS, lesson_page, lessons_page, report, subject
    from ..errors import InputError, known
    from ..viz.page import write_page
    from .sample import writable

    if out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--out is {out}: the report is a page, so call it .html")
    if out.is_dir():
        raise InputError(f"--out is {out}, a folder: name the page, such as {out / 'report.html'}")
    if seed < 0:
        raise InputError(f"--seed is {seed}: give 0 or more")
    broken = None if lesson in (None, "all") else known(lesson or "", LESSONS, "lesson")
    about = subject(model, label, seed)
    writable(out.parent)
    if broken is not None:
        write_page(out, lesson_page(about, broken))
        wrote([out])
        return
    screen = console(to_stderr=True)
    make, parts = (report, len(CHAPTERS)) if lesson is None else (lessons_page, len(LESSONS))
    with screen.status("") as status:
        done = iter(range(1, parts + 1))
        page = make(about, lambda title: status.update(f"{next(done)} of {parts}: {title}"))
    write_page(out, page)
    wrote([out])
