"""What Sphinx and furo leave out for people who use a keyboard or a screen reader, added to the finished pages.

Headings of the navigation get their level, regions that scroll can be reached by Tab, the two sidebars have names,
pictures that a cell drew say so, and the parameters of a signature are lines instead of an incomplete description list.
"""

import re
from pathlib import Path

from sphinx.application import Sphinx

REPLACED = (
    (re.compile(r'role="heading">'), 'role="heading" aria-level="2">'),
    (re.compile(r'alt="(?:\.\./)*_images/[^"]*"'), 'alt="What the cell above draws"'),
    (re.compile(r"<pre>"), '<pre tabindex="0">'),
    (re.compile(r'<div class="table-wrapper ([^"]*)">'), r'<div class="table-wrapper \1" tabindex="0">'),
    (re.compile(r'<aside class="sidebar-drawer">'), '<aside class="sidebar-drawer" aria-label="All pages">'),
    (re.compile(r'<aside class="toc-drawer([^"]*)">'), r'<aside class="toc-drawer\1" aria-label="This page">'),
)
PARAMETERS = re.compile(r'<dl>\n(<dd><em class="sig-param">.*?)</dl>\n', re.DOTALL)


def as_lines(match: re.Match[str]) -> str:
    lines = match[1].replace("<dd>", '<span class="sig-line">').replace("</dd>\n", "</span>")
    return f'<span class="sig-lines">{lines}</span>'


def complete(app: Sphinx, error: Exception | None) -> None:
    """Rewrite the pages in place; one that was rewritten before does not change."""
    if error is not None or app.builder.format != "html":
        return
    for path in sorted(Path(app.outdir).rglob("*.html")):
        before = after = path.read_text(encoding="utf-8")
        for pattern, replacement in REPLACED:
            after = pattern.sub(replacement, after)
        after = PARAMETERS.sub(as_lines, after)
        if after != before:
            path.write_text(after, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", complete)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
