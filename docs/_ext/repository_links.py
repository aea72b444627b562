"""Links from a page to a file outside of docs/ become links to the repository; docs/log.md stays out of the way.

The pages are read in the repository, too, so that they name such files by their relative paths.
"""

import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import SphinxError

REPOSITORY = "https://github.com/noisette/noisette/blob/main/"
LINK = re.compile(r"(?<=\]\()(\.\./[^)#\s]+)")
LABORATORY_BOOK = "log"  # reachable from the pages that cite it, but in no table of contents and in no search


def rewrite(app: Sphinx, docname: str, source: list[str]) -> None:
    """Point at the repository where a relative path leads out of docs/."""
    docs = Path(app.srcdir)
    page = docs / docname

    def to_repository(match: re.Match[str]) -> str:
        target = (page.parent / match[1]).resolve()
        if target.is_relative_to(docs):
            return match[1]
        if not target.exists():
            raise SphinxError(f"{docname}: there is no {match[1]}")
        return REPOSITORY + target.relative_to(docs.parent).as_posix()

    source[0] = LINK.sub(to_repository, source[0])
    if docname == LABORATORY_BOOK:
        source[0] = "---\norphan: true\nnosearch: true\n---\n\n" + source[0]


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", rewrite)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
