"""Training from the studio: `noisette train` as a process of its own.

The process is stopped when the studio closes. If the studio was killed, the next one finds the process by the lock in
the run folder. The options of each run are stored in WORKSPACE/.studio, so that it can be resumed. A run is stopped by
a stop file (`training/stop_file.py`), which works on every operating system; it saves a checkpoint first.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import psutil

from ..data.builtin import BUILT_IN
from ..errors import InputError
from ..io.json_files import read_json, write_json
from ..io.lock import find_owner, is_locked
from ..models.config import from_json
from ..training.stop_file import STOP_FILE_VARIABLE
from .workspace import RUN_NAME, Workspace

MAX_MINUTES = 24 * 60.0  # of one run
STOP_TIMEOUT = 60  # seconds that a run may take to save

RunState = Literal["training", "stopping", "stopped", "finished", "failed"]


@dataclass(frozen=True)
class TrainingJob:
    """The options of `noisette train` that a run was started with."""

    source: str  # a path inside the workspace, or the name of a built-in set
    minutes: float
    preset: str = "auto"
    size: int | None = None
    pixel_art: bool = False
    flip: bool = False
    start_from: str | None = None  # the name or path of a model; "none": from scratch; None: what `train` chooses

    def __post_init__(self) -> None:
        if not 0 < self.minutes <= MAX_MINUTES:
            raise InputError(f"minutes must be above 0 and at most {MAX_MINUTES:.0f}, got {self.minutes:g}")

    def command(self, out: Path) -> list[str]:
        """The command line that trains into `out`."""
        arguments = ["train", self.source, "--out", str(out), "--for", f"{round(60 * self.minutes)}s", "--json"]
        arguments += ["--preset", self.preset]
        arguments += ["--size", str(self.size)] if self.size else []
        arguments += [flag for flag, is_set in (("--pixel-art", self.pixel_art), ("--flip", self.flip)) if is_set]
        arguments += [] if self.start_from is None else ["--from", self.start_from]
        return [sys.executable, "-m", "noisette", *arguments]


@dataclass(frozen=True)
class RunStatus:
    """The state of a run, and its last progress report."""

    name: str
    state: RunState
    message: str = ""  # why it failed
    progress: dict[str, Any] = field(default_factory=dict)  # the last "progress" line of `noisette train --json`
    seconds: float = 0.0  # since the process started


class Trainer:
    """Starts and stops the runs of a workspace, one at a time: two at once would only slow each other down.

    `environment` and `mask` (umask) are those of the runs; by default this process's own.
    """

    def __init__(self, workspace: Workspace, environment: Mapping[str, str] | None = None, mask: int = -1) -> None:
        self.workspace, self.environment, self.mask = workspace, environment, mask
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.stopping: dict[str, int] = {}  # run → id of the process that was asked to stop
        self.lock = threading.Lock()

    def resolve_source(self, name: str) -> str:
        """The source that `noisette train` takes: the name of a built-in set, or the path of a workspace folder."""
        return name if name in BUILT_IN else str(self.workspace.find_source(name))

    def start(self, name: str, job: TrainingJob) -> None:
        """Start a new run. Raises InputError for a bad or used name, and while another run is training."""
        with self.lock:
            self.workspace.new_run_folder(name)
            self._require_idle()
            self.workspace.make_studio_folder()
            write_json(self._file(name, "json"), asdict(job))
            self._launch(name, job)

    def resume(self, name: str) -> None:
        """Run the command of a stopped run again, which continues it."""
        if not self._file(name, "json").is_file():
            raise InputError(
                f"{name} was not started by the studio: continue it with the `noisette train` command that started it"
            )
        if self.get_status(name).state in ("training", "stopping"):
            raise InputError(f"{name} is already being trained")
        with self.lock:
            self._require_idle()
            self._launch(name, self._read_job(name))

    def stop(self, name: str) -> None:
        """Ask a run to save a checkpoint and end; returns at once. Asking again has no further effect."""
        process = self._find_process(name)
        if process is None:
            raise InputError(f"{name} is not being trained by the studio")
        if self.stopping.get(name) != process.pid:
            self.stopping[name] = process.pid
            self._file(name, "stop").touch()

    def get_status(self, name: str) -> RunStatus:
        """The state of a run, from its process, its folder and its log. Raises InputError if there is no such run."""
        may_have_log = RUN_NAME.fullmatch(name) is not None
        if name not in self.workspace.list_runs() and not (may_have_log and name in self.list_started()):
            self.workspace.find_run(name)  # raises: there is no such run
        lines = self._read_log(name) if may_have_log else []
        events = [line for line in lines if isinstance(line, dict)]
        progress = next((e for e in reversed(events) if e.get("event") == "progress"), {})
        if (process := self._find_process(name)) is not None:
            state: RunState = "stopping" if self.stopping.get(name) == process.pid else "training"
            return RunStatus(name, state, "", progress, _measure_age(process.pid))
        if name in self.workspace.list_runs() and is_locked(self.workspace.find_run(name)):
            return RunStatus(name, "training", "", progress)
        if name in self.workspace.list_runs() and (self.workspace.find_run(name) / "model" / "config.json").is_file():
            return RunStatus(name, "finished", "", progress)
        child = self.processes.get(name)
        code = None if child is None else child.returncode
        if code in (None, 130, 143) and name in self.workspace.list_runs():
            return RunStatus(name, "stopped", "", progress)
        message = " ".join(line for line in lines[-3:] if isinstance(line, str)).removeprefix("noisette: ")
        return RunStatus(name, "failed", message or "it ended without an error message", progress)

    def list_started(self) -> list[str]:
        """Names of all runs that a studio of this workspace started, newest first."""
        folder = self.workspace.studio_folder
        files = sorted(folder.glob("*.json"), key=lambda p: p.stat().st_mtime, reverse=True)
        return [p.stem for p in files]

    def list_used_sources(self) -> set[str]:
        """The sources of runs that are training or can be resumed."""
        sources = set()
        for name in self.list_started():
            with suppress(InputError):  # a damaged file: the run cannot be resumed
                state = self.get_status(name).state
                if state in ("training", "stopping") or (state != "finished" and name in self.workspace.list_runs()):
                    sources.add(self._read_job(name).source)
        return sources

    def close(self) -> None:
        """Stop the runs of this studio, and wait until they have saved; for at most STOP_TIMEOUT seconds each."""
        alive = {n: p for n, p in self.processes.items() if p.poll() is None}
        for name in alive:
            self._file(name, "stop").touch()
        for process in alive.values():
            try:
                process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.terminate()

    def _require_idle(self) -> None:
        busy = next((name for name in self.list_started() if self._find_process(name) is not None), None)
        if busy is not None:
            raise InputError(f"{busy} is being trained: stop it first, or wait until it is finished")

    def _launch(self, name: str, job: TrainingJob) -> None:
        self.stopping.pop(name, None)
        stop_file = self._file(name, "stop")
        stop_file.unlink(missing_ok=True)
        with self._file(name, "log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                job.command(self.workspace.folder / name), stdout=log, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL, cwd=self.workspace.folder, start_new_session=True,  # without Ctrl-C
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # the same on Windows
                env={**(self.environment or os.environ), STOP_FILE_VARIABLE: str(stop_file)}, umask=self.mask,
            )  # fmt: skip

    def _find_process(self, name: str) -> "subprocess.Popen[bytes] | psutil.Process | None":
        """The process that trains a run: a child, or that of an earlier studio, found by the lock; else None."""
        child = self.processes.get(name)
        if child is not None and child.poll() is None:
            return child
        is_known = RUN_NAME.fullmatch(name) is not None and self._file(name, "json").is_file()
        return find_owner(self.workspace.folder / name) if is_known else None

    def _read_job(self, name: str) -> TrainingJob:
        path = self._file(name, "json")
        return from_json(TrainingJob, read_json(path), str(path))

    def _read_log(self, name: str) -> list[Any]:
        """The lines in the last 64 kB of a run's log: JSON objects decoded, other lines as text."""
        path = self._file(name, "log")
        lines: list[Any] = []
        if path.is_file():
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - 2**16))
                for line in file.read().decode("utf-8", "replace").splitlines():
                    try:
                        lines.append(json.loads(line))
                    except ValueError:
                        lines.append(line)
        return lines

    def _file(self, name: str, kind: str) -> Path:
        if not RUN_NAME.fullmatch(name):
            raise InputError(f"{name!r} is not a valid run name")
        return self.workspace.studio_folder / f"{name}.{kind}"


def _measure_age(pid: int) -> float:
    """Seconds since a process started; 0 if it has just ended."""
    try:
        return max(0.0, time.time() - psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0
