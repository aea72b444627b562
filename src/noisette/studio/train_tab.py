"""The tab "Train": train a model on uploaded pictures, a workspace folder or a built-in set, for a given time."""

from pathlib import Path
from typing import Any

import gradio as gr

from ..data import scan
from ..data.builtin import BUILT_IN
from ..errors import InputError, lookup
from . import report
from .error_handling import report_errors
from .html_parts import collapsible
from .trainer import MAX_MINUTES, Trainer, TrainingJob
from .uploads import (
    FOLDER_INPUT_HTML,
    IMAGE_SUFFIXES,
    MAX_FILES,
    MAX_UPLOAD_BYTES,
    ZIP_SCRIPT,
    remove_unused,
    store_upload,
)
from .workspace import Workspace

UPLOAD_CHOICE = "uploaded files"
AUTOMATIC, FROM_SCRATCH = "automatic", "none: from scratch"  # instead of the name of a model to start from


class TrainTab:
    """The event handlers of the tab."""

    def __init__(self, workspace: Workspace, trainer: Trainer) -> None:
        self.workspace, self.trainer = workspace, trainer

    def list_sources(self) -> list[str]:
        """Names of all sources of pictures."""
        return [UPLOAD_CHOICE, *self.workspace.list_sources(), *BUILT_IN]

    def resolve_source(self, name: str, files: list[str] | None) -> str:
        """The source for `noisette train`: a path inside the workspace, or the name of a built-in set."""
        if name == UPLOAD_CHOICE:
            remove_unused(self.workspace, self.trainer.list_used_sources())
            return str(store_upload(self.workspace, [Path(f) for f in files or []]))
        return self.trainer.resolve_source(name)

    def list_starts(self) -> list[str]:
        """What a run can start from."""
        return [AUTOMATIC, *self.workspace.list_origins(), FROM_SCRATCH]

    def resolve_start(self, name: str) -> str | None:
        """The value of `--from`; None: leave it out."""
        if name == AUTOMATIC:
            return None
        return lookup(name, self.workspace.list_origins() | {FROM_SCRATCH: "none"}, "model to start from")

    def scan_source(self, name: str, files: list[str] | None) -> str:
        """Scan a source; a table about its pictures as HTML."""
        return report.render_scan(scan(self.resolve_source(name, files)))

    def start(
        self, run: str, name: str, files: list[str] | None, minutes: float, preset: str, size: float | None,
        pixel_art: bool, flip: bool, start_from: str,
    ) -> list[Any]:  # fmt: skip
        """Start a run, and show it in the tab Runs."""
        if minutes is None:
            raise InputError("the training time is missing: enter a number of minutes")
        side = int(size) if size else None
        job = TrainingJob(
            self.resolve_source(name, files), minutes, preset, side, pixel_art, flip, self.resolve_start(start_from)
        )
        self.trainer.start(run.strip(), job)
        names = list(dict.fromkeys([*self.trainer.list_started(), *self.workspace.list_runs()]))
        return [gr.update(choices=names, value=run.strip()), gr.update(selected="runs")]


def build(tab: TrainTab, chosen: gr.Dropdown, tabs: gr.Tabs) -> tuple[gr.Dropdown, gr.Dropdown]:
    """Create the components and events of the tab. Starting a run selects it in `chosen`, and opens its tab.

    Returns the dropdowns of sources and of models to start from.
    """
    with gr.Row():
        with gr.Column(min_width=280):
            source = gr.Dropdown(tab.list_sources(), value=UPLOAD_CHOICE, label="Pictures", elem_id="source")
            files = gr.File(
                label="A zip of a folder (sub-folders are labels), or pictures", file_count="multiple",
                file_types=[".zip", *IMAGE_SUFFIXES], height=140, elem_id="files",
            )  # fmt: skip
            gr.HTML(
                FOLDER_INPUT_HTML,
                js_on_load=ZIP_SCRIPT.replace("LARGEST", str(MAX_UPLOAD_BYTES)).replace("MANY", str(MAX_FILES)),
                elem_id="folder",
            )
            scan_button = gr.Button("Scan", elem_id="look")
        with gr.Column(min_width=280):
            name = gr.Textbox(label="Run name", placeholder="my sprites", max_length=64, elem_id="name")
            minutes = gr.Number(10, label="Minutes", minimum=0, maximum=MAX_MINUTES, elem_id="minutes")
            origin = gr.Dropdown(
                tab.list_starts(), value=AUTOMATIC, label="Start from", elem_id="origin",
                info="A model whose weights the run starts with; automatic: the base model for this size, if there is "
                "one in the package.",
            )  # fmt: skip
            with collapsible("Options", "more"):
                preset = gr.Dropdown(["auto", "tiny", "small", "base"], value="auto", label="Network")
                size = gr.Number(None, label="Size in pixels", info="Empty: chosen for the pictures.", precision=0)
                pixel_art = gr.Checkbox(False, label="Pixel art: resize without blending pixels")
                flip = gr.Checkbox(False, label="Random horizontal flips")
            start = gr.Button("Start", variant="primary", elem_id="start")
    scan_table = gr.HTML(elem_id="found")
    source.input(lambda s: gr.update(visible=s == UPLOAD_CHOICE), source, files, queue=False, api_visibility="private")
    scan_button.click(
        report_errors(tab.scan_source), [source, files], scan_table, api_visibility="private", concurrency_id="scan"
    )
    start.click(
        report_errors(tab.start), [name, source, files, minutes, preset, size, pixel_art, flip, origin],
        [chosen, tabs], api_visibility="private", show_progress="hidden", concurrency_id="scan",
    )  # fmt: skip
    return source, origin
