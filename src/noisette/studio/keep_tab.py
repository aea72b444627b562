"""The tab "Keep": keep or reject pictures, draw similar ones, and export the kept ones."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from ..data import Dataset
from ..data.dataset import MANIFEST_FILE
from ..data.palette import MAX_COLORS, READERS, Palette, learn_palette, read_palette
from ..data.palette_lock import PaletteLock
from ..errors import InputError
from ..evaluation.held_out import all_pixels
from . import board_requests, export, trajectories
from .draw_tab import PROGRESS_OPTIONS, QUEUE_OPTIONS
from .error_handling import read_event, read_event_index, report_errors
from .html_parts import format_caption, render_board, render_kept, render_tiles
from .session import Board, BoardRequest, BoardSample, BoardUpdate
from .uploads import IMAGE_SUFFIXES
from .workspace import Workspace

PREVIEW_SIZE = 64  # approximate size of a picture that is being drawn, in CSS pixels
PNGS, SHEET, ZIP = "PNG files", "one sheet", "zip"
GAME_SHEETS = {"Aseprite": "aseprite", "Phaser, PixiJS": "phaser", "Tiled": "tiled", "Godot": "godot", "CSS": "css"}
LEARNED_COLORS = 16  # of the palette of a model's training pictures

# one listener for all buttons; after the grid is rendered again, the focus returns to the same button
CLICK_SCRIPT = """
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


class KeepTab:
    """The event handlers of the tab."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    def render_board(self, board: Board) -> list[str]:
        """HTML of the grid and of the kept pictures."""
        return [render_board(board), render_kept(board)]

    def press_button(self, board: Board, event: gr.EventData) -> list[Any]:
        """Handle Keep, Reject or Remove: the new board, and its HTML."""
        _check_generation(board, event)
        action = {"keep": board.toggle_kept, "reject": board.toggle_rejected, "drop": board.remove_kept}.get(
            read_event(event, "do")
        )
        if action is None:
            raise InputError("a picture can be kept, rejected or removed: reload the page")
        new_board = action(read_event_index(event))
        return [new_board, *self.render_board(new_board)]

    def draw_neighbors(self, board: Board, degrees: float, event: gr.EventData) -> Iterator[list[Any]]:
        """Handle More: draw pictures with noise within `degrees` of that of one picture, and put them after it."""
        _check_generation(board, event)
        index = read_event_index(event)
        yield from self.draw_request(board, board_requests.request_neighbors(board, index, degrees), index=index + 1)

    def draw_mutants(self, board: Board, degrees: float) -> Iterator[list[Any]]:
        """Draw variations of all kept pictures."""
        yield from self.draw_request(board, board_requests.request_mutants(board, degrees))

    def draw_replacements(self, board: Board) -> Iterator[list[Any]]:
        """Draw new pictures in place of the rejected ones."""
        yield from self.draw_request(board, board_requests.request_replacements(board), tuple(sorted(board.rejected)))

    def draw_request(
        self, board: Board, board_request: BoardRequest, places: tuple[int, ...] | None = None, index: int | None = None
    ) -> Iterator[list[Any]]:
        """Previews while pictures are drawn; at the end, a `BoardUpdate`. They replace the whole board, or the pictures
        in `places`, or are put before the picture at `index`.

        The update is applied by a separate event, since the user may keep and reject pictures in the meantime.
        """
        model, request = self.workspace.load_model(board_request.model_name), board_request.request
        captions = [
            format_caption(prompt, k.seed, len(k.rotations))
            for k, prompt in zip(request.lineages, request.prompts, strict=True)
        ]
        for trajectory in trajectories.draw_trajectory(model, board_request):
            if not trajectory.is_finished:
                pixels = trajectories.decode_step(model, trajectory, trajectory.num_steps)
                yield [render_tiles(pixels, captions, "Sampling", PREVIEW_SIZE), gr.skip()]
        samples = tuple(trajectories.make_samples(model, trajectory))
        yield ["", BoardUpdate(samples, board.generation, places, index)]

    def update_board(self, board: Board, update: BoardUpdate | None) -> list[Any]:
        """The current board with new pictures, and its HTML."""
        new_board = board.apply_update(update)
        return [new_board, *self.render_board(new_board)]

    def export(self, board: Board, kind: str, palette: str, is_binary: bool) -> Any:
        """The kept pictures as files to download, in the colors of `palette` alone unless it is empty."""
        if not board.kept:
            raise InputError("there are no kept pictures: keep a picture first")
        lock = PaletteLock(parse_colors(palette), binary_alpha=is_binary) if palette.strip() else None
        samples = export.lock_samples(board.kept, lock)
        if (engine := GAME_SHEETS.get(kind)) is not None:
            return export.offer_files({f"{engine}.zip": export.encode_game_sheet(samples, engine)})
        makers: dict[str, Callable[[Sequence[BoardSample]], dict[str, bytes]]] = {
            PNGS: export.encode_pngs,
            SHEET: lambda cells: {"sheet.png": export.encode_sheet(cells)},
            ZIP: lambda cells: {"noisette.zip": export.encode_archive(cells)},
        }
        return export.offer_files(makers[kind](samples))

    def read_palette(self, file: str | None) -> Any:
        """The colors of an uploaded palette file or picture, as text."""
        return gr.skip() if file is None else format_colors(read_palette(Path(file)))

    def learn_palette(self, board: Board) -> str:
        """The palette of the training pictures of the first kept picture's model, as text."""
        if not board.kept:
            raise InputError("there are no kept pictures: keep a picture first")
        name = board.kept[0].model_name
        folder = self.workspace.list_folders().get(name)
        if folder is None or not (folder / MANIFEST_FILE).is_file():
            raise InputError(f"{name} has no training pictures here: give colors, or a file with them")
        pixels = all_pixels(Dataset.open(folder).train)
        return format_colors(learn_palette((one.permute(1, 2, 0).numpy() for one in pixels), LEARNED_COLORS))


def format_colors(palette: Palette) -> str:
    """Colors as they are typed: #202020, #ff8000."""
    return ", ".join(palette.colors)


def parse_colors(text: str) -> tuple[str, ...]:
    """Typed colors. Raises InputError for text that is none, which is never taken for the path of a file."""
    return read_palette(text.replace(",", " ").split()).colors


def _check_generation(board: Board, event: gr.EventData) -> None:
    """Raise InputError for a button of pictures that were replaced in the meantime."""
    if read_event(event, "of") not in ("", str(board.generation)):
        raise InputError("these pictures have been replaced: choose from the current ones")


def build(tab: KeepTab, board: gr.State) -> list[gr.HTML]:
    """Create the components and events of the tab. Returns the components that show the board."""
    gr.HTML(
        '<p class="n-faint">Keep the pictures that you like. <b>More</b> adds pictures similar to one picture; '
        "<b>Vary the kept</b> draws variations of all kept pictures.</p>"
    )
    degrees = gr.Slider(
        2, 90, 20, step=1, label="Distance", info="Angle between the noises, in degrees.", elem_id="far"
    )
    with gr.Row():
        mutate = gr.Button("Vary the kept", elem_id="mutate", min_width=140)
        replace = gr.Button("Replace rejected", elem_id="replace", min_width=140)
        stop = gr.Button("Stop", min_width=100)
    cells = gr.HTML(
        render_board(Board()), js_on_load=CLICK_SCRIPT, elem_id="board", elem_classes="n-canvas", min_height=120
    )
    coming = gr.HTML("", elem_id="coming", elem_classes="n-coming")
    gr.HTML("<h2>Kept</h2>")
    kept = gr.HTML(render_kept(Board()), js_on_load=CLICK_SCRIPT, elem_id="shelf")
    with gr.Accordion("Palette of the exported pictures", open=False):
        palette = gr.Textbox(
            "", label="Colors", elem_id="palette", max_length=16 * MAX_COLORS, placeholder="#202020, #ff8000, #ffffff",
            info="Every visible pixel gets the nearest of these colors. Empty: as drawn.",
        )  # fmt: skip
        is_binary = gr.Checkbox(False, label="Pixels are opaque or transparent, nothing between", elem_id="binary")
        with gr.Row():
            learn = gr.Button(f"{LEARNED_COLORS} colors of the training pictures", elem_id="learn-palette")
            palette_file = gr.File(
                label="Palette file or picture", file_types=[*READERS, *IMAGE_SUFFIXES], height=120,
                elem_id="palette-file",
            )  # fmt: skip
    kind = gr.Radio(
        [PNGS, SHEET, ZIP, *GAME_SHEETS], value=ZIP, label="Export as",
        info="The last five: a sheet at native size with the file by which a game engine or a page cuts it.",
    )  # fmt: skip
    save = gr.Button("Export", elem_id="export")
    files = gr.File(label="Exported", file_count="multiple", interactive=False, visible=False, elem_id="exported")
    outputs = [board, cells, kept]
    quick: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    slow: dict[str, Any] = {"api_visibility": "private", **PROGRESS_OPTIONS, **QUEUE_OPTIONS}
    cells.click(report_errors(tab.press_button), board, outputs, **quick)
    kept.click(report_errors(tab.press_button), board, outputs, **quick)
    update = gr.State(None)
    drawing_events = [
        cells.select(report_errors(tab.draw_neighbors), [board, degrees], [coming, update], **slow),
        mutate.click(report_errors(tab.draw_mutants), [board, degrees], [coming, update], **slow),
        replace.click(report_errors(tab.draw_replacements), board, [coming, update], **slow),
    ]
    for event in drawing_events:
        event.success(report_errors(tab.update_board), [board, update], outputs, **quick)
    stop.click(lambda: "", None, coming, cancels=drawing_events, **quick)
    save.click(report_errors(tab.export), [board, kind, palette, is_binary], files, **quick)
    palette_file.upload(report_errors(tab.read_palette), palette_file, palette, **quick)
    learn.click(report_errors(tab.learn_palette), board, palette, **quick)
    return [cells, kept]
