"""The whole page: a model chosen at the top, and a tab for each thing that one does."""

from typing import Any

import gradio as gr

from . import api, draw, edit, keep, runs, slide, train, walk
from .api_edit import EditApi
from .session import Board
from .told import told
from .trainer import Trainer
from .workspace import Workspace

TITLE = "Noisette studio"
HEAD = '<div class="n-head"><h1>Noisette</h1><p>Draw with your own model. Nothing leaves this machine.</p></div>'


def page(workspace: Workspace, trainer: Trainer) -> gr.Blocks:
    """The page for a workspace. It is the same for every visitor; what one sees is in one's own states."""
    drawing, keeping, editing = draw.Drawing(workspace), keep.Keeping(workspace), edit.Editing(workspace)
    walking, sliding = walk.Walking(workspace), slide.Sliding(workspace)
    running, starting = runs.Running(workspace, trainer), train.Starting(workspace, trainer)
    with gr.Blocks(analytics_enabled=False, title=TITLE, delete_cache=(3600, 3600)) as blocks:
        api.offered(
            api.Api(workspace, trainer), EditApi(workspace, sliding.directions)
        )  # first: the page's own events make way for these names
        gr.HTML(HEAD)
        path, board = gr.State(None), gr.State(Board())
        names = workspace.models()
        model = gr.Dropdown(names, value=next(iter(names), None), label="Model", elem_id="model")
        about = gr.HTML("", html_template='<p class="n-faint">${value}</p>', elem_id="about")
        with gr.Tabs() as tabs:
            with gr.Tab("Draw"):
                controls, label, filled = draw.build(drawing, model, path, board)
            with gr.Tab("Keep") as choosing:
                grid = keep.build(keeping, board)
            with gr.Tab("Edit", id="edit"):
                own, paper = edit.build(editing, model, controls)
            with gr.Tab("Walk") as between:
                ends = walk.build(walking, board)
            with gr.Tab("Sliders"):
                axes = slide.build(sliding, model, controls)
            with gr.Tab("Runs", id="runs") as shown:
                run, parts = runs.build(running)
            with gr.Tab("Train"):
                source = train.build(starting, run, tabs)
        way = [about, controls.labels, controls.attributes, controls.text, *controls.way(), label]
        quick: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
        data, picture, kind = paper
        known, parts_of_model = gr.State(model.value), [*way, *own, *axes]

        def chosen(name: str | None, before: str | None, what: str) -> list[Any]:
            """What another model changes. Gradio tells of input, too, when the keyboard leaves a list without having
            chosen: then nothing is changed."""
            if name == before:
                return [gr.skip()] * (1 + len(parts_of_model))
            return [name, *drawing.chosen(name), *editing.chosen(name, what), *sliding.chosen(name)]

        model.input(
            told(chosen), [model, known, kind], [known, *parts_of_model], trigger_mode="always_last", **quick
        )  # fmt: skip
        known.change(told(editing.seen), [model, data, kind], picture, **quick)
        grid[1].select(told(editing.kept), [board, model, kind], [data, picture, tabs], **quick)
        between.select(walking.stops, [board, *ends], ends, **quick)
        for event in (choosing.select, *(done.then for done in filled)):
            event(keeping.show, board, grid, **quick)
        shown.select(told(running.refreshed), run, run, **quick).then(told(running.chosen), run, parts, **quick)
        blocks.load(
            lambda: [gr.update(choices=workspace.models()), gr.update(choices=starting.sources())],
            None, [model, source], **quick,
        )  # fmt: skip
        blocks.load(told(drawing.chosen), model, way, **quick)
        blocks.load(told(sliding.chosen), model, axes, **quick)
        blocks.load(told(editing.chosen), [model, kind], own, **quick)
    return blocks.queue(default_concurrency_limit=1, max_size=64)
