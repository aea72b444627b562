"""The folder of runs that the studio shows.

What a page asks for is a name, looked up among what lies in the folder. It is never made into a path.
"""

import re
import threading
from collections.abc import Mapping
from pathlib import Path

import torch

from ..errors import InputError, known
from ..model import PictureModel, load

KEPT = 3  # models in memory
OWN = ".studio"  # the studio's own sub-folder: uploads, and how each run was started
NAME = re.compile(r"\w[\w -]{0,63}")  # of a new run: nothing that a path could be made of


class Workspace:
    """Runs and models by name: the sub-folders of `folder`; `given`, which may lie anywhere; and those `beside`."""

    def __init__(self, folder: Path, given: Path | None = None, beside: Mapping[str, Path] | None = None) -> None:
        self.folder, self.beside = folder.resolve(), beside or {}
        self.given = None if given is None else given.resolve()
        self.loaded: dict[tuple[Path, int], PictureModel] = {}
        self.lock = threading.Lock()

    @property
    def own(self) -> Path:
        return self.folder / OWN

    def places(self) -> dict[str, Path]:
        """Every folder that may hold a run, by name: the given one first, those beside the workspace last. Links that
        lead out are not there."""
        found = {} if self.given is None else {self.given.name: self.given}
        inside = sorted(self.folder.iterdir()) if self.folder.is_dir() else []
        for path in inside:
            if path.is_dir() and not path.name.startswith(".") and path.resolve().parent == self.folder:
                found.setdefault(path.name, path)
        return found | {name: path for name, path in self.beside.items() if name not in found}

    def models(self) -> list[str]:
        """Names of what can be drawn with."""
        return [name for name, path in self.places().items() if _drawable(path) is not None]

    def runs(self) -> list[str]:
        """Names of what was trained here, or is being trained."""
        return [name for name, path in self.places().items() if (path / "data.json").is_file()]

    def run(self, name: str) -> Path:
        return known(name, {n: p for n, p in self.places().items() if n in self.runs()}, "run")

    def sources(self) -> list[str]:
        """Names of folders with pictures to train on: those that are neither runs nor models."""
        taken = {*self.models(), *self.runs()}
        return [n for n, p in self.places().items() if n not in taken and not (p / "config.json").exists()]

    def source(self, name: str) -> Path:
        return known(name, {n: p for n, p in self.places().items() if n in self.sources()}, "folder of pictures")

    def new(self, name: str) -> Path:
        """The folder of a run that there is not yet."""
        if not NAME.fullmatch(name):
            raise InputError(f"{name!r} is no name for a run: take letters, digits, blanks, - and _, 64 at most")
        if (self.folder / name).exists():
            raise InputError(f"there is something called {name!r} already: take another name for the run")
        return self.folder / name

    def model(self, name: str) -> PictureModel:
        """The model of that name, from memory where it has not changed. Of an unfinished run: its newest checkpoint."""
        path = _drawable(known(name, self.places(), "model"))
        if path is None:
            raise InputError(f"{name} holds no model yet: choose one of {', '.join(self.models()) or 'none'}")
        key = (path, (path / "config.json" if (path / "config.json").exists() else path).stat().st_mtime_ns)
        with self.lock:
            if key not in self.loaded:
                model = load(path).to(torch.accelerator.current_accelerator(check_available=True) or "cpu")
                for old in list(self.loaded)[: max(0, len(self.loaded) - KEPT + 1)]:
                    del self.loaded[old]
                self.loaded[key] = model
            return self.loaded[key]


def _drawable(path: Path) -> Path | None:
    """The model folder or checkpoint that a folder would be drawn with."""
    for folder in (path / "model", path):
        if (folder / "model.safetensors").is_file():
            return folder
    checkpoints = path / "checkpoints"
    found = [c for c in checkpoints.iterdir() if (c / "state.json").is_file()] if checkpoints.is_dir() else []
    return max(found, default=None, key=lambda c: c.name)
