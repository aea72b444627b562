"""Self-contained HTML pages: headings, paragraphs, tables and pictures in one file without external resources.

All text (such as file names and labels) is escaped. Pictures are embedded as PNG data URLs, and a content security
policy forbids the browser to load anything else.
"""

import base64
import re
from collections.abc import Sequence
from html import escape
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from ...io.files import atomic_write

COLOR_STYLE = """
:root { color-scheme: light dark; --paper: #fafaf9; --ink: #292524; --faint: #57534e; --line: #d6d3d1;
  --mark: #fef3c7; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #1c1917; --ink: #f5f5f4; --faint: #a8a29e; --line: #44403c; --mark: #453411; }
}
"""
STYLE = (
    COLOR_STYLE
    + """
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem 1rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; } h2 { margin-top: 2.5rem; font-size: 1.25rem; }
p, figcaption { max-width: 46rem; } figcaption, .faint { color: var(--faint); font-size: .92rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: .2rem; }
table.words td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
tr.mark { background: var(--mark); font-weight: 600; }
figure { margin: 1.2rem 0; } img { image-rendering: pixelated; max-width: 100%; height: auto; }
.row { display: flex; flex-wrap: wrap; gap: 1.2rem; } .row figure { margin: .4rem 0; }
img.clear { background: repeating-conic-gradient(#fff 0 25%, #e1e3e6 0 50%) 0 0 / 16px 16px; }
code { overflow-wrap: anywhere; }
.maths { font-family: Cambria, "STIX Two Text", "DejaVu Serif", serif; font-style: italic; }
sub, sup { line-height: 0; } figcaption { margin-top: .5rem; }
"""
)
CONTENT_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
FORMULA_PATTERN = re.compile(r"\$([^$]+)\$")
CODE_PATTERN = re.compile(r"`([^`]+)`")
SCRIPT_PATTERN = re.compile(r"([_^])(\{[^{}]*\}|\w)")


def render_page(title: str, *parts: str, style: str = "", script: str = "") -> str:
    """An HTML document made of `parts`, which are HTML; `style` is trusted CSS, `script` trusted JavaScript."""
    ending = f"<script>{script}</script>" if script else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{CONTENT_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}{style}</style></head>\n"
        f"<body><main>\n<h1>{escape(title)}</h1>\n" + "\n".join(parts) + f"\n</main>{ending}</body></html>\n"
    )


def render_inline(text: str) -> str:
    """Text as HTML, escaped. $x_t = α_t x_0$ becomes a formula, with _ and ^ for sub- and superscripts of one letter
    or of a group in {}; `text` in backticks becomes code."""

    def shift(match: re.Match[str]) -> str:
        tag = "sub" if match[1] == "_" else "sup"
        return f"<{tag}>{match[2].strip('{}')}</{tag}>"

    def formula(match: re.Match[str]) -> str:
        return f'<span class="maths">{SCRIPT_PATTERN.sub(shift, match[1])}</span>'

    return CODE_PATTERN.sub(r"<code>\1</code>", FORMULA_PATTERN.sub(formula, escape(text)))


def heading(text: str, anchor: str = "") -> str:
    """A section heading; `anchor` is its HTML id."""
    attribute = f' id="{escape(anchor)}"' if anchor else ""
    return f"<h2{attribute}>{render_inline(text)}</h2>"


def paragraph(text: str, *, faint: bool = False) -> str:
    """A paragraph of `render_inline(text)`; `faint`: in the color of captions."""
    return f"<p{' class=faint' if faint else ''}>{render_inline(text)}</p>"


def table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], highlighted: int | None = None, *, is_text: bool = False
) -> str:
    """A table that scrolls sideways on narrow screens. The row with index `highlighted` is highlighted.

    `is_text`: the cells are text, which is left-aligned and wrapped.
    """

    def line(cells: Sequence[str], tag: str, mark: bool = False) -> str:
        first = (
            f'<th scope="row">{render_inline(cells[0])}</th>'
            if tag == "td"
            else f'<th scope="col">{render_inline(cells[0])}</th>'
        )
        scope = ' scope="col"' if tag == "th" else ""
        rest = "".join(f"<{tag}{scope}>{render_inline(cell)}</{tag}>" for cell in cells[1:])
        return f"<tr{' class=mark' if mark else ''}>{first}{rest}</tr>"

    css_class = " class=words" if is_text else ""
    body = "".join(line(row, "td", i == highlighted) for i, row in enumerate(rows))
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(headers[0])}"><table{css_class}>'
        f"<thead>{line(headers, 'th')}</thead><tbody>{body}</tbody></table></div>"
    )


def figure(image: Image.Image, alt: str, caption: str = "", width: int | None = None) -> str:
    """A picture with an optional caption; `width` in CSS pixels, by default the width of the image."""
    clear = " class=clear" if "A" in image.getbands() else ""
    height = round(image.height * (width or image.width) / image.width)
    words = f"<figcaption>{render_inline(caption)}</figcaption>" if caption else ""
    return (
        f'<figure><img{clear} alt="{escape(alt)}" width="{width or image.width}" height="{height}" '
        f'src="{data_url(image)}">{words}</figure>'
    )


def data_url(image: Image.Image) -> str:
    """A picture as a data URL of a PNG."""
    file = BytesIO()
    image.save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def row(*parts: str) -> str:
    """Parts side by side, wrapped if there is no room."""
    return f'<div class="row">{"".join(parts)}</div>'


def write_page(path: Path, document: str) -> None:
    """Write a page as UTF-8, atomically."""

    def save(file: BinaryIO) -> None:
        file.write(document.encode("utf-8"))

    atomic_write(path, save)
