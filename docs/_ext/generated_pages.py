"""Writes pages that the build makes into a folder of docs/ that git ignores."""

from collections.abc import Mapping
from pathlib import Path

from sphinx.application import Sphinx


def write_pages(app: Sphinx, folder: str, pages: Mapping[str, str]) -> None:
    """Make docs/FOLDER hold these pages and no other Markdown; equal files keep their time, for the next build."""
    place = Path(app.srcdir, folder)
    place.mkdir(parents=True, exist_ok=True)
    for path in place.glob("*.md"):
        if path.name not in pages:
            path.unlink()
    for name, text in pages.items():
        path = place / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
