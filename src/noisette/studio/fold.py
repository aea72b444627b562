"""A part of the page that is opened when it is wanted.

Gradio's accordion builds its controls only when it is opened, and shortly after that puts the values into them that
they were last told: who was quick to set one saw it jump back. Here they are there from the beginning.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from html import escape

import gradio as gr

SCRIPT = """
const button = element.querySelector('button');
button.addEventListener('click', () => {
  const open = document.getElementById(button.getAttribute('aria-controls')).classList.toggle('n-open');
  button.setAttribute('aria-expanded', String(open));
});
"""


@contextmanager
def fold(title: str, name: str) -> Iterator[None]:
    """What is built within is under a button that opens and closes it; `name` is its id."""
    gr.HTML(
        f'<button type="button" class="n-fold" aria-expanded="false" aria-controls="{name}">{escape(title)}</button>',
        js_on_load=SCRIPT, elem_classes="n-folding",
    )  # fmt: skip
    with gr.Column(elem_id=name, elem_classes="n-under"):
        yield
