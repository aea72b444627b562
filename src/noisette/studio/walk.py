"""The page "Walk": from one kept picture to another, frame by frame, and a film of it to take away."""

import base64
from collections.abc import Iterator
from typing import Any

import gradio as gr
import torch

from ..errors import InputError
from ..shapes import Bytes
from . import export, walking
from .draw import QUEUE, WATCH
from .session import Board, Cell
from .tiles import said, tiles
from .told import told
from .walking import KINDS, Film
from .workspace import Workspace

FRAME = 96  # CSS pixels that a frame is enlarged to, about


class Walking:
    """What the page does, on the models of a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    def stops(self, board: Board, first: int | None, last: int | None) -> list[Any]:
        """What was kept, to choose from twice."""
        names = [(f"{i + 1}: {_caption(cell)}", i) for i, cell in enumerate(board.kept)]
        there = range(len(names))
        ends = (first if first in there else 0, last if last in there else len(names) - 1)
        return [gr.update(choices=names, value=end if names else None) for end in ends]

    def walk(
        self, board: Board, first: int | None, last: int | None, frames: int, loop: bool, kind: str, duration: int
    ) -> Iterator[list[Any]]:
        """The frames as they are drawn; at last the film, the frames, and a file of both."""
        if first is None or last is None or not board.kept:
            raise InputError("a walk goes from one kept picture to another: keep two, under Keep")
        one, other = (board.kept[min(int(i), len(board.kept) - 1)] for i in (first, last))
        if one is other:
            raise InputError("that is one picture twice: choose another for the end of the walk")
        for seen in walking.between(self.workspace.model(one.name), one, other, int(frames), loop):
            if isinstance(seen, Film):
                content = walking.film(seen.frames, kind, int(duration))
                data = walking.packed(seen.frames, content, kind)
                shown = _film(content, kind) + _frames(torch.cat(seen.frames), "Frames of the walk")
                yield [shown, export.offered({"noisette-walk.zip": data}), "Done."]
            else:
                yield [_frames(seen, "Frames being drawn"), gr.skip(), f"{_caption(one)} to {_caption(other)}"]


def build(handle: Walking, board: gr.State) -> list[gr.Dropdown]:
    """The page's parts, and what happens when they are used. Returns the two ends."""
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            with gr.Row():
                go = gr.Button("Walk", variant="primary", elem_id="walk", scale=2, min_width=120)
                stop = gr.Button("Stop", scale=1, min_width=80)
            first = gr.Dropdown([], label="From", elem_id="walk-from")
            last = gr.Dropdown([], label="To", elem_id="walk-to")
            frames = gr.Slider(2, walking.MOST, 16, step=1, label="Frames", elem_id="frames")
            loop = gr.Checkbox(True, label="And back again")
            kind = gr.Radio(list(KINDS), value="GIF", label="Film")
            duration = gr.Slider(20, 500, 80, step=10, label="A frame lasts", info="Milliseconds.")
        with gr.Column(scale=5, min_width=280):
            status = gr.HTML(
                "Choose two pictures that you kept.", html_template='<p class="n-status" role="status">${value}</p>'
            )
            out = gr.HTML("", elem_classes="n-canvas", elem_id="walked")
            files = gr.File(label="Film and frames", interactive=False, visible=False, elem_id="film")
    running = go.click(
        told(handle.walk), [board, first, last, frames, loop, kind, duration], [out, files, status],
        api_visibility="private", **WATCH, **QUEUE,
    )  # fmt: skip
    stop.click(None, cancels=[running], api_visibility="private")
    return [first, last]


def _caption(cell: Cell) -> str:
    return said(cell.asked, cell.origin.seed, len(cell.origin.turns))


def _frames(frames: Bytes, what: str) -> str:
    return tiles(frames, [f"{i + 1}" for i in range(len(frames))], what, FRAME)


def _film(content: bytes, kind: str) -> str:
    data = base64.b64encode(content).decode("ascii")
    return f'<img class="n-film" alt="The walk as a film" src="data:image/{KINDS[kind]};base64,{data}">'
