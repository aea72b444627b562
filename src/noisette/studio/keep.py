"""The page "Keep": choose among pictures, ask for kin of them, and take the best away."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gradio as gr

from ..errors import InputError
from . import breeding, drawing, export
from .draw import QUEUE, WATCH
from .session import Board, Came, Cell, Wish
from .tiles import board as grid
from .tiles import said, shelf, tiles
from .told import told
from .workspace import Workspace

PNGS, SHEET, ZIP = "PNGs", "one sheet", "a zip"

# one listener for all buttons; after the grid was drawn anew the focus returns to where it was
CLICKS = """
let last = null;
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-do]');
  if (!button) return;
  last = button.dataset.do + ':' + button.dataset.i;
  const name = ['more', 'edit'].includes(button.dataset.do) ? 'select' : 'click';
  trigger(name, {do: button.dataset.do, i: Number(button.dataset.i), of: button.dataset.of || ''});
});
watch('value', () => {
  if (last === null) return;
  const [what, i] = last.split(':');
  const again = element.querySelector(`button[data-do="${what}"][data-i="${i}"]`);
  if (again && (document.activeElement === document.body || document.activeElement === null)) again.focus();
});
"""


class Keeping:
    """What the page does, on the models of a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    def show(self, board: Board) -> list[str]:
        return [grid(board), shelf(board)]

    def pressed(self, board: Board, event: gr.EventData) -> list[Any]:
        """Keep, reject or remove: the board after it, and how it looks."""
        _current(board, event)
        do = {"keep": board.keep, "reject": board.reject, "drop": board.drop}[event.do]
        after = do(int(event.i))
        return [after, *self.show(after)]

    def more(self, board: Board, degrees: float, event: gr.EventData) -> Iterator[list[Any]]:
        _current(board, event)
        yield from self.family(board, breeding.more(board, int(event.i), degrees))

    def mutate(self, board: Board, degrees: float) -> Iterator[list[Any]]:
        yield from self.family(board, breeding.mutants(board, degrees))

    def replace(self, board: Board) -> Iterator[list[Any]]:
        """Other pictures in the places of the rejected ones."""
        yield from self.family(board, breeding.replacements(board), tuple(sorted(board.rejected)))

    def family(self, board: Board, wish: Wish, places: tuple[int, ...] | None = None) -> Iterator[list[Any]]:
        """What the board's place shows while pictures for it, or for some of its places, are drawn; at the end, these.

        They are put on it by an event of its own, `placed`, since one may keep and reject others meanwhile.
        """
        model = self.workspace.model(wish.model)
        captions = [said(asked, k.seed, len(k.turns)) for k, asked in zip(wish.kin, wish.asked, strict=True)]
        for walk in drawing.walk(model, wish):
            if not walk.done:
                seen = tiles(drawing.seen(model, walk, walk.steps), captions, "Being drawn")
                yield [gr.skip() if places else seen, gr.skip()]
        yield [gr.skip(), Came(tuple(drawing.cells(model, walk)), board.generation, places)]

    def placed(self, board: Board, came: Came) -> list[Any]:
        """The board as it is now, with what came; and how it looks."""
        after = board.placed(came)
        return [after, *self.show(after)]

    def export(self, board: Board, kind: str) -> Any:
        """Files of what was kept, for the visitor to save."""
        if not board.kept:
            raise InputError("nothing is kept yet: keep a picture first")
        makers: dict[str, Callable[[Sequence[Cell]], dict[str, bytes]]] = {
            PNGS: export.named,
            SHEET: lambda cells: {"sheet.png": export.contact(cells)},
            ZIP: lambda cells: {"noisette.zip": export.archive(cells)},
        }
        made = makers[kind](board.kept)
        return export.offered(made)


def _current(board: Board, event: gr.EventData) -> None:
    """Refuse a button of pictures that are no longer the board's."""
    if event.of not in ("", str(board.generation)):
        raise InputError("these pictures were replaced meanwhile: choose among those that are here now")


def build(handle: Keeping, board: gr.State) -> list[gr.HTML]:
    """The page's parts, and what happens when they are used. Returns those that show the board."""
    gr.HTML(
        '<p class="n-faint">Keep what you like. <b>More</b> draws neighbours of one picture; <b>Mutate the kept</b> '
        "draws kin of all that you kept.</p>"
    )
    degrees = gr.Slider(2, 90, 20, step=1, label="How far", info="Degrees on the sphere of noises.", elem_id="far")
    with gr.Row():
        mutate = gr.Button("Mutate the kept", elem_id="mutate", min_width=140)
        replace = gr.Button("Replace the rejected", elem_id="replace", min_width=140)
        stop = gr.Button("Stop", min_width=100)
    cells = gr.HTML(grid(Board()), js_on_load=CLICKS, elem_id="board", elem_classes="n-canvas", min_height=120)
    gr.HTML("<h2>Kept</h2>")
    kept = gr.HTML(shelf(Board()), js_on_load=CLICKS, elem_id="shelf")
    kind = gr.Radio([PNGS, SHEET, ZIP], value=ZIP, label="Take them away as")
    save = gr.Button("Export", elem_id="export")
    files = gr.File(label="Exported", file_count="multiple", interactive=False, visible=False, elem_id="exported")
    after = [board, cells, kept]
    quick: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    slow: dict[str, Any] = {"api_visibility": "private", **WATCH, **QUEUE}
    cells.click(told(handle.pressed), board, after, **quick)
    kept.click(told(handle.pressed), board, after, **quick)
    came = gr.State(None)
    walks = [
        cells.select(told(handle.more), [board, degrees], [cells, came], **slow),
        mutate.click(told(handle.mutate), [board, degrees], [cells, came], **slow),
        replace.click(told(handle.replace), board, [cells, came], **slow),
    ]
    for walk in walks:
        walk.success(told(handle.placed), [board, came], after, **quick)
    stop.click(handle.show, board, [cells, kept], cancels=walks, **quick)
    save.click(told(handle.export), [board, kind], files, **quick)
    return [cells, kept]
