"""Training from the page: `noisette train` as a process of its own, which loses nothing.

It ends with the studio; where that was killed, the next one finds it by the lock of its folder. How a run was started
is kept in the studio's own folder, so that the same command can go on with it.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import psutil

from ..config import from_json
from ..data.builtin import BUILT_IN
from ..errors import InputError
from ..files import read_json, write_json
from ..lock import held_by, in_use
from .workspace import NAME, Workspace

LONGEST = 24 * 60.0  # minutes
PATIENCE = 60  # seconds that a run is given to save

State = Literal["training", "stopping", "stopped", "finished", "failed"]


@dataclass(frozen=True)
class Job:
    """How a run was started: the words of its command, after `noisette train`."""

    source: str  # a path that the studio made, or the name of a built-in set
    minutes: float
    preset: str = "auto"
    size: int | None = None
    pixel_art: bool = False
    flip: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.minutes <= LONGEST:
            raise InputError(f"a run of {self.minutes:g} minutes is not started here: give up to {LONGEST:.0f}")

    def command(self, out: Path) -> list[str]:
        words = ["train", self.source, "--out", str(out), "--for", f"{round(60 * self.minutes)}s", "--json"]
        words += ["--preset", self.preset]
        words += ["--size", str(self.size)] if self.size else []
        words += [flag for flag, wanted in (("--pixel-art", self.pixel_art), ("--flip", self.flip)) if wanted]
        return [sys.executable, "-m", "noisette", *words]


@dataclass(frozen=True)
class Standing:
    """How a run stands, and what it said last."""

    name: str
    state: State
    words: str = ""  # of a failure
    progress: dict[str, Any] = field(default_factory=dict)  # images, total, seconds, rate, left, loss


class Trainer:
    """The runs that this studio started, or one before it. One at a time: they would only slow each other down."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.stopping: dict[str, int] = {}  # the processes that were asked to end, by their runs
        self.lock = threading.Lock()

    def known_source(self, name: str) -> str:
        """A built-in set, or a folder of the workspace, by name."""
        return name if name in BUILT_IN else str(self.workspace.source(name))

    def start(self, name: str, job: Job) -> None:
        """Start a new run."""
        with self.lock:
            self.workspace.new(name)
            self._free()
            path = self._file(name, "json")
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, asdict(job))
            self._launch(name, job)

    def resume(self, name: str) -> None:
        """The same command again."""
        if not self._file(name, "json").is_file():
            raise InputError(f"{name} was not started here: go on with it by the noisette train that began it")
        if self.standing(name).state in ("training", "stopping"):
            raise InputError(f"{name} is being trained already")
        with self.lock:
            self._free()
            self._launch(name, self._job(name))

    def stop(self, name: str) -> None:
        """Ask a run to save and end. It is asked once: a second time would end it at once, without saving."""
        process = self._process(name)
        if process is None:
            raise InputError(f"{name} is not being trained from here")
        if self.stopping.get(name) == process.pid:
            return
        self.stopping[name] = process.pid
        try:  # a studio before this one may have asked it already: SIGTERM may come a second time, SIGINT may not
            process.send_signal(signal.SIGINT if isinstance(process, subprocess.Popen) else signal.SIGTERM)
        except psutil.NoSuchProcess:
            pass  # it ended just now
        except psutil.AccessDenied as error:
            del self.stopping[name]
            raise InputError(
                f"{name} is trained by process {process.pid} of another user: ask them to stop it"
            ) from error

    def standing(self, name: str) -> Standing:
        """How it stands, from what it wrote and whether it runs."""
        here = NAME.fullmatch(name) is not None  # only such names are given here, and have a log
        if name not in self.workspace.runs() and not (here and name in self.started()):
            self.workspace.run(name)  # says that there is none
        lines = self._said(name) if here else []
        told = [line for line in lines if isinstance(line, dict)]
        progress = next((t for t in reversed(told) if t.get("event") == "progress"), {})
        if (process := self._process(name)) is not None:
            state: State = "stopping" if self.stopping.get(name) == process.pid else "training"
            return Standing(name, state, "", progress)
        if name in self.workspace.runs() and in_use(self.workspace.run(name)):
            return Standing(name, "training", "", progress)
        if name in self.workspace.runs() and (self.workspace.run(name) / "model" / "config.json").is_file():
            return Standing(name, "finished", "", progress)
        child = self.processes.get(name)
        code = None if child is None else child.returncode
        if code in (None, 130, 143) and name in self.workspace.runs():
            return Standing(name, "stopped", "", progress)
        words = " ".join(line for line in lines[-3:] if isinstance(line, str)).removeprefix("noisette: ")
        return Standing(name, "failed", words or "it ended without a word", progress)

    def started(self) -> list[str]:
        """Names of the runs that were started from here, the latest first, ended ones included."""
        folder = self.workspace.own
        files = sorted(folder.glob("*.json"), key=lambda p: p.stat().st_mtime, reverse=True)
        return [p.stem for p in files]

    def needed(self) -> set[str]:
        """The sources of runs that go on, or may be gone on with."""
        found = set()
        for name in self.started():
            with suppress(InputError):  # a file that is damaged: nothing can go on with it
                state = self.standing(name).state
                if state in ("training", "stopping") or (state != "finished" and name in self.workspace.runs()):
                    found.add(self._job(name).source)
        return found

    def close(self) -> None:
        """Stop all, and wait until they have saved."""
        alive = {n: p for n, p in self.processes.items() if p.poll() is None}
        for name, process in alive.items():
            if name not in self.stopping:
                process.send_signal(signal.SIGINT)
        for process in alive.values():
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.terminate()

    def _free(self) -> None:
        busy = next((name for name in self.started() if self._process(name) is not None), None)
        if busy is not None:
            raise InputError(f"{busy} is being trained: stop it first, or wait")

    def _launch(self, name: str, job: Job) -> None:
        self.stopping.pop(name, None)
        with self._file(name, "log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                job.command(self.workspace.folder / name), stdout=log, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL, cwd=self.workspace.folder, start_new_session=True, env=dict(os.environ),
            )  # fmt: skip

    def _process(self, name: str) -> "subprocess.Popen[bytes] | psutil.Process | None":
        """What trains a run that was started here: a child, or what a studio that was killed has left behind."""
        child = self.processes.get(name)
        if child is not None and child.poll() is None:
            return child
        ours = NAME.fullmatch(name) is not None and self._file(name, "json").is_file()
        return held_by(self.workspace.folder / name) if ours else None

    def _job(self, name: str) -> Job:
        path = self._file(name, "json")
        return from_json(Job, read_json(path), str(path))

    def _said(self, name: str) -> list[Any]:
        """The last lines of its log: objects of JSON, and words."""
        path = self._file(name, "log")
        found: list[Any] = []
        if path.is_file():
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - 2**16))
                for line in file.read().decode("utf-8", "replace").splitlines():
                    try:
                        found.append(json.loads(line))
                    except ValueError:
                        found.append(line)
        return found

    def _file(self, name: str, kind: str) -> Path:
        if not NAME.fullmatch(name):
            raise InputError(f"{name!r} is no name of a run")
        return self.workspace.own / f"{name}.{kind}"
