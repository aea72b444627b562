"""One self-contained page: headings, words, tables and pictures, in a file that opens from disk and asks for nothing.

Whatever comes from outside (names of files and labels) is escaped; pictures are PNGs inside the page, and the page
itself forbids the browser to load anything else.
"""

import base64
import re
from collections.abc import Sequence
from html import escape
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from ..files import atomic_write

COLOURS = """
:root { color-scheme: light dark; --paper: #fafaf9; --ink: #292524; --faint: #57534e; --line: #d6d3d1;
  --mark: #fef3c7; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #1c1917; --ink: #f5f5f4; --faint: #a8a29e; --line: #44403c; --mark: #453411; }
}
"""
STYLE = (
    COLOURS
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
ALONE = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
FORMULA = re.compile(r"\$([^$]+)\$")
CODE = re.compile(r"`([^`]+)`")
LOWERED = re.compile(r"([_^])(\{[^{}]*\}|\w)")


def page(title: str, *parts: str, style: str = "", script: str = "") -> str:
    """A whole document of parts that are already HTML; `style` and `script` are CSS and JavaScript of our own."""
    ending = f"<script>{script}</script>" if script else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{ALONE}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}{style}</style></head>\n"
        f"<body><main>\n<h1>{escape(title)}</h1>\n" + "\n".join(parts) + f"\n</main>{ending}</body></html>\n"
    )


def inline(words: str) -> str:
    """Words in which $x_t = α_t x_0$ is a formula: after _ and ^ one letter, or what stands in {}, is set lower or
    higher. What stands between backticks is typed so. Everything is escaped."""

    def shift(found: re.Match[str]) -> str:
        tag = "sub" if found[1] == "_" else "sup"
        return f"<{tag}>{found[2].strip('{}')}</{tag}>"

    def formula(found: re.Match[str]) -> str:
        return f'<span class="maths">{LOWERED.sub(shift, found[1])}</span>'

    return CODE.sub(r"<code>\1</code>", FORMULA.sub(formula, escape(words)))


def heading(words: str, anchor: str = "") -> str:
    """The heading of a section, which a link may lead to by its `anchor`."""
    place = f' id="{escape(anchor)}"' if anchor else ""
    return f"<h2{place}>{inline(words)}</h2>"


def paragraph(words: str, *, faint: bool = False) -> str:
    return f"<p{' class=faint' if faint else ''}>{inline(words)}</p>"


def table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], marked: int | None = None, *, words: bool = False
) -> str:
    """A table that scrolls by itself where the screen is narrow; row number `marked` stands out; `words` are no
    numbers, and are broken into lines."""

    def line(cells: Sequence[str], tag: str, mark: bool = False) -> str:
        first = (
            f'<th scope="row">{inline(cells[0])}</th>' if tag == "td" else f'<th scope="col">{inline(cells[0])}</th>'
        )
        scope = ' scope="col"' if tag == "th" else ""
        rest = "".join(f"<{tag}{scope}>{inline(cell)}</{tag}>" for cell in cells[1:])
        return f"<tr{' class=mark' if mark else ''}>{first}{rest}</tr>"

    body = "".join(line(row, "td", i == marked) for i, row in enumerate(rows))
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(heads[0])}"><table>'
        f"<thead>{line(heads, 'th')}</thead><tbody>{body}</tbody></table></div>"
    )


def figure(image: Image.Image, alt: str, caption: str = "", width: int | None = None) -> str:
    """A picture inside the page, pixels kept square; `width` in CSS pixels, its own if not said."""
    clear = " class=clear" if "A" in image.getbands() else ""
    height = round(image.height * (width or image.width) / image.width)
    words = f"<figcaption>{inline(caption)}</figcaption>" if caption else ""
    return (
        f'<figure><img{clear} alt="{escape(alt)}" width="{width or image.width}" height="{height}" '
        f'src="{address(image)}">{words}</figure>'
    )


def address(image: Image.Image) -> str:
    """A picture as an address that holds it whole."""
    file = BytesIO()
    image.save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def row(*parts: str) -> str:
    """Parts side by side, where there is room."""
    return f'<div class="row">{"".join(parts)}</div>'


def write_page(path: Path, document: str) -> None:
    """Wholly or not at all."""

    def save(file: BinaryIO) -> None:
        file.write(document.encode("utf-8"))

    atomic_write(path, save)
