"""The page "Runs": what a run was made of, how it goes, and what it drew as it grew; stop it, go on with it."""

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from ..errors import InputError
from . import report
from .told import told
from .trainer import Trainer
from .workspace import Workspace

EVERY = 2.0  # seconds between two looks at a run
Seen = tuple[object, ...]  # what a run looked like: the page is drawn anew when it changes


class Running:
    """What the page shows of the runs of a workspace."""

    def __init__(self, workspace: Workspace, trainer: Trainer) -> None:
        self.workspace, self.trainer = workspace, trainer

    def names(self) -> list[str]:
        """Every run, and what was started from here but has no data set yet."""
        return list(dict.fromkeys([*self.trainer.started(), *self.workspace.runs()]))

    def chosen(self, name: str | None) -> list[Any]:
        """Where it is, its data, its curves, its samples, and what it looked like."""
        if name is None:
            return ["No run yet: start one under Train.", "", "", "", ()]
        standing = self.trainer.standing(name)
        if name not in self.workspace.runs():
            return [report.of_run(standing), "", "", "", self.look(name)]
        run = self.workspace.run(name)
        parts = [_or_why(part, run) for part in (report.of_data, report.curves, report.growth)]
        return [report.of_run(standing), *parts, self.look(name)]

    def tick(self, name: str | None, seen: Seen) -> list[Any]:
        """The same, if anything has changed."""
        if name is None or self.look(name) == seen:
            return [gr.skip()] * 5
        return self.chosen(name)

    def look(self, name: str) -> Seen:
        standing = self.trainer.standing(name)
        found: list[object] = [standing.state, standing.words, str(standing.progress)]
        if name in self.workspace.runs():
            run: Path = self.workspace.run(name)
            found += [p.stat().st_mtime_ns for p in (run / "metrics.jsonl", run / "samples") if p.exists()]
        return tuple(found)

    def stop(self, name: str) -> list[Any]:
        self.trainer.stop(name)
        return self.chosen(name)

    def resume(self, name: str) -> list[Any]:
        self.trainer.resume(name)
        return self.chosen(name)

    def refreshed(self, name: str | None) -> Any:
        """The list of runs as it is now."""
        names = self.names()
        return gr.update(choices=names, value=name if name in names else next(iter(names), None))


def _or_why(part: Callable[[Path], str], run: Path) -> str:
    """A part of the page; where a file is damaged, which."""
    try:
        return part(run)
    except InputError as error:
        return f"<p>{escape(str(error))}</p>"


def build(handle: Running) -> tuple[gr.Dropdown, list[Any]]:
    """The page's parts. Returns the choice of a run, and what shows it."""
    run = gr.Dropdown(handle.names(), label="Run", elem_id="run")
    with gr.Row():
        stop = gr.Button("Stop it", elem_id="halt", min_width=100)
        resume = gr.Button("Go on", elem_id="resume", min_width=100)
    where = gr.HTML("", html_template='<p class="n-status" role="status">${value}</p>', elem_id="where")
    gr.HTML("<h2>As it grew</h2>")
    samples = gr.HTML(elem_id="growth")
    gr.HTML("<h2>Curves</h2>")
    curves = gr.HTML(elem_id="curves")
    gr.HTML("<h2>Data set</h2>")
    data = gr.HTML(elem_id="data")
    seen = gr.State(())
    shown = [where, data, curves, samples, seen]
    quick: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    run.change(told(handle.chosen), run, shown, **quick)
    stop.click(told(handle.stop), run, shown, **quick)
    resume.click(told(handle.resume), run, shown, **quick)
    gr.Timer(EVERY).tick(told(handle.tick), [run, seen], shown, **quick)
    return run, shown
