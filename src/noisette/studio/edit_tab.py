"""The tab "Edit": vary, inpaint, outpaint, upscale or segment a picture, or make it seamless."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from ..data.png import encode_png
from ..errors import InputError
from ..io.zip_writer import zip_files
from ..models.task import Draw
from . import editing, export, mask_editor, trajectories
from .draw_tab import (
    MAX_PAGE_SEED,
    PROGRESS_OPTIONS,
    QUEUE_OPTIONS,
    DrawControls,
    build_prompt_inputs,
    make_settings,
    update_prompt_inputs,
)
from .edit_kinds import (
    INPAINT,
    KINDS_BY_TASK,
    OUTPAINT,
    PICTURE_NAME,
    SEGMENT,
    TILE,
    VARY,
    EditRequest,
    read_source,
    supported_kinds,
)
from .editing import EditResult
from .error_handling import read_event_index, report_errors
from .html_parts import render_results, render_tiles
from .limits import MAX_EDIT_SAMPLES, MAX_ROUNDS, check_file_size
from .session import Board
from .uploads import IMAGE_SUFFIXES
from .workspace import Workspace

ANY_LABEL = "any label"
NO_PICTURE, READY = "Upload a picture, or press Edit below a kept picture.", "Ready: press Edit."
CLICK_SCRIPT = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-do]');
  if (button) trigger('click', {do: button.dataset.do, i: Number(button.dataset.i)});
});
"""


class EditTab:
    """The event handlers of the tab."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    def select_model(self, model_name: str | None, kind: str) -> list[Any]:
        """Updates of the inputs and of the list of edits for another model."""
        if model_name is None:
            return [*[gr.update(visible=False)] * 3, *[gr.skip()] * 5]
        model = self.workspace.load_model(model_name)
        kinds = supported_kinds(model.config)
        kind = kind if kind in kinds else kinds[0]
        labels = list(model.pictures.labels)
        return [
            gr.update(choices=[ANY_LABEL, *labels], value=ANY_LABEL, visible=bool(labels)),
            *update_prompt_inputs(model),
            gr.update(choices=list(kinds), value=kind),
            *self.select_kind(kind, "")[:-1],
        ]

    def refresh_picture(self, model_name: str | None, data: bytes | None, kind: str) -> Any:
        """The uploaded picture in the mode and size of another model; a warning if it does not fit."""
        try:
            return self.render_picture(model_name, data, kind)
        except InputError as error:  # the size fits one model and not the other
            gr.Warning(str(error))
            return ""

    def load_upload(self, model_name: str | None, file: str | None, kind: str) -> list[Any]:
        """The bytes of an uploaded file, the picture in the editor, and the status."""
        if file is None:
            return [None, "", NO_PICTURE]
        check_file_size(Path(file).stat().st_size)
        data = Path(file).read_bytes()
        try:
            return [data, self.render_picture(model_name, data, kind), READY]
        except InputError as error:
            raise InputError(str(error).replace(PICTURE_NAME, Path(file).name, 1)) from error

    def load_kept(self, board: Board, event: gr.EventData, model_name: str | None, kind: str) -> list[Any]:
        """Take a kept picture into the editor, and open this tab; the status."""
        i = read_event_index(event)
        if not 0 <= i < len(board.kept):
            raise InputError(f"there is no kept picture {i + 1}: {len(board.kept)} are kept")
        data = encode_png(board.kept[i].pixels)
        return [data, self.render_picture(model_name, data, kind), READY, gr.update(selected="edit")]

    def load_result(
        self, results: Sequence[EditResult], event: gr.EventData, model_name: str | None, kind: str
    ) -> list[Any]:
        """Take an edited picture into the editor; the status."""
        i = read_event_index(event)
        if not 0 <= i < len(results):
            raise InputError(f"there is no edited picture {i + 1}: there are {len(results)}")
        data = encode_png(results[i].pixels)
        return [data, self.render_picture(model_name, data, kind), READY]

    def render_picture(self, model_name: str | None, data: bytes | None, kind: str) -> Any:
        """The picture in the model's mode and size, as the value of the mask editor."""
        if data is None or model_name is None:
            return ""
        return mask_editor.make_editor_value(
            read_source(data, self.workspace.load_model(model_name)).pixels, kind == INPAINT
        )

    def select_kind(self, kind: str, editor_value: Any) -> list[Any]:
        """Show the controls of a kind of edit, and the mask tools for inpainting; the mask is kept."""
        editor = {**editor_value, "marking": kind == INPAINT} if isinstance(editor_value, dict) else editor_value
        return [
            gr.update(visible=kind == VARY), gr.update(visible=kind not in (VARY, SEGMENT)),
            gr.update(visible=kind == OUTPAINT), gr.update(visible=kind == TILE), editor,
        ]  # fmt: skip

    def edit(
        self, model_name: str | None, data: bytes | None, editor_value: Any, kind: str, label: str | None,
        attributes: str, text: str, seed: float, number: int, strength: float, rounds: int, margin: int, axes: str,
        *sampler_inputs: Any,
    ) -> Iterator[list[Any]]:  # fmt: skip
        """Edit; previews during sampling, then the results."""
        if model_name is None:
            raise InputError("there is no model yet: train one in the tab Train")
        if data is None:
            raise InputError("there is no picture yet: upload one, or press Edit below a kept picture")
        model = self.workspace.load_model(model_name)
        request = EditRequest(
            kind, None if label in (None, ANY_LABEL) else label, int(seed or 0), int(number), strength, int(rounds),
            int(margin), axes, mask_editor.read_mask(editor_value), trajectories.split_attributes(attributes),
            text.strip() or None,
        )  # fmt: skip
        captions = [f"seed {request.seed + i}" for i in range(request.number)]
        for update in editing.stream_edit(model, data, request, make_settings(model, *sampler_inputs)):
            if isinstance(update, list):
                results = render_results([e.pixels for e in update], [e.caption for e in update])
                yield [results, tuple(update), "Done."]
            else:
                yield [render_tiles(update, captions, "Sampling"), gr.skip(), "Sampling…"]

    def export(self, results: Sequence[EditResult]) -> Any:
        """The results of the last edit as a zip to download."""
        if not results:
            raise InputError("there are no edited pictures to export: press Edit first")
        files = {f"{e.stem}.png": encode_png(e.pixels, e.metadata) for e in results}
        return export.offer_files({"noisette-edit.zip": zip_files(files)})


def build(tab: EditTab, model: gr.Dropdown, controls: DrawControls) -> tuple[list[Any], list[Any]]:
    """Create the components and events of the tab.

    Returns the components that depend on the model, and those that take a picture from another tab: its data, the
    editor, the status, and the kind of edit.
    """
    data, results = gr.State(None), gr.State(())
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            with gr.Row():
                go = gr.Button("Edit", variant="primary", elem_id="go", scale=2, min_width=120)
                stop = gr.Button("Stop", elem_id="leave", scale=1, min_width=80)
            file = gr.File(label="Picture", file_types=list(IMAGE_SUFFIXES), height=120, elem_id="picture")
            kind = gr.Radio(list(KINDS_BY_TASK[Draw]), value=VARY, label="Edit", elem_id="kind")
            strength = gr.Slider(0.05, 1, 0.5, step=0.05, label="Strength", info="1: nothing of the picture remains.",
                                 elem_id="strength")  # fmt: skip
            rounds = gr.Slider(1, MAX_ROUNDS, 5, step=1, label="Rounds", visible=False, elem_id="rounds",
                               info="Resamplings per step (RePaint): more fit better, and take longer.")  # fmt: skip
            margin = gr.Slider(1, 64, 4, step=1, label="Margin", info="Pixels on every side.", visible=False,
                               elem_id="margin")  # fmt: skip
            axes = gr.Radio(["x", "y", "xy"], value="xy", label="Seamless in", visible=False)
            label = gr.Dropdown([ANY_LABEL], value=ANY_LABEL, label="Label", elem_id="edit-label")
            attributes, text = build_prompt_inputs("edit-")
            seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=MAX_PAGE_SEED, elem_id="edit-seed")
            number = gr.Slider(1, MAX_EDIT_SAMPLES, 4, step=1, label="Pictures", elem_id="edit-number")
            gr.HTML('<p class="n-faint">Sampler, steps and guidance are set in the tab Draw.</p>')
        with gr.Column(scale=5, min_width=280):
            editor = mask_editor.build_mask_editor()
            status = gr.HTML(
                NO_PICTURE,
                html_template='<p class="n-status" role="status">${value}</p>', elem_id="edited-status",
            )  # fmt: skip
            out = gr.HTML("", js_on_load=CLICK_SCRIPT, elem_classes="n-canvas", elem_id="edited")
            save = gr.Button("Export", elem_id="edit-export")
            files = gr.File(label="Exported", interactive=False, visible=False, elem_id="edit-exported")
    quick: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    running = go.click(
        report_errors(tab.edit),
        [
            model, data, editor, kind, label, attributes, text, seed, number, strength, rounds, margin, axes,
            *controls.sampler_inputs(),
        ],
        [out, results, status], api_visibility="private", **PROGRESS_OPTIONS, **QUEUE_OPTIONS,
    )  # fmt: skip
    stop.click(None, cancels=[running], api_visibility="private")
    for event in (file.upload, file.clear):
        event(report_errors(tab.load_upload), [model, file, kind], [data, editor, status], **quick)
    kind.input(
        tab.select_kind, [kind, editor], [strength, rounds, margin, axes, editor], trigger_mode="always_last", **quick
    )
    out.click(report_errors(tab.load_result), [results, model, kind], [data, editor, status], **quick)
    save.click(report_errors(tab.export), results, files, **quick)
    return [label, attributes, text, kind, strength, rounds, margin, axes], [data, editor, status, kind]
