"""The page "Draw": ask, watch it come out of the noise, go back through the steps, leave the walk at any of them."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import gradio as gr

from ..config import GRIDS, SAMPLERS
from ..context import attribute_names
from ..errors import InputError
from ..model import PictureModel
from ..sampler import DDIM
from . import drawing
from .fold import fold
from .kinds import VARY, kinds
from .live import EVERY
from .session import Board, Walk, Way
from .tiles import said, tiles
from .told import told
from .workspace import Workspace

PICTURE, NOISE = "what the model sees", "where the walk is"
SAME = "the same label"
QUEUE = {"concurrency_id": "model", "concurrency_limit": 1}  # one walk at a time; the others see their place
WATCH = {"show_progress": "minimal"}
RANDOM = "() => Math.floor(Math.random() * 1e6)"


@dataclass(frozen=True)
class Controls:
    """What a visitor may ask for."""

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
    first: gr.Slider
    last: gr.Slider

    def all(self) -> list[Any]:
        return [self.labels, self.attributes, self.text, self.seed, self.number, *self.way()]

    def way(self) -> list[Any]:
        return [self.sampler, self.grid, self.steps, self.eta, self.guidance, self.first, self.last]


class Drawing:
    """What the page does, on the models of a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    def chosen(self, name: str | None) -> list[Any]:
        """The model in a line, the controls as it has them, and the labels that a branch may ask for."""
        if name is None:
            return ["No model yet: train one, under Train.", *[gr.skip()] * 11]
        model = self.workspace.model(name)
        own, labels = model.config.sampling, list(model.pictures.labels)
        asked = bool(labels) or model.pictures.wording is not None
        return [
            _about(model),
            gr.update(choices=labels, value=[], visible=bool(labels)),
            *asked_by(model),
            own.sampler,
            gr.update(choices=[g for g in GRIDS if g != "fitted" or own.fitted], value=own.grid),
            own.steps,
            gr.update(value=0, visible=_has_eta(own.sampler)),
            gr.update(value=own.guidance, visible=asked),
            gr.update(value=0, visible=asked),
            gr.update(value=100, visible=asked),
            gr.update(choices=[SAME, *labels], value=SAME, visible=bool(labels)),
        ]

    def draw(
        self, name: str | None, labels: list[str], attributes: str, text: str, seed: float, number: int,
        sampler: str | None, grid: str | None, steps: int, eta: float, guidance: float, first: float, last: float,
        what: str,
    ) -> Iterator[list[Any]]:  # fmt: skip
        """Canvas, scrubber, the walk so far, and where it is; after every step."""
        if name is None:
            raise InputError("there is no model yet to draw with: train one, under Train")
        model = self.workspace.model(name)
        way = way_of(model, sampler, grid, steps, eta, guidance, first, last)
        told = drawing.listed(attributes)
        wish = drawing.wish(model, name, labels or [], int(seed or 0), int(number), way, told, text.strip() or None)
        yield from self.shown(drawing.walk(model, wish), way.steps, what)

    def branched(self, walk: Walk | None, step: float, seed: float | None, label: str | None) -> Iterator[list[Any]]:
        """The branch's canvas, the branch, and where it is."""
        walk = _there(walk)
        model = self.workspace.model(walk.wish.model)
        asked = None if label in (None, SAME) else label
        onwards = drawing.branch(model, walk, int(step), None if seed is None else int(seed), asked)
        for canvas, _, after, status in self.shown(onwards, walk.wish.way.steps, PICTURE):
            yield [canvas, after, status]

    def shown(self, walks: Iterator[Walk], steps: int, what: str) -> Iterator[list[Any]]:
        last = 0.0
        for walk in walks:
            now = time.monotonic()
            if walk.done or now - last >= EVERY:
                last = now
                yield [
                    self.canvas(walk, walk.steps, what), gr.update(maximum=steps, value=walk.steps), walk,
                    self.status(walk, walk.steps),
                ]  # fmt: skip

    def scrub(self, walk: Walk | None, step: float, what: str) -> list[Any]:
        """The canvas at another step, and which that is."""
        if walk is None:
            return [gr.skip(), gr.skip()]
        at = min(int(step), walk.steps)
        return [self.canvas(walk, at, what), self.status(walk, at)]

    def canvas(self, walk: Walk, step: int, what: str) -> str:
        pixels = drawing.seen(self.workspace.model(walk.wish.model), walk, step, what == NOISE)
        captions = [said(asked, k.seed) for k, asked in zip(walk.wish.kin, walk.asked, strict=True)]
        return tiles(pixels, captions, f"Pictures after step {step}")

    def status(self, walk: Walk, step: int) -> str:
        model = self.workspace.model(walk.wish.model)
        ratio = float(model.schedule.ratio(walk.states[step].t))
        words = f"Step {step} of {walk.wish.way.steps}, noise σ/α {ratio:.3g}"
        if walk.branch is not None:
            words += f"; branched off after step {walk.branch.step}"
        return escape(words)

    def finished(self, walk: Walk | None, board: Board) -> Board:
        """The board with the pictures of a walk that came to its end; of others nothing is taken."""
        if walk is None or not walk.done:
            return board
        return board.filled(drawing.cells(self.workspace.model(walk.wish.model), walk))

    def joined(self, branch: Walk | None, board: Board) -> Board:
        """The board with the pictures of a branch as well."""
        found = drawing.cells(self.workspace.model(_there(branch).wish.model), _there(branch))
        gr.Info(f"{len(found)} more to choose from, under Keep.")
        return replace(board, cells=(*board.cells, *found))


def build(
    handle: Drawing, model: gr.Dropdown, walk: gr.State, board: gr.State
) -> tuple[Controls, gr.Dropdown, list[Any]]:
    """The page's parts, and what happens when they are used. Returns the controls that depend on the model, and the
    events after which the board holds other pictures."""
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            with gr.Row():
                draw = gr.Button("Draw", variant="primary", elem_id="draw", scale=2, min_width=120)
                stop = gr.Button("Stop", elem_id="stop", scale=1, min_width=80)
            controls, other = _controls()
        with gr.Column(scale=5, min_width=280):
            status = gr.HTML("Nothing drawn yet.", html_template='<p class="n-status" role="status">${value}</p>')
            canvas = gr.HTML(elem_classes="n-canvas", elem_id="canvas", min_height=180)
            scrub = gr.Slider(0, 18, 18, step=1, label="Back through the steps", elem_id="scrub")
            what = gr.Radio([PICTURE, NOISE], value=PICTURE, label="Show")
            label, seed, branch, take, twig, said_so, out = _branch_parts()
    drawn = gr.on(
        [draw.click, controls.seed.submit, controls.text.submit], told(handle.draw), [model, *controls.all(), what],
        [canvas, scrub, walk, status], api_visibility="private", **WATCH, **QUEUE,
    )  # fmt: skip
    done = drawn.success(told(handle.finished), [walk, board], board, api_visibility="private", queue=False)
    off = branch.click(
        told(handle.branched), [walk, scrub, seed, label], [out, twig, said_so],
        api_visibility="private", **WATCH, **QUEUE,
    )  # fmt: skip
    stop.click(None, cancels=[drawn, off], api_visibility="private")
    quick: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    joined = take.click(told(handle.joined), [twig, board], board, **quick)
    scrub.input(handle.scrub, [walk, scrub, what], [canvas, status], trigger_mode="always_last", **quick)
    what.input(handle.scrub, [walk, scrub, what], [canvas, status], **quick)
    other.click(None, None, controls.seed, js=RANDOM, api_visibility="private")
    controls.sampler.input(lambda s: gr.update(visible=_has_eta(s)), controls.sampler, controls.eta, **quick)
    return controls, label, [done, joined]


def _controls() -> tuple[Controls, gr.Button]:
    labels = gr.Dropdown(
        [], multiselect=True, allow_custom_value=True, label="Labels", elem_id="labels",
        info="One after the other; none: all in turn. A mixture is written a:0.5,b:0.5.",
    )  # fmt: skip
    attributes, text = asking()
    seed = gr.Number(0, label="Seed", precision=0, minimum=0, elem_id="seed")
    other = gr.Button("Another seed", size="sm")
    number = gr.Slider(1, drawing.MOST, 8, step=1, label="Pictures", elem_id="number")
    with fold("How it walks", "way"):
        steps = gr.Slider(1, 250, 18, step=1, label="Steps", elem_id="steps")
        sampler = gr.Dropdown(list(SAMPLERS), label="Sampler")
        grid = gr.Dropdown(list(GRIDS), label="Times")
        eta = gr.Slider(0, 1, 0, label="η", info="DDIM's share of DDPM's noise.", visible=False)
        guidance = gr.Slider(0, 8, 1, step=0.1, label="Guidance", info="1: none. More: nearer to the label.")
        first = gr.Slider(0, 100, 0, step=1, label="Guided from", info="Per cent of the walk.")
        last = gr.Slider(0, 100, 100, step=1, label="Guided until", info="Per cent of the walk.")
    return Controls(labels, attributes, text, seed, number, sampler, grid, steps, eta, guidance, first, last), other


def asking(where: str = "") -> tuple[gr.Textbox, gr.Textbox]:
    """What a picture should be, by attributes and in words. Shown for models that can be asked so."""
    attributes = gr.Textbox(
        "", label="Attributes", info="Written name=value, with commas between.", visible=False, max_length=400,
        elem_id=f"{where}attributes",
    )  # fmt: skip
    text = gr.Textbox(
        "", label="Text", info="What is to be seen, in words.", visible=False, max_length=400, elem_id=f"{where}text"
    )
    return attributes, text


def asked_by(model: PictureModel) -> list[Any]:
    """Both boxes, empty, as a model has them."""
    return [
        gr.update(value="", visible=bool(model.pictures.attributes)),
        gr.update(value="", visible=model.pictures.wording is not None),
    ]


def _branch_parts() -> tuple[Any, ...]:
    with fold("Branch off at this step", "branching"):
        gr.Markdown("From the step shown above on, with other noise, another label, or both.")
        with gr.Row():
            label = gr.Dropdown([SAME], value=SAME, label="Label from here", min_width=140)
            seed = gr.Number(
                None, label="Seed from here", info="Empty: the same noise.", precision=0, min_width=140, elem_id="fork"
            )
        with gr.Row():
            branch, take = gr.Button("Branch", elem_id="branch"), gr.Button("Add to Keep", elem_id="take")
        said_so = gr.HTML("", html_template='<p class="n-status" role="status">${value}</p>')
        out = gr.HTML(elem_classes="n-canvas", elem_id="twig")
    return label, seed, branch, take, gr.State(None), said_so, out


def _about(model: PictureModel) -> str:
    """The model in a line: RGBA, 16×16, 3 labels."""
    p = model.pictures
    words = f"{p.mode}, {p.width}×{p.height}" + (f", {len(p.labels)} labels" if p.labels else "")
    words += f", {sum(w.numel() for w in model.parameters()) / 1e6:.2f} million weights"
    words += f"; attributes: {_attributes(model)}" if p.attributes else ""
    words += "; reads text" if p.wording is not None else ""
    return words + ("" if VARY in kinds(model) else f"; it can {' and '.join(kinds(model))}, under Edit")


def _attributes(model: PictureModel) -> str:
    """What may be asked for beside labels: hue (a number), shape (round or square)."""
    names = attribute_names(model.pictures)
    return ", ".join(f"{name} ({' or '.join(words) if words else 'a number'})" for name, words in names.items())


def way_of(
    model: PictureModel, sampler: str | None, grid: str | None, steps: float, eta: float, guidance: float,
    first: float, last: float,
) -> Way:  # fmt: skip
    """What is set under "How it walks"."""
    own_eta = eta if _has_eta(sampler) else None
    return drawing.way(model, sampler, grid, int(steps), guidance, own_eta, (first / 100, last / 100))


def _has_eta(sampler: str | None) -> bool:
    return sampler is not None and isinstance(SAMPLERS[sampler](), DDIM)


def _there(walk: Walk | None) -> Walk:
    if walk is None:
        raise InputError("nothing is drawn yet: draw first")
    return walk
