"""The tab "Walk": interpolate between two kept pictures, and export the frames and a film."""

import base64
from collections.abc import Iterator
from typing import Any

import gradio as gr
import torch

from ..errors import InputError
from ..shapes import UInt8Images
from . import export, interpolation
from .draw_tab import PROGRESS_OPTIONS, QUEUE_OPTIONS
from .error_handling import report_errors
from .html_parts import format_caption, render_tiles
from .interpolation import FILM_FORMATS, Frames
from .session import Board, BoardSample
from .workspace import Workspace

FRAME_SIZE = 96  # approximate size of a frame in CSS pixels


class WalkTab:
    """The event handlers of the tab."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    def update_endpoints(self, board: Board, first: int | None, last: int | None) -> list[Any]:
        """Updates of both dropdowns with the kept pictures."""
        names = [(f"{i + 1}: {_format_caption(cell)}", i) for i, cell in enumerate(board.kept)]
        valid = range(len(names))
        ends = (first if first in valid else 0, last if last in valid else len(names) - 1)
        return [gr.update(choices=names, value=end if names else None) for end in ends]

    def draw_walk(
        self, board: Board, first: int | None, last: int | None, frames: int, loop: bool, kind: str, duration: int
    ) -> Iterator[list[Any]]:
        """Previews of the frames; at the end the film, the frames, and a zip of both."""
        if first is None or last is None or not board.kept:
            raise InputError("a walk needs two kept pictures: keep two in the tab Keep")
        start, end = (board.kept[min(int(i), len(board.kept) - 1)] for i in (first, last))
        if start is end:
            raise InputError("start and end are the same picture: choose another one for the end")
        for update in interpolation.draw_interpolation(
            self.workspace.load_model(start.model_name), start, end, int(frames), loop
        ):
            if isinstance(update, Frames):
                content = interpolation.encode_film(update.frames, kind, int(duration))
                data = interpolation.zip_frames(update.frames, content, kind)
                html = _render_film(content, kind) + _render_frames(torch.cat(update.frames), "Frames of the walk")
                yield [html, export.offer_files({"noisette-walk.zip": data}), "Done."]
            else:
                yield [
                    _render_frames(update, "Frames (sampling)"),
                    gr.skip(),
                    f"{_format_caption(start)} to {_format_caption(end)}",
                ]


def build(tab: WalkTab, board: gr.State) -> list[gr.Dropdown]:
    """Create the components and events of the tab. Returns the dropdowns of start and end."""
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            with gr.Row():
                go = gr.Button("Walk", variant="primary", elem_id="walk", scale=2, min_width=120)
                stop = gr.Button("Stop", scale=1, min_width=80)
            first = gr.Dropdown([], label="From", elem_id="walk-from")
            last = gr.Dropdown([], label="To", elem_id="walk-to")
            frames = gr.Slider(2, interpolation.MAX_FRAMES, 16, step=1, label="Frames", elem_id="frames")
            loop = gr.Checkbox(True, label="Loop: back to the start")
            kind = gr.Radio(list(FILM_FORMATS), value="GIF", label="Film")
            duration = gr.Slider(20, 500, 80, step=10, label="Frame duration", info="Milliseconds.")
        with gr.Column(scale=5, min_width=280):
            status = gr.HTML(
                "Choose two kept pictures.", html_template='<p class="n-status" role="status">${value}</p>'
            )
            out = gr.HTML("", elem_classes="n-canvas", elem_id="walked")
            files = gr.File(label="Film and frames", interactive=False, visible=False, elem_id="film")
    running = go.click(
        report_errors(tab.draw_walk), [board, first, last, frames, loop, kind, duration], [out, files, status],
        api_visibility="private", **PROGRESS_OPTIONS, **QUEUE_OPTIONS,
    )  # fmt: skip
    stop.click(None, cancels=[running], api_visibility="private")
    return [first, last]


def _format_caption(sample: BoardSample) -> str:
    return format_caption(sample.prompt, sample.record.seed, len(sample.record.rotations))


def _render_frames(frames: UInt8Images, aria_label: str) -> str:
    return render_tiles(frames, [f"{i + 1}" for i in range(len(frames))], aria_label, FRAME_SIZE)


def _render_film(content: bytes, kind: str) -> str:
    data = base64.b64encode(content).decode("ascii")
    return f'<img class="n-film" alt="The walk as a film" src="data:image/{FILM_FORMATS[kind]};base64,{data}">'
