"""noisette provenance: what a model was made of, as a file and as a page."""

import json
from pathlib import Path
from typing import Annotated

import typer

from .terminal import get_console, print_paths


def provenance(
    run: Annotated[Path, typer.Argument(help="Run folder.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(help="Folder to write into. Default: the run folder.", show_default=False)
    ] = None,
) -> None:
    """List every training picture with hash, license and author, the recipe, and the model that training started from.

    Writes provenance.json and provenance.html, with a text for a store's disclosure form. Licenses, authors and sources
    are those of the columns license, author and source of metadata.csv or metadata.jsonl.
    """
    from ..io.files import atomic_write
    from ..report.provenance import collect_provenance, render_provenance
    from ..report.viz.page import write_page

    found, folder = collect_provenance(run), run if out is None else out
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "provenance.json", folder / "provenance.html"]
    atomic_write(paths[0], (json.dumps(found.to_json(), ensure_ascii=False, indent=1) + "\n").encode())
    write_page(paths[1], render_provenance(found))
    if absent := {credit: count for credit, count in found.data.missing.items() if count}:
        names = ", ".join(f"{credit} of {count:,}" for credit, count in absent.items())
        get_console(to_stderr=True).print(
            f"not stated, of {len(found.data.files):,} pictures: {names}", markup=False, soft_wrap=True
        )
    print_paths(paths)
