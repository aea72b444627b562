"""Run examples/notebook.ipynb beside a run, and write what it shows as one page.

    python benchmarks/notebook.py RUN --out notebook.html

Its outputs are put into the page as a notebook shows them: HTML before PNG before text.
"""

import argparse
import re
import tempfile
from html import escape
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parent.parent / "examples" / "notebook.ipynb"
STYLE = "body { max-width: 60rem; margin: 1rem auto; font: 15px/1.5 system-ui, sans-serif; padding: 0 1rem }" \
    "pre { background: #f3f3f1; padding: .6rem; overflow-x: auto } img { max-width: 100%; height: auto }"  # fmt: skip


def executed(run: Path) -> Any:
    """The notebook with its outputs, run where Jupyter opens it: in examples/, with that run as demo/run beside it."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with tempfile.TemporaryDirectory() as home:
        opened_in = Path(home) / "examples"
        opened_in.mkdir()
        (Path(home) / "demo").mkdir()
        (Path(home) / "demo" / "run").symlink_to(run.resolve())
        place = {"metadata": {"path": str(opened_in)}}
        NotebookClient(notebook, timeout=240, kernel_name="python3", resources=place).execute()
    return notebook


def shown(data: dict[str, str]) -> str:
    """One output."""
    if "text/html" in data:
        return data["text/html"]
    if "image/png" in data:
        return f'<img alt="a plot" src="data:image/png;base64,{data["image/png"].strip()}">'
    return f"<pre>{escape(data.get('text/plain', ''))}</pre>"


def prose(markdown: str) -> str:
    """The little of it that the notebook uses."""
    words = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(markdown))
    return "".join(f"<h1>{p[2:]}</h1>" if p.startswith("# ") else f"<p>{p}</p>" for p in words.split("\n\n"))


def page(notebook: Any) -> str:
    parts = []
    for cell in notebook.cells:
        parts.append(f"<pre>{escape(cell.source)}</pre>" if cell.cell_type == "code" else prose(cell.source))
        parts += [shown(out.data) for out in cell.get("outputs", []) if "data" in out]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>A notebook</title><style>{STYLE}</style>'
        + "".join(parts)
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, default=Path("notebook.html"))
    given = parser.parse_args()
    given.out.write_text(page(executed(given.run)), encoding="utf-8")
    print(f"wrote {given.out.resolve()}")
