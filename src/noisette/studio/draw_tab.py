"""The tab "Draw": sample, watch the steps, go back to any step, and branch off from it."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import gradio as gr

from ..diffusion.sampler import DDIM
from ..errors import InputError
from ..models.context import attribute_names
from ..models.picture_model import PictureModel
from ..models.registry import GRIDS, SAMPLERS
from ..sampling.record import SampleSettings
from . import trajectories
from .edit_kinds import VARY, supported_kinds
from .error_handling import report_errors
from .html_parts import collapsible, format_caption, render_tiles
from .limits import MAX_SAMPLES
from .previews import PREVIEW_INTERVAL
from .session import Board, Trajectory
from .workspace import Workspace

VIEW_X0, VIEW_XT = "predicted picture x̂0", "noisy picture x_t"
SAME_LABEL = "same label"
QUEUE_OPTIONS = {
    "concurrency_id": "model",
    "concurrency_limit": 1,
}  # one sampling run at a time; other visitors see their position in the queue
PROGRESS_OPTIONS = {"show_progress": "minimal"}
MAX_PAGE_SEED = 2**53 - 1  # larger numbers are not exact in a browser
RANDOM_SEED_SCRIPT = "() => Math.floor(Math.random() * 1e6)"


@dataclass(frozen=True)
class DrawControls:
    """The input components of the tab."""

    labels: gr.Dropdown
    attributes: gr.Textbox
    text: gr.Textbox
    seed: gr.Number
    number: gr.Slider
    sampler: gr.Dropdown
    grid: gr.Dropdown
    steps: gr.Slider
    eta: gr.Slider
    guidance: gr.Slider
    guidance_start: gr.Slider
    guidance_end: gr.Slider

    def all_inputs(self) -> list[Any]:
        """All components."""
        return [self.labels, self.attributes, self.text, self.seed, self.number, *self.sampler_inputs()]

    def sampler_inputs(self) -> list[Any]:
        """The components of the section "Sampling settings", in the order of `make_settings`."""
        return [self.sampler, self.grid, self.steps, self.eta, self.guidance, self.guidance_start, self.guidance_end]


class DrawTab:
    """The event handlers of the tab."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    def select_model(self, model_name: str | None) -> list[Any]:
        """Updates for another model: its description, its inputs and defaults, and the labels of branches."""
        if model_name is None:
            return ["No model yet: train one in the tab Train.", *[gr.skip()] * 11]
        model = self.workspace.load_model(model_name)
        defaults, labels = model.config.sampling, list(model.pictures.labels)
        is_conditional = bool(labels) or model.pictures.text_encoder is not None
        return [
            _describe_model(model),
            gr.update(choices=labels, value=[], visible=bool(labels)),
            *update_prompt_inputs(model),
            defaults.sampler,
            gr.update(choices=[g for g in GRIDS if g != "fitted" or defaults.fitted], value=defaults.grid),
            defaults.steps,
            gr.update(value=0, visible=_has_eta(defaults.sampler)),
            gr.update(value=defaults.guidance, visible=is_conditional),
            gr.update(value=0, visible=is_conditional),
            gr.update(value=100, visible=is_conditional),
            gr.update(choices=[SAME_LABEL, *labels], value=SAME_LABEL, visible=bool(labels)),
        ]

    def draw(
        self, model_name: str | None, labels: list[str], attributes: str, text: str, seed: float, number: int,
        sampler: str | None, grid: str | None, steps: int, eta: float, guidance: float, guidance_start: float,
        guidance_end: float, view: str,
    ) -> Iterator[list[Any]]:  # fmt: skip
        """Sample; after each step, updates of canvas, step slider, trajectory and status."""
        if model_name is None:
            raise InputError("there is no model yet: train one in the tab Train")
        model = self.workspace.load_model(model_name)
        settings = make_settings(model, sampler, grid, steps, eta, guidance, guidance_start, guidance_end)
        names = trajectories.split_attributes(attributes)
        request = trajectories.make_request(
            model, model_name, labels or [], int(seed or 0), int(number), settings, names, text.strip() or None
        )
        yield from self.stream_updates(trajectories.draw_trajectory(model, request), settings.steps, view)

    def branch(
        self, trajectory: Trajectory | None, step: float, seed: float | None, label: str | None
    ) -> Iterator[list[Any]]:
        """Sample a branch from a step; after each step, updates of its canvas, trajectory and status."""
        trajectory = _require_trajectory(trajectory)
        model = self.workspace.load_model(trajectory.model_name)
        new_label = None if label in (None, SAME_LABEL) else label
        new_seed = None if seed is None else int(seed)
        branches = trajectories.draw_branch(model, trajectory, int(step), new_seed, new_label)
        for canvas, _, branch, status in self.stream_updates(branches, trajectory.request.steps, VIEW_X0):
            yield [canvas, branch, status]

    def stream_updates(self, states: Iterator[Trajectory], steps: int, view: str) -> Iterator[list[Any]]:
        """Updates of canvas, step slider, trajectory and status, at most one per PREVIEW_INTERVAL and the last one."""
        last = 0.0
        for trajectory in states:
            now = time.monotonic()
            if trajectory.is_finished or now - last >= PREVIEW_INTERVAL:
                last = now
                step = trajectory.num_steps
                slider = gr.update(maximum=steps, value=step)
                yield [
                    self.render_canvas(trajectory, step, view),
                    slider,
                    trajectory,
                    self.format_status(trajectory, step),
                ]

    def show_step(self, trajectory: Trajectory | None, step: float, view: str) -> list[Any]:
        """Canvas and status of another step."""
        if trajectory is None:
            return [gr.skip(), gr.skip()]
        step = min(int(step), trajectory.num_steps)
        return [self.render_canvas(trajectory, step, view), self.format_status(trajectory, step)]

    def render_canvas(self, trajectory: Trajectory, step: int, view: str) -> str:
        """HTML of the pictures after a step."""
        pixels = trajectories.decode_step(
            self.workspace.load_model(trajectory.model_name), trajectory, step, view == VIEW_XT
        )
        captions = [
            format_caption(prompt, k.seed)
            for k, prompt in zip(trajectory.request.lineages, trajectory.prompts, strict=True)
        ]
        return render_tiles(pixels, captions, f"Pictures after step {step}")

    def format_status(self, trajectory: Trajectory, step: int) -> str:
        """Step and noise level as text; after the last step, that it is finished."""
        model = self.workspace.load_model(trajectory.model_name)
        ratio = float(model.schedule.ratio(trajectory.states[step].t))
        status = f"Step {step} of {trajectory.request.steps}"
        status += f", noise σ/α {ratio:.3g}" if ratio else ", finished"
        if trajectory.branch is not None:
            status += f"; branched off after step {trajectory.branch.step}"
        return escape(status)

    def fill_board(self, trajectory: Trajectory | None, board: Board) -> Board:
        """The board with the samples of a finished trajectory; the unchanged board for an unfinished one."""
        if trajectory is None or not trajectory.is_finished:
            return board
        return board.with_samples(
            trajectories.make_samples(self.workspace.load_model(trajectory.model_name), trajectory)
        )

    def add_branch(self, branch: Trajectory | None, board: Board) -> Board:
        """The board with the samples of a branch added."""
        branch = _require_trajectory(branch)
        samples = trajectories.make_samples(self.workspace.load_model(branch.model_name), branch)
        gr.Info(f"Added {len(samples)} pictures to the tab Keep.")
        return replace(board, samples=(*board.samples, *samples))


def build(
    tab: DrawTab, model: gr.Dropdown, trajectory: gr.State, board: gr.State
) -> tuple[DrawControls, gr.Dropdown, list[Any]]:
    """Create the components and events of the tab.

    Returns the inputs, the label dropdown of branches, and the events that change the board.
    """
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            with gr.Row():
                draw = gr.Button("Draw", variant="primary", elem_id="draw", scale=2, min_width=120)
                stop = gr.Button("Stop", elem_id="stop", scale=1, min_width=80)
            controls, random_seed = _controls()
        with gr.Column(scale=5, min_width=280):
            status = gr.HTML("No pictures yet.", html_template='<p class="n-status" role="status">${value}</p>')
            canvas = gr.HTML(elem_classes="n-canvas", elem_id="canvas", min_height=180)
            scrub = gr.Slider(0, 18, 18, step=1, label="Step shown", elem_id="scrub")
            view = gr.Radio([VIEW_X0, VIEW_XT], value=VIEW_X0, label="Show")
            label, seed, branch, take, branch_state, branch_status, out = _branch_parts()
    drawn = gr.on(
        [draw.click, controls.seed.submit, controls.text.submit], report_errors(tab.draw),
        [model, *controls.all_inputs(), view],
        [canvas, scrub, trajectory, status], api_visibility="private", **PROGRESS_OPTIONS, **QUEUE_OPTIONS,
    )  # fmt: skip
    done = drawn.success(
        report_errors(tab.fill_board), [trajectory, board], board, api_visibility="private", queue=False
    )
    branched = branch.click(
        report_errors(tab.branch), [trajectory, scrub, seed, label], [out, branch_state, branch_status],
        api_visibility="private", **PROGRESS_OPTIONS, **QUEUE_OPTIONS,
    )  # fmt: skip
    stop.click(None, cancels=[drawn, branched], api_visibility="private")
    quick: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    joined = take.click(report_errors(tab.add_branch), [branch_state, board], board, **quick)
    scrub.input(tab.show_step, [trajectory, scrub, view], [canvas, status], trigger_mode="always_last", **quick)
    view.input(tab.show_step, [trajectory, scrub, view], [canvas, status], **quick)
    random_seed.click(None, None, controls.seed, js=RANDOM_SEED_SCRIPT, api_visibility="private")
    controls.sampler.input(lambda s: gr.update(visible=_has_eta(s)), controls.sampler, controls.eta, **quick)
    return controls, label, [done, joined]


def _controls() -> tuple[DrawControls, gr.Button]:
    labels = gr.Dropdown(
        [], multiselect=True, allow_custom_value=True, label="Labels", elem_id="labels",
        info="Pictures cycle through them; none: all labels. Mixture: a:0.5,b:0.5",
    )  # fmt: skip
    attributes, text = build_prompt_inputs()
    seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=MAX_PAGE_SEED, elem_id="seed")
    random_seed = gr.Button("Random seed", size="sm")
    number = gr.Slider(1, MAX_SAMPLES, 8, step=1, label="Pictures", elem_id="number")
    with collapsible("Sampling settings", "sampling-settings"):
        steps = gr.Slider(1, 250, 18, step=1, label="Steps", elem_id="steps")
        sampler = gr.Dropdown(list(SAMPLERS), label="Sampler")
        grid = gr.Dropdown(list(GRIDS), label="Time grid")
        eta = gr.Slider(0, 1, 0, label="η", info="DDIM: 0 deterministic, 1 as much noise as DDPM.", visible=False)
        guidance = gr.Slider(
            0, 8, 1, step=0.1, label="Guidance", info="1: none. Larger: follow label or text more closely."
        )
        first = gr.Slider(0, 100, 0, step=1, label="Guidance from", info="Percent of the steps.")
        last = gr.Slider(0, 100, 100, step=1, label="Guidance until", info="Percent of the steps.")
    return DrawControls(
        labels, attributes, text, seed, number, sampler, grid, steps, eta, guidance, first, last
    ), random_seed


def build_prompt_inputs(id_prefix: str = "") -> tuple[gr.Textbox, gr.Textbox]:
    """Text boxes for attributes and for a text prompt, visible for models that support them."""
    attributes = gr.Textbox(
        "", label="Attributes", info="name=value, separated by commas.", visible=False, max_length=400,
        elem_id=f"{id_prefix}attributes",
    )  # fmt: skip
    text = gr.Textbox(
        "",
        label="Text",
        info="A description of the picture.",
        visible=False,
        max_length=400,
        elem_id=f"{id_prefix}text",
    )
    return attributes, text


def update_prompt_inputs(model: PictureModel) -> list[Any]:
    """Updates that empty both boxes, and show those that a model supports."""
    return [
        gr.update(value="", visible=bool(model.pictures.attributes)),
        gr.update(value="", visible=model.pictures.text_encoder is not None),
    ]


def _branch_parts() -> tuple[Any, ...]:
    with collapsible("Branch at this step", "branching"):
        gr.Markdown("Continue from the step shown above with other noise, another label, or both.")
        with gr.Row():
            label = gr.Dropdown([SAME_LABEL], value=SAME_LABEL, label="New label", min_width=140)
            seed = gr.Number(
                None,
                label="New seed",
                info="Empty: same noise.",
                precision=0,
                minimum=0,
                maximum=MAX_PAGE_SEED,
                min_width=140,
                elem_id="fork",
            )
        with gr.Row():
            branch, take = gr.Button("Branch", elem_id="branch"), gr.Button("Add to Keep", elem_id="take")
        status = gr.HTML("", html_template='<p class="n-status" role="status">${value}</p>')
        out = gr.HTML(elem_classes="n-canvas", elem_id="twig")
    return label, seed, branch, take, gr.State(None), status, out


def _describe_model(model: PictureModel) -> str:
    """The model in a line: RGBA, 16×16, 3 labels."""
    p = model.pictures
    words = f"{p.mode}, {p.width}×{p.height}" + (f", {len(p.labels)} labels" if p.labels else "")
    words += f", {sum(w.numel() for w in model.parameters()) / 1e6:.2f} million parameters"
    words += f"; attributes: {_describe_attributes(model)}" if p.attributes else ""
    words += "; reads text" if p.text_encoder is not None else ""
    return words + (
        ""
        if VARY in supported_kinds(model.config)
        else f"; it can {' and '.join(supported_kinds(model.config))} in the tab Edit"
    )


def _describe_attributes(model: PictureModel) -> str:
    """Names and values of the attributes: hue (a number), shape (round or square)."""
    names = attribute_names(model.pictures)
    return ", ".join(f"{name} ({' or '.join(words) if words else 'a number'})" for name, words in names.items())


def make_settings(
    model: PictureModel, sampler: str | None, grid: str | None, steps: float, eta: float, guidance: float,
    guidance_start: float, guidance_end: float,
) -> SampleSettings:  # fmt: skip
    """The settings of the section "Sampling settings"; the interval of guidance is in percent of the steps."""
    used_eta = eta if _has_eta(sampler) else None
    return trajectories.make_settings(
        model, sampler, grid, int(steps), guidance, used_eta, (guidance_start / 100, guidance_end / 100)
    )


def _has_eta(sampler: str | None) -> bool:
    return sampler is not None and isinstance(SAMPLERS[sampler](), DDIM)


def _require_trajectory(trajectory: Trajectory | None) -> Trajectory:
    if trajectory is None:
        raise InputError("there are no pictures yet: press Draw first")
    return trajectory
