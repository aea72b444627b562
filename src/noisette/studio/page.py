"""The whole page: a model chosen at the top, and a tab for each thing that one does."""

from typing import Any

import gradio as gr

from . import api, draw, keep, runs, train
from .session import Board
from .told import told
from .trainer import Trainer
from .workspace import Workspace

TITLE = "Noisette studio"
HEAD = '<div class="n-head"><h1>Noisette</h1><p>Draw with your own model. Nothing leaves this machine.</p></div>'


def page(workspace: Workspace, trainer: Trainer) -> gr.Blocks:
    """The page for a workspace. It is the same for every visitor; what one sees is in one's own states."""
    drawing, keeping = draw.Drawing(workspace), keep.Keeping(workspace)
    running, starting = runs.Running(workspace, trainer), train.Starting(workspace, trainer)
    with gr.Blocks(analytics_enabled=False, title=TITLE, delete_cache=(3600, 3600)) as blocks:
        api.offered(api.Api(workspace, trainer))  # first: the page's own events make way for these names
        gr.HTML(HEAD)
        walk, board = gr.State(None), gr.State(Board())
        names = workspace.models()
        model = gr.Dropdown(names, value=next(iter(names), None), label="Model", elem_id="model")
        about = gr.HTML("", html_template='<p class="n-faint">${value}</p>', elem_id="about")
        with gr.Tabs() as tabs:
            with gr.Tab("Draw"):
                controls, label = draw.build(drawing, model, walk, board)
            with gr.Tab("Keep") as choosing:
                grid = keep.build(keeping, board)
            with gr.Tab("Runs", id="runs") as shown:
                run, parts = runs.build(running)
            with gr.Tab("Train"):
                source = train.build(starting, run, tabs)
        way = [about, controls.labels, *controls.way(), label]
        quick: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
        model.input(told(drawing.chosen), model, way, **quick)
        choosing.select(keeping.show, board, grid, **quick)
        shown.select(told(running.refreshed), run, run, **quick).then(told(running.chosen), run, parts, **quick)
        blocks.load(
            lambda: [gr.update(choices=workspace.models()), gr.update(choices=starting.sources())],
            None, [model, source], **quick,
        )  # fmt: skip
        blocks.load(told(drawing.chosen), model, way, **quick)
    return blocks.queue(default_concurrency_limit=1, max_size=64)
