"""The studio page: a model dropdown at the top, and tabs for drawing, keeping, editing, and training."""

from typing import Any

import gradio as gr

from . import api, draw_tab, edit_tab, keep_tab, runs_tab, sliders_tab, train_tab, walk_tab
from .api_edit import EditApi
from .error_handling import CheckedBlocks, report_errors
from .session import Board
from .trainer import Trainer
from .workspace import Workspace

TITLE = "Noisette studio"
HEADER_HTML = (
    '<div class="n-head"><h1>Noisette</h1><p>Sample from your own model. Nothing leaves this machine.</p></div>'
)


def build_page(workspace: Workspace, trainer: Trainer) -> gr.Blocks:
    """The page of a workspace. It is shared; the data of each visitor is in Gradio states."""
    drawing, keeping, editing = draw_tab.DrawTab(workspace), keep_tab.KeepTab(workspace), edit_tab.EditTab(workspace)
    walking, sliding = walk_tab.WalkTab(workspace), sliders_tab.SlidersTab(workspace)
    running, starting = runs_tab.RunsTab(workspace, trainer), train_tab.TrainTab(workspace, trainer)
    with CheckedBlocks(analytics_enabled=False, title=TITLE, delete_cache=(3600, 3600)) as blocks:
        api.register_api(
            api.Api(workspace, trainer), EditApi(workspace, sliding.direction_cache)
        )  # first, so that these endpoints get their names
        gr.HTML(HEADER_HTML)
        path, board = gr.State(None), gr.State(Board())
        names = workspace.list_models()
        model = gr.Dropdown(names, value=next(iter(names), None), label="Model", elem_id="model")
        about = gr.HTML("", html_template='<p class="n-faint">${value}</p>', elem_id="about")
        with gr.Tabs() as tabs:
            with gr.Tab("Draw"):
                controls, label, filled = draw_tab.build(drawing, model, path, board)
            with gr.Tab("Keep") as choosing:
                grid = keep_tab.build(keeping, board)
            with gr.Tab("Edit", id="edit"):
                edit_inputs, edit_picture = edit_tab.build(editing, model, controls)
            with gr.Tab("Walk") as between:
                ends = walk_tab.build(walking, board)
            with gr.Tab("Sliders"):
                axes = sliders_tab.build(sliding, model, controls)
            with gr.Tab("Runs", id="runs") as shown:
                run, parts = runs_tab.build(running)
            with gr.Tab("Train"):
                source, origin = train_tab.build(starting, run, tabs)
        draw_inputs = [about, controls.labels, controls.attributes, controls.text, *controls.sampler_inputs(), label]
        quick: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
        data, picture, edit_status, kind = edit_picture
        selected, model_inputs = gr.State(model.value), [*draw_inputs, *edit_inputs, *axes]

        def select_model(name: str | None, previous: str | None, kind: str) -> list[Any]:
            """Updates for another model; none for the same one: Gradio also fires when a list loses the focus."""
            if name == previous:
                return [gr.skip()] * (1 + len(model_inputs))
            return [name, *drawing.select_model(name), *editing.select_model(name, kind), *sliding.select_model(name)]

        model.input(
            report_errors(select_model),
            [model, selected, kind],
            [selected, *model_inputs],
            trigger_mode="always_last",
            **quick,
        )
        selected.change(report_errors(editing.refresh_picture), [model, data, kind], picture, **quick)
        grid[1].select(
            report_errors(editing.load_kept), [board, model, kind], [data, picture, edit_status, tabs], **quick
        )
        between.select(walking.update_endpoints, [board, *ends], ends, **quick)
        for event in (choosing.select, *(done.then for done in filled)):
            event(keeping.render_board, board, grid, **quick)
        shown.select(report_errors(running.refresh_list), run, run, **quick).then(
            report_errors(running.show_run), run, parts, **quick
        )
        blocks.load(
            lambda: [
                gr.update(choices=choices)
                for choices in (workspace.list_models(), starting.list_sources(), starting.list_starts())
            ],
            None, [model, source, origin], **quick,
        )  # fmt: skip
        blocks.load(report_errors(drawing.select_model), model, draw_inputs, **quick)
        blocks.load(report_errors(sliding.select_model), model, axes, **quick)
        blocks.load(report_errors(editing.select_model), [model, kind], edit_inputs, **quick)
    return blocks.queue(default_concurrency_limit=1, max_size=64, api_open=False)
