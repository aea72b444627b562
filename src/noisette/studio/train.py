"""The page "Train": a model of one's own pictures, in the time that one has."""

from pathlib import Path
from typing import Any

import gradio as gr

from ..data import scan
from ..data.builtin import BUILT_IN
from ..errors import InputError
from . import report
from .fold import fold
from .pack import FOLDER, PACK
from .told import told
from .trainer import LONGEST, Job, Trainer
from .uploads import LARGEST, MANY, PICTURES, cleared, taken_in
from .workspace import Workspace

UPLOAD = "what I upload"


class Starting:
    """What the page does in a workspace."""

    def __init__(self, workspace: Workspace, trainer: Trainer) -> None:
        self.workspace, self.trainer = workspace, trainer

    def sources(self) -> list[str]:
        return [UPLOAD, *self.workspace.sources(), *BUILT_IN]

    def source(self, name: str, files: list[str] | None) -> str:
        """Where those pictures lie: a path that is ours, or the name of a built-in set."""
        if name == UPLOAD:
            cleared(self.workspace, self.trainer.needed())
            return str(taken_in(self.workspace, [Path(f) for f in files or []]))
        return self.trainer.known_source(name)

    def look(self, name: str, files: list[str] | None) -> str:
        """What is in them."""
        return report.of_scan(scan(self.source(name, files)))

    def start(
        self, run: str, name: str, files: list[str] | None, minutes: float, preset: str, size: float | None,
        pixel_art: bool, flip: bool,
    ) -> list[Any]:  # fmt: skip
        """Start it, and show it among the runs."""
        if minutes is None:
            raise InputError("no time was given: say for how many minutes it shall train")
        side = int(size) if size else None
        self.trainer.start(run.strip(), Job(self.source(name, files), minutes, preset, side, pixel_art, flip))
        names = list(dict.fromkeys([*self.trainer.started(), *self.workspace.runs()]))
        return [gr.update(choices=names, value=run.strip()), gr.update(selected="runs")]


def build(handle: Starting, chosen: gr.Dropdown, tabs: gr.Tabs) -> gr.Dropdown:
    """The page's parts. Starting a run chooses it, and turns to the page that shows it."""
    with gr.Row():
        with gr.Column(min_width=280):
            source = gr.Dropdown(handle.sources(), value=UPLOAD, label="Pictures", elem_id="source")
            files = gr.File(
                label="A zip of a folder (its sub-folders are labels), or pictures", file_count="multiple",
                file_types=[".zip", *PICTURES], height=140, elem_id="files",
            )  # fmt: skip
            gr.HTML(
                FOLDER, js_on_load=PACK.replace("LARGEST", str(LARGEST)).replace("MANY", str(MANY)), elem_id="folder"
            )
            look = gr.Button("Look at them", elem_id="look")
        with gr.Column(min_width=280):
            name = gr.Textbox(label="Name of the run", placeholder="my sprites", max_length=64, elem_id="name")
            minutes = gr.Number(10, label="Minutes", minimum=0, maximum=LONGEST, elem_id="minutes")
            with fold("More", "more"):
                preset = gr.Dropdown(["auto", "tiny", "small", "base"], value="auto", label="Network")
                size = gr.Number(None, label="Size in pixels", info="Empty: what suits them.", precision=0)
                pixel_art = gr.Checkbox(False, label="Pixel art: invent no colour")
                flip = gr.Checkbox(False, label="Mirror half of them")
            start = gr.Button("Start", variant="primary", elem_id="start")
    found = gr.HTML(elem_id="found")
    source.input(lambda s: gr.update(visible=s == UPLOAD), source, files, queue=False, api_visibility="private")
    look.click(told(handle.look), [source, files], found, api_visibility="private", concurrency_id="scan")
    start.click(
        told(handle.start), [name, source, files, minutes, preset, size, pixel_art, flip], [chosen, tabs],
        api_visibility="private", show_progress="hidden", concurrency_id="scan",
    )  # fmt: skip
    return source
