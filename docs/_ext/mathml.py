"""Formulas as MathML, which browsers draw themselves: no script and no font is loaded, and screen readers read it.

The converter from TeX is the one of Docutils, which Sphinx needs anyway.
"""

import re
from html import unescape
from xml.etree import ElementTree

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.errors import SphinxError
from sphinx.writers.html5 import HTML5Translator

SIZES = re.compile(r"\\[bB]igg?[lmr]?(?![a-zA-Z])")  # of delimiters: browsers stretch them by themselves
NAMESPACE = "{http://www.w3.org/1998/Math/MathML}"
HTML_NAMES = re.compile(r"&(?!(?:lt|gt|amp|quot);)\w+;")  # of characters, which XML does not have
ACCENTS = "ˆˉ˜⃗˙¯^~→"


def place_indices(markup: str) -> str:
    """The converter sets the index of a letter with an accent below it, as a limit; it belongs to its right."""
    ElementTree.register_namespace("", NAMESPACE.strip("{}"))
    root = ElementTree.fromstring(HTML_NAMES.sub(lambda name: unescape(name[0]), markup))
    for element in root.iter(f"{NAMESPACE}munderover"):
        letter, index, accent = element
        if accent.tag == f"{NAMESPACE}mo" and (accent.text or "").strip() in ACCENTS:
            element.tag = f"{NAMESPACE}msub"
            over = ElementTree.Element(f"{NAMESPACE}mover", {"accent": "true"})
            over.extend([letter, accent])
            element[:] = [over, index]
    return ElementTree.tostring(root, encoding="unicode")


def to_mathml(node: nodes.math | nodes.math_block, as_block: bool) -> str:
    """The `<math>` element of a node; a formula that cannot be converted ends the build."""
    try:
        markup = tex2mathml(SIZES.sub("", node.astext()), as_block=as_block)
    except MathError as error:
        raise SphinxError(f"{node.source}:{node.line}: {error}: {node.astext()}") from error
    return place_indices(str(markup))


def visit_math(self: HTML5Translator, node: nodes.math) -> None:
    self.body.append(to_mathml(node, as_block=False))
    raise nodes.SkipNode


def visit_math_block(self: HTML5Translator, node: nodes.math_block) -> None:
    label = f' id="{node["ids"][0]}"' if node.get("ids") else ""
    self.body.append(f'<div class="math-block"{label} tabindex="0">{to_mathml(node, as_block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
