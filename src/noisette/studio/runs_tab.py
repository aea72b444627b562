"""The tab "Runs": data, progress, losses and samples of a run; stop and resume it."""

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from ..errors import InputError
from . import report
from .error_handling import report_errors
from .trainer import Trainer
from .workspace import Workspace

REFRESH_INTERVAL = 1.0  # seconds between two checks of a run
RunFingerprint = tuple[object, ...]  # state and file times of a run: the page is updated when it changes


class RunsTab:
    """The event handlers of the tab."""

    def __init__(self, workspace: Workspace, trainer: Trainer) -> None:
        self.workspace, self.trainer = workspace, trainer

    def list_names(self) -> list[str]:
        """All runs, including those just started, which have no data set yet."""
        return list(dict.fromkeys([*self.trainer.list_started(), *self.workspace.list_runs()]))

    def show_run(self, name: str | None) -> list[Any]:
        """Status, data set, loss charts and samples of a run as HTML, and its fingerprint."""
        if name is None:
            return ["No run yet: start one in the tab Train.", "", "", "", ()]
        status = self.trainer.get_status(name)
        if name not in self.workspace.list_runs():
            return [report.render_status(status), "", "", "", self.get_fingerprint(name)]
        run = self.workspace.find_run(name)
        parts = [
            _render_or_error(part, run) for part in (report.render_dataset, report.render_curves, report.render_growth)
        ]
        return [report.render_status(status), *parts, self.get_fingerprint(name)]

    def refresh(self, name: str | None, fingerprint: RunFingerprint) -> list[Any]:
        """The same if anything has changed since `fingerprint`, else no update."""
        if name is None or self.get_fingerprint(name) == fingerprint:
            return [gr.skip()] * 5
        return self.show_run(name)

    def get_fingerprint(self, name: str) -> RunFingerprint:
        """State, progress and file times of a run."""
        status = self.trainer.get_status(name)
        parts: list[object] = [report.render_status(status)]
        if name in self.workspace.list_runs():
            run: Path = self.workspace.find_run(name)
            parts += [p.stat().st_mtime_ns for p in (run / "metrics.jsonl", run / "samples") if p.exists()]
        return tuple(parts)

    def stop(self, name: str | None) -> list[Any]:
        """Stop a run after saving, and show it."""
        self.trainer.stop(_require(name))
        return self.show_run(name)

    def resume(self, name: str | None) -> list[Any]:
        """Resume a run, and show it."""
        self.trainer.resume(_require(name))
        return self.show_run(name)

    def refresh_list(self, name: str | None) -> Any:
        """Update of the list of runs."""
        names = self.list_names()
        return gr.update(choices=names, value=name if name in names else next(iter(names), None))


def _require(name: str | None) -> str:
    if name is None:
        raise InputError("choose a run first")
    return name


def _render_or_error(render: Callable[[Path], str], run: Path) -> str:
    """A part of the page, or the error message for a damaged file."""
    try:
        return render(run)
    except InputError as error:
        return f"<p>{escape(str(error))}</p>"


def build(tab: RunsTab) -> tuple[gr.Dropdown, list[Any]]:
    """Create the components and events of the tab. Returns the run dropdown, and the components that show a run."""
    run = gr.Dropdown(tab.list_names(), label="Run", elem_id="run")
    with gr.Row():
        stop = gr.Button("Stop", elem_id="halt", min_width=100)
        resume = gr.Button("Resume", elem_id="resume", min_width=100)
    where = gr.HTML("", html_template='<p class="n-status" role="status">${value}</p>', elem_id="where")
    samples, curves, data = (gr.HTML(elem_id=name) for name in ("growth", "curves", "data"))
    fingerprint = gr.State(())
    outputs = [where, data, curves, samples, fingerprint]
    quick: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    run.change(report_errors(tab.show_run), run, outputs, **quick)
    stop.click(report_errors(tab.stop), run, outputs, **quick)
    resume.click(report_errors(tab.resume), run, outputs, **quick)
    gr.Timer(REFRESH_INTERVAL).tick(report_errors(tab.refresh), [run, fingerprint], outputs, **quick)
    return run, outputs
