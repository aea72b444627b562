"""The tab "Sliders": pictures edited along several h-space directions at once."""

from collections.abc import Iterator
from html import escape
from typing import Any

import gradio as gr

from ..edit.hspace import Direction
from ..errors import InputError
from . import directions
from .directions import BATCH_SIZE, MAX_DIRECTIONS, MAX_STRENGTH, DirectionCache
from .draw_tab import MAX_PAGE_SEED, PROGRESS_OPTIONS, QUEUE_OPTIONS, DrawControls, make_settings
from .edit_tab import ANY_LABEL
from .error_handling import report_errors
from .html_parts import render_tiles
from .workspace import Workspace

HELP_HTML = (
    '<p class="n-faint">A direction in the network\'s h-space changes the same property of every picture. Principal '
    "components are the directions of largest variation; the other directions lead towards a label.</p>"
)


class SlidersTab:
    """The event handlers of the tab."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace, self.direction_cache = workspace, DirectionCache()

    def select_model(self, model_name: str | None) -> list[Any]:
        """Updates for another model: status, labels, and the sliders if its directions are known."""
        if model_name is None:
            return ["", gr.skip(), *[gr.skip()] * MAX_DIRECTIONS]
        model = self.workspace.load_model(model_name)
        labels: list[str] = list(model.pictures.labels)
        known: list[Direction] = []
        try:
            known = self.direction_cache.get(model)
            status = f"{len(known)} directions" if known else "No directions yet: press Find directions."
        except InputError as error:  # a directions file of an earlier state of the model: the model can still be used
            status = escape(str(error))
        return [
            status,
            gr.update(choices=[ANY_LABEL, *labels], value=ANY_LABEL, visible=bool(labels)),
            *_update_sliders(known),
        ]

    def find_directions(self, model_name: str | None) -> list[Any]:
        """Find the directions of a model, and show its sliders."""
        if model_name is None:
            raise InputError("there is no model yet: train one in the tab Train")
        known = self.direction_cache.find(self.workspace.load_model(model_name))
        return [f"{len(known)} directions", gr.skip(), *_update_sliders(known)]

    def draw_moved(
        self, model_name: str | None, label: str | None, seed: float, number: int, *inputs: Any
    ) -> Iterator[str]:  # fmt: skip
        """Sample with the slider values; previews, then the result."""
        strengths, sampler_inputs = inputs[:MAX_DIRECTIONS], inputs[MAX_DIRECTIONS:]
        if model_name is None:
            raise InputError("there is no model yet: train one in the tab Train")
        model = self.workspace.load_model(model_name)
        known = self.direction_cache.get(model)
        if not known:
            raise InputError("this model has no directions yet: press Find directions")
        chosen_label, first = None if label in (None, ANY_LABEL) else label, int(seed or 0)
        captions = [f"seed {first + i}" for i in range(int(number))]
        updates = directions.draw_moved(
            model, known, strengths[: len(known)], make_settings(model, *sampler_inputs), chosen_label, first,
            int(number),
        )  # fmt: skip
        for pixels, is_finished in updates:
            yield render_tiles(pixels, captions, "Pictures moved along the directions" if is_finished else "Sampling")


def _update_sliders(known: list[Direction]) -> list[Any]:
    names = [d.name for d in known] + [""] * (MAX_DIRECTIONS - len(known))
    return [gr.update(label=n or "-", value=0, visible=bool(n)) for n in names]


def build(tab: SlidersTab, model: gr.Dropdown, controls: DrawControls) -> list[Any]:
    """Create the components and events of the tab. Returns the components that depend on the model."""
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            gr.HTML(HELP_HTML)
            find = gr.Button("Find directions", elem_id="find")
            status = gr.HTML("", html_template='<p class="n-status" role="status">${value}</p>', elem_id="directions")
            sliders = [
                gr.Slider(-MAX_STRENGTH, MAX_STRENGTH, 0, step=0.25, label="-", visible=False, elem_id=f"slide-{i + 1}")
                for i in range(MAX_DIRECTIONS)
            ]
            label = gr.Dropdown([ANY_LABEL], value=ANY_LABEL, label="Label")
            seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=MAX_PAGE_SEED)
            number = gr.Slider(1, BATCH_SIZE, 4, step=1, label="Pictures", elem_id="slide-number")
        with gr.Column(scale=5, min_width=280):
            with gr.Row():
                go = gr.Button("Draw", variant="primary", elem_id="move", min_width=120)
                level = gr.Button("Reset to 0", elem_id="level", min_width=100)
            out = gr.HTML("", elem_classes="n-canvas", elem_id="moved", min_height=180)
    outputs = [status, label, *sliders]
    inputs = [model, label, seed, number, *sliders, *controls.sampler_inputs()]
    slow: dict[str, Any] = {"api_visibility": "private", **PROGRESS_OPTIONS, **QUEUE_OPTIONS}
    find.click(report_errors(tab.find_directions), model, outputs, **slow)
    go.click(report_errors(tab.draw_moved), inputs, out, **slow)
    for slider in sliders:
        slider.input(report_errors(tab.draw_moved), inputs, out, trigger_mode="always_last", **slow)
    level.click(lambda: [0] * MAX_DIRECTIONS, None, sliders, queue=False, api_visibility="private").then(
        report_errors(tab.draw_moved), inputs, out, **slow
    )
    return outputs
