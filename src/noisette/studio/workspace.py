"""The folder of runs that the studio works in.

The page sends names, which are looked up among the folder's entries. A name is never used as a path.
"""

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from ..errors import InputError, lookup
from ..models.picture_model import PictureModel, load
from ..team import best_device

MAX_LOADED = 3  # models kept in memory
STUDIO_FOLDER = ".studio"  # sub-folder for uploads, logs and the options of runs
RUN_NAME = re.compile(r"\w[\w -]{0,63}")  # of a new run: no characters with a meaning in paths


class Workspace:
    """Runs and models by name: the sub-folders of `folder`, `extra_model` (anywhere on disk), and `shipped` models.

    depth: levels of sub-folders that are looked through; at 2, one may be called "runs/emoji".
    """

    def __init__(
        self,
        folder: Path,
        extra_model: Path | None = None,
        shipped: Mapping[str, Path] | None = None,
        depth: int = 1,
    ) -> None:
        self.folder, self.shipped, self.depth = folder.resolve(), shipped or {}, depth
        self.extra_model = None if extra_model is None else extra_model.resolve()
        self.loaded: dict[tuple[Path, int], PictureModel] = {}
        self.lock = threading.Lock()

    @property
    def studio_folder(self) -> Path:
        """The studio's own sub-folder."""
        return self.folder / STUDIO_FOLDER

    def protect(self) -> None:
        """Make the studio's own sub-folder private, if it exists: an older version may have made it."""
        with suppress(OSError):
            self.studio_folder.chmod(0o700)

    def make_studio_folder(self) -> Path:
        """The studio's own sub-folder, for its user alone; created if it does not exist."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.studio_folder.mkdir(mode=0o700, exist_ok=True)
        return self.studio_folder

    def list_folders(self) -> dict[str, Path]:
        """Folders that may hold a run, by name: `extra_model` first, `shipped` last; without links to the outside."""
        folders = {} if self.extra_model is None else {self.extra_model.name: self.extra_model}
        for path in self._sub_folders(self.folder, self.depth):
            folders.setdefault(path.relative_to(self.folder).as_posix(), path)
        return folders | {name: path for name, path in self.shipped.items() if name not in folders}

    def _sub_folders(self, folder: Path, depth: int) -> Iterator[Path]:
        for path in sorted(folder.iterdir()) if depth and folder.is_dir() else []:
            if path.is_dir() and not path.name.startswith(".") and path.resolve().parent == folder:
                yield path
                yield from self._sub_folders(path, depth - 1)

    def list_models(self) -> list[str]:
        """Names of folders with a model to sample from."""
        return [name for name, path in self.list_folders().items() if _find_model(path) is not None]

    def list_origins(self) -> dict[str, str]:
        """The models that a run can start from, by name: those of finished runs with their path, those that ship with
        their name."""
        finished = {name: path for name, path in self.list_folders().items() if _find_finished(path) is not None}
        return {name: name if path == self.shipped.get(name) else str(path) for name, path in finished.items()}

    def list_runs(self) -> list[str]:
        """Names of run folders, finished or not."""
        return [name for name, path in self.list_folders().items() if (path / "data.json").is_file()]

    def find_run(self, name: str) -> Path:
        """The folder of a run; InputError if there is none of that name."""
        return lookup(name, {n: p for n, p in self.list_folders().items() if n in self.list_runs()}, "run")

    def list_sources(self) -> list[str]:
        """Names of folders that are neither runs nor models, so may hold pictures."""
        others = {*self.list_models(), *self.list_runs()}
        return [n for n, p in self.list_folders().items() if n not in others and not (p / "config.json").exists()]

    def find_source(self, name: str) -> Path:
        """The folder of pictures with that name; InputError if there is none."""
        return lookup(
            name, {n: p for n, p in self.list_folders().items() if n in self.list_sources()}, "folder of pictures"
        )

    def new_run_folder(self, name: str) -> Path:
        """The folder for a new run. InputError for an invalid name, and for one that is in use."""
        if not RUN_NAME.fullmatch(name):
            raise InputError(f"{name!r} is not a valid run name: use letters, digits, spaces, - and _, at most 64")
        if (self.folder / name).exists():
            raise InputError(f"{name!r} already exists in the workspace: choose another name for the run")
        return self.folder / name

    def find_model(self, name: str) -> Path:
        """The model folder, or the newest checkpoint, of that name. InputError if there is none."""
        path = _find_model(lookup(name, self.list_folders(), "model"))
        if path is None:
            raise InputError(
                f"{name} has no model yet; models in the workspace: {', '.join(self.list_models()) or 'none'}"
            )
        return path

    def load_model(self, name: str) -> PictureModel:
        """The model of that name; of an unfinished run, its newest checkpoint. Unchanged models are cached.

        InputError if there is no such folder, or no model in it.
        """
        path = self.find_model(name)
        key = (path, (path / "config.json" if (path / "config.json").exists() else path).stat().st_mtime_ns)
        with self.lock:
            if key not in self.loaded:
                model = load(path).to(best_device())
                for old in list(self.loaded)[: max(0, len(self.loaded) - MAX_LOADED + 1)]:
                    del self.loaded[old]
                self.loaded[key] = model
            return self.loaded[key]


def _find_finished(path: Path) -> Path | None:
    """The model folder in a folder; None if there is none."""
    return next((folder for folder in (path / "model", path) if (folder / "model.safetensors").is_file()), None)


def _find_model(path: Path) -> Path | None:
    """The model folder or newest checkpoint in a folder; None if there is none."""
    if (finished := _find_finished(path)) is not None:
        return finished
    checkpoints = path / "checkpoints"
    complete = [c for c in checkpoints.iterdir() if (c / "state.json").is_file()] if checkpoints.is_dir() else []
    return max(complete, default=None, key=lambda c: c.name)
