"""The page "Edit": a picture of one's own, varied, filled in, drawn around, enlarged or made seamless."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from ..errors import InputError
from ..task import Draw
from ..viz.png import png
from . import brush, drawing, editing, export
from .draw import QUEUE, WATCH, Controls, asked_by, asking, way_of
from .editing import Edited
from .kinds import AROUND, FILL, FIND, LARGEST, MOST, OF_TASK, ROUNDS, TILE, VARY, Ask, kinds, read
from .session import Board
from .tiles import results, tiles
from .told import told
from .uploads import PICTURES
from .workspace import Workspace

ANY = "any label"
CLICKS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-do]');
  if (button) trigger('click', {do: button.dataset.do, i: Number(button.dataset.i)});
});
"""


class Editing:
    """What the page does, on the models of a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    def chosen(self, name: str | None, kind: str) -> list[Any]:
        """What a model can be asked for, and what it can do."""
        if name is None:
            return [*[gr.update(visible=False)] * 3, *[gr.skip()] * 5]
        model = self.workspace.model(name)
        can = kinds(model)
        kind = kind if kind in can else can[0]
        labels = list(model.pictures.labels)
        return [
            gr.update(choices=[ANY, *labels], value=ANY, visible=bool(labels)), *asked_by(model),
            gr.update(choices=list(can), value=kind), *self.kind(kind, "")[:-1],
        ]  # fmt: skip

    def seen(self, name: str | None, data: bytes | None, kind: str) -> Any:
        """The picture as another model sees it: as it is when that model is there, for it may have come meanwhile."""
        try:
            return self.paper(name, data, kind)
        except InputError as error:  # of one model's size, and not of the other's
            gr.Warning(str(error))
            return ""

    def uploaded(self, name: str | None, file: str | None, kind: str) -> list[Any]:
        """The picture's bytes, and how it is shown."""
        if file is None:
            return [None, ""]
        if Path(file).stat().st_size > LARGEST:
            raise InputError(f"a picture's file may have {LARGEST // 2**20} MB at most")
        data = Path(file).read_bytes()
        return [data, self.paper(name, data, kind)]

    def kept(self, board: Board, event: gr.EventData, name: str | None, kind: str) -> list[Any]:
        """A picture of the shelf."""
        i = int(event.i)
        if not 0 <= i < len(board.kept):
            raise InputError(f"there is no picture {i + 1} on the shelf: it has {len(board.kept)}")
        data = png(board.kept[i].pixels)
        return [data, self.paper(name, data, kind), gr.update(selected="edit")]

    def again(self, made: Sequence[Edited], event: gr.EventData, name: str | None, kind: str) -> list[Any]:
        """What came of an edit, to be edited."""
        i = int(event.i)
        if not 0 <= i < len(made):
            raise InputError(f"there is no picture {i + 1} here: there are {len(made)}")
        data = png(made[i].pixels)
        return [data, self.paper(name, data, kind)]

    def paper(self, name: str | None, data: bytes | None, kind: str) -> Any:
        """The picture in the model's size, to look at and to mark in."""
        if data is None or name is None:
            return ""
        return brush.shown(read(data, self.workspace.model(name)).pixels, kind == FILL)

    def kind(self, kind: str, paper: Any) -> list[Any]:
        """The controls that a kind of edit has; and the tools for marking, without losing what is marked."""
        shown = {**paper, "marking": kind == FILL} if isinstance(paper, dict) else paper
        return [
            gr.update(visible=kind == VARY), gr.update(visible=kind not in (VARY, FIND)),
            gr.update(visible=kind == AROUND), gr.update(visible=kind == TILE), shown,
        ]  # fmt: skip

    def edit(
        self, name: str | None, data: bytes | None, paper: Any, kind: str, label: str | None, attributes: str,
        text: str, seed: float, number: int, strength: float, rounds: int, margin: int, axes: str, *way: Any,
    ) -> Iterator[list[Any]]:  # fmt: skip
        """What is seen on the way, and at last the pictures."""
        if name is None:
            raise InputError("there is no model yet to edit with: train one, under Train")
        if data is None:
            raise InputError("there is no picture yet: upload one, or press Edit beside one that is kept")
        model = self.workspace.model(name)
        asked = None if label in (None, ANY) else label
        ask = Ask(
            kind, asked, int(seed or 0), int(number), strength, int(rounds), int(margin), axes, brush.marked(paper),
            drawing.listed(attributes), text.strip() or None,
        )  # fmt: skip
        captions = [f"seed {ask.seed + i}" for i in range(ask.number)]
        for seen in editing.edited(model, data, ask, way_of(model, *way)):
            if isinstance(seen, list):
                yield [results([e.pixels for e in seen], [e.caption for e in seen]), tuple(seen), "Done."]
            else:
                yield [tiles(seen, captions, "Being drawn"), gr.skip(), "Being drawn."]

    def export(self, made: Sequence[Edited]) -> Any:
        """What came of the last edit, for the visitor to save."""
        if not made:
            raise InputError("nothing was edited yet: there is nothing to take away")
        files = {f"{e.stem}.png": png(e.pixels, e.told) for e in made}
        return export.offered({"noisette-edit.zip": export.zipped(files)})


def build(handle: Editing, model: gr.Dropdown, controls: Controls) -> tuple[list[Any], list[Any]]:
    """The page's parts, and what happens when they are used. Returns what another model changes, and what a picture of
    another page is put into: the picture, how it is shown, and the kind of edit."""
    data, made = gr.State(None), gr.State(())
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            with gr.Row():
                go = gr.Button("Edit", variant="primary", elem_id="go", scale=2, min_width=120)
                stop = gr.Button("Stop", elem_id="leave", scale=1, min_width=80)
            file = gr.File(label="Picture", file_types=list(PICTURES), height=120, elem_id="picture")
            kind = gr.Radio(list(OF_TASK[Draw]), value=VARY, label="What to do", elem_id="kind")
            strength = gr.Slider(0.05, 1, 0.5, step=0.05, label="How much", info="1: nothing stays.",
                                 elem_id="strength")  # fmt: skip
            rounds = gr.Slider(1, ROUNDS, 5, step=1, label="Rounds", visible=False, elem_id="rounds",
                               info="How often each step is taken: more fit better.")  # fmt: skip
            margin = gr.Slider(1, 64, 4, step=1, label="Margin", info="Pixels on every side.", visible=False,
                               elem_id="margin")  # fmt: skip
            axes = gr.Radio(["x", "y", "xy"], value="xy", label="In", visible=False)
            label = gr.Dropdown([ANY], value=ANY, label="Label", elem_id="edit-label")
            attributes, text = asking("edit-")
            seed = gr.Number(0, label="Seed", precision=0, minimum=0, elem_id="edit-seed")
            number = gr.Slider(1, MOST, 4, step=1, label="Pictures", elem_id="edit-number")
            gr.HTML('<p class="n-faint">Sampler, steps and guidance are those under Draw.</p>')
        with gr.Column(scale=5, min_width=280):
            paper = brush.brush()
            status = gr.HTML(
                "Upload a picture, or press Edit beside one that you kept.",
                html_template='<p class="n-status" role="status">${value}</p>', elem_id="edited-status",
            )  # fmt: skip
            out = gr.HTML("", js_on_load=CLICKS, elem_classes="n-canvas", elem_id="edited")
            save = gr.Button("Export", elem_id="edit-export")
            files = gr.File(label="Exported", interactive=False, visible=False, elem_id="edit-exported")
    quick: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    running = go.click(
        told(handle.edit),
        [
            model, data, paper, kind, label, attributes, text, seed, number, strength, rounds, margin, axes,
            *controls.way(),
        ],
        [out, made, status], api_visibility="private", **WATCH, **QUEUE,
    )  # fmt: skip
    stop.click(None, cancels=[running], api_visibility="private")
    for event in (file.upload, file.clear):
        event(told(handle.uploaded), [model, file, kind], [data, paper], **quick)
    kind.input(handle.kind, [kind, paper], [strength, rounds, margin, axes, paper], trigger_mode="always_last", **quick)
    out.click(told(handle.again), [made, model, kind], [data, paper], **quick)
    save.click(told(handle.export), made, files, **quick)
    return [label, attributes, text, kind, strength, rounds, margin, axes], [data, paper, kind]
