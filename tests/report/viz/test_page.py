"""Pages stand alone, and nothing that comes from outside can act in them."""

import base64
import re
from html.parser import HTMLParser
from io import BytesIO

from PIL import Image

from noisette.report.viz.page import figure, heading, paragraph, render_inline, render_page, row, table, write_page

EVIL = "<script>alert(1)</script> & \"quotes\" 'too'"


class Tags(HTMLParser):
    """Every tag, balanced; and every address that a page would ask for."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.addresses: list[str] = []
        self.attributes: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img", "br", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(document: str) -> Tags:
    tags = Tags()
    tags.feed(document)
    assert tags.open == []
    return tags


def test_words_from_outside_are_words() -> None:
    image = Image.new("RGBA", (3, 2))
    parts = [heading(EVIL), paragraph(EVIL), table((EVIL, EVIL), [(EVIL, EVIL)]), row(figure(image, EVIL, EVIL))]
    tags = read(render_page(EVIL, *parts))
    assert "script" not in tags.seen
    assert {"h1", "h2", "p", "table", "img", "figcaption"} <= set(tags.seen)


def test_pictures_are_embedded_in_the_page(tmp_path) -> None:
    image = Image.new("RGB", (5, 4), (1, 2, 3))
    write_page(tmp_path / "page.html", render_page("A page", figure(image, "five by four", width=50)))
    document = (tmp_path / "page.html").read_text(encoding="utf-8")
    (source,) = read(document).addresses
    data = re.fullmatch(r"data:image/png;base64,(.*)", source)
    with Image.open(BytesIO(base64.b64decode(data[1]))) as back:
        assert (back.size, back.getpixel((0, 0))) == ((5, 4), (1, 2, 3))
    assert 'width="50" height="40"' in document
    assert "http:" not in document and "https:" not in document


def test_formulas_are_set_and_nothing_else_is() -> None:
    assert render_inline("$x_t = α_{t−1} x^2$ and a_b") == (
        '<span class="maths">x<sub>t</sub> = α<sub>t−1</sub> x<sup>2</sup></span> and a_b'
    )
    assert "<i" not in render_inline("$<img src=x>_<b>$ costs $5") and "costs $5" in render_inline("it costs $5")


def test_cells_of_text_are_wrapped_and_numbers_are_not() -> None:
    rows, style = [("path", "a/long/name")], "table.words td { text-align: left"
    assert "<table class=words>" in table(("what", "value"), rows, is_text=True)
    assert "<table>" in table(("what", "value"), rows) and style in render_page("A page")


def test_a_page_forbids_the_browser_to_ask_for_anything() -> None:
    document = render_page("A page", heading("One", "one"), style="p { color: red }", script="let x = 1")
    assert "default-src 'none'; img-src data:;" in document
    assert '<h2 id="one">One</h2>' in document and "p { color: red }</style>" in document
    assert document.endswith("</main><script>let x = 1</script></body></html>\n")
