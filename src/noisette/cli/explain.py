"""noisette explain: a page that shows how a model generates pictures, step by step."""

from pathlib import Path
from typing import Annotated

import typer

from .terminal import ProgressLines, print_paths


def explain(
    model: Annotated[
        Path, typer.Argument(help="A run folder; or a model folder, for a page without the chapters about training.")
    ],
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("report.html"),
    label: Annotated[
        str | None, typer.Option(help="Label of all samples. Default: the label of the example picture.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the example picture and of all noise.")] = 0,
    lesson: Annotated[
        str | None,
        typer.Option(
            help="Write a page about one typical mistake instead: no-time, wrong-index, not-normalized, no-ema, "
            "no-added-noise, few-steps, or all."
        ),
    ] = None,
) -> None:
    """Write a page that explains how this model turns noise into pictures, with its own pictures and numbers.

    The page is one file without external resources. It takes about a minute for 16×16 pictures on two free CPU cores.
    """
    from ..errors import InputError, lookup
    from ..report.explain import CHAPTERS, LESSONS, load_subject, render_lesson_page, render_lessons_page, render_report
    from ..report.viz.page import write_page
    from ..sampling.files import ensure_writable

    if out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--out must end in .html, got {out}")
    if out.is_dir():
        raise InputError(f"--out is {out}, a folder: give the name of a file, such as {out / 'report.html'}")
    if seed < 0:
        raise InputError(f"--seed must be 0 or more, got {seed}")
    chosen = None if lesson in (None, "all") else lookup(lesson or "", LESSONS, "lesson")
    ensure_writable(out.parent)
    subject = load_subject(model, label, seed)
    with ProgressLines() as show:
        if chosen is not None:
            show(chosen.title)
            page = render_lesson_page(subject, chosen)
        else:
            render, parts = (render_report, len(CHAPTERS)) if lesson is None else (render_lessons_page, len(LESSONS))
            numbers = iter(range(1, parts + 1))
            page = render(subject, lambda title: show(f"{next(numbers)} of {parts}: {title}"))
    write_page(out, page)
    print_paths([out])
