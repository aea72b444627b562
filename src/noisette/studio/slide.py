"""The page "Sliders": pictures moved along directions that the model itself knows, several at once."""

from collections.abc import Iterator
from html import escape
from typing import Any

import gradio as gr

from ..edit.hspace import Direction
from ..errors import InputError
from . import sliding
from .draw import QUEUE, WATCH, Controls, way_of
from .edit import ANY
from .sliding import BATCH, MOST, STRONGEST, Directions
from .tiles import tiles
from .told import told
from .workspace import Workspace

ABOUT = (
    '<p class="n-faint">A direction inside the network (in its h-space) changes one thing about every picture. '
    "Components vary most among what the model draws; the others lead to a label.</p>"
)


class Sliding:
    """What the page does, on the models of a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace, self.directions = workspace, Directions()

    def chosen(self, name: str | None) -> list[Any]:
        """The sliders of a model whose directions are known, and the labels that it can be asked for."""
        if name is None:
            return ["", gr.skip(), *[gr.skip()] * MOST]
        model = self.workspace.model(name)
        labels: list[str] = list(model.pictures.labels)
        known: list[Direction] = []
        try:
            known = self.directions.of(model)
            words = f"{len(known)} directions" if known else "Its directions are not known yet: find them."
        except InputError as error:  # a file of what the model was before: no reason not to choose it
            words = escape(str(error))
        return [words, gr.update(choices=[ANY, *labels], value=ANY, visible=bool(labels)), *_sliders(known)]

    def find(self, name: str | None) -> list[Any]:
        """Find the directions of a model, and show its sliders."""
        if name is None:
            raise InputError("there is no model yet: train one, under Train")
        found = self.directions.find(self.workspace.model(name))
        return [f"{len(found)} directions", gr.skip(), *_sliders(found)]

    def moved(
        self, name: str | None, label: str | None, seed: float, number: int, *rest: Any
    ) -> Iterator[str]:  # fmt: skip
        """The pictures as the sliders are; on their way, and at last."""
        strengths, way = rest[:MOST], rest[MOST:]
        if name is None:
            raise InputError("there is no model yet: train one, under Train")
        model = self.workspace.model(name)
        known = self.directions.of(model)
        if not known:
            raise InputError("the directions of this model are not known yet: press Find")
        asked, first = None if label in (None, ANY) else label, int(seed or 0)
        captions = [f"seed {first + i}" for i in range(int(number))]
        going = sliding.gone(
            model, known, strengths[: len(known)], way_of(model, *way), asked, first, int(number)
        )  # fmt: skip
        for seen, done in going:
            yield tiles(seen, captions, "Pictures moved along the directions" if done else "Being drawn")


def _sliders(known: list[Direction]) -> list[Any]:
    names = [d.name for d in known] + [""] * (MOST - len(known))
    return [gr.update(label=n or "-", value=0, visible=bool(n)) for n in names]


def build(handle: Sliding, model: gr.Dropdown, controls: Controls) -> list[Any]:
    """The page's parts, and what happens when they are used. Returns what another model changes."""
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            gr.HTML(ABOUT)
            find = gr.Button("Find", elem_id="find")
            words = gr.HTML("", html_template='<p class="n-status" role="status">${value}</p>', elem_id="directions")
            sliders = [
                gr.Slider(-STRONGEST, STRONGEST, 0, step=0.25, label="-", visible=False, elem_id=f"slide-{i + 1}")
                for i in range(MOST)
            ]
            label = gr.Dropdown([ANY], value=ANY, label="Label")
            seed = gr.Number(0, label="Seed", precision=0, minimum=0)
            number = gr.Slider(1, BATCH, 4, step=1, label="Pictures", elem_id="slide-number")
        with gr.Column(scale=5, min_width=280):
            with gr.Row():
                go = gr.Button("Draw", variant="primary", elem_id="move", min_width=120)
                level = gr.Button("All to 0", elem_id="level", min_width=100)
            out = gr.HTML("", elem_classes="n-canvas", elem_id="moved", min_height=180)
    after = [words, label, *sliders]
    asked = [model, label, seed, number, *sliders, *controls.way()]
    slow: dict[str, Any] = {"api_visibility": "private", **WATCH, **QUEUE}
    find.click(told(handle.find), model, after, **slow)
    go.click(told(handle.moved), asked, out, **slow)
    for slider in sliders:
        slider.input(told(handle.moved), asked, out, trigger_mode="always_last", **slow)
    level.click(lambda: [0] * MOST, None, sliders, queue=False, api_visibility="private").then(
        told(handle.moved), asked, out, **slow
    )
    return after
