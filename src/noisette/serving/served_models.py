"""The models of a server. A folder that changes is loaded again, without a pause."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import InputError
from ..models.picture_model import PictureModel, load
from ..team import best_device
from .endpoints import find_name

Version = tuple[int, ...]


class ServedModels:
    """Models by name. All are loaded at once. Raises InputError for one that cannot be."""

    def __init__(self, paths: Mapping[str, str]) -> None:
        self.paths, self.device = paths, best_device()
        self.versions = {name: read_version(path) for name, path in paths.items()}
        self.loaded = {name: load(path).to(self.device) for name, path in paths.items()}

    def find(self, name: str | None) -> PictureModel:
        """A model as it was last loaded; None: the first one."""
        return self.loaded[find_name(name, self.loaded)]

    def refresh(self) -> None:
        """Load the models again whose files have changed. One that cannot be loaded is drawn with as it was."""
        for name, path in self.paths.items():
            try:
                version = read_version(path)
                if version == self.versions[name]:
                    continue
                self.versions[name] = version
                self.loaded[name] = load(path).to(self.device)
            except (InputError, OSError) as error:
                sys.stderr.write(f"noisette serve: {name} is served as it was: {error}\n")


def name_models(models: Sequence[str]) -> dict[str, str]:
    """The names that clients use: those of the folders. InputError where two have the same."""
    names: dict[str, str] = {}
    for model in models:
        path = Path(model)
        name = (path.resolve() if path.exists() else path).name
        if name in names:
            raise InputError(f"two models are called {name!r}: rename a folder, or serve them at two ports")
        names[name] = model
    return names


def read_version(model: str) -> Version:
    """Changes with the files of a model: their times and sizes. That of shipped models and of the hub's stays."""
    status = [
        path.stat()
        for folder in (Path(model) / "model", Path(model))
        for path in map(folder.joinpath, ("config.json", "model.safetensors", "state.json"))
        if path.exists()
    ]
    return tuple(number for one in status for number in (one.st_mtime_ns, one.st_size, one.st_ino))
