"""The folder that the tools work in: no path of a request leads out of it, by dots, links or an absolute path."""

from collections.abc import Callable, Sequence
from pathlib import Path

from ..data.listing import is_picture
from ..edit.recolor import find_pictures
from ..errors import InputError, shorten
from ..io.files import format_size, read_bytes
from ..models import shipped
from ..models.config import ModelConfig
from ..models.picture_model import PictureModel, read_config
from ..sampling.files import ensure_writable
from ..studio.limits import MAX_FILE_BYTES
from ..studio.uploads import MAX_FILES, MAX_UPLOAD_BYTES
from ..studio.workspace import Workspace

MODEL_DEPTH = 2  # levels of folders in which models are found: WORKSPACE/emoji, WORKSPACE/runs/emoji
MAX_PATH = 1000  # characters


class Place:
    """A workspace: its models and shipped ones by name, its other files by path."""

    def __init__(self, folder: Path) -> None:
        self.workspace = Workspace(folder, shipped=shipped.list_folders(), depth=MODEL_DEPTH)
        self.folder = self.workspace.folder

    def load_model(self, name: str) -> PictureModel:
        """The model of that name. InputError where there is none, or where files of it are links to the outside."""
        self._check_model(name)
        return self.workspace.load_model(name)

    def read_config(self, name: str) -> ModelConfig:
        """The config of the model of that name, without its weights; otherwise like `load_model`."""
        self._check_model(name)
        return read_config(self.workspace.find_model(name))

    def find(self, text: str) -> Path:
        """An existing or new path in the workspace, resolved; `text` is relative to it, or absolute."""
        if not text or "\0" in text or len(text) > MAX_PATH:
            raise InputError(f"a path must have 1 to {MAX_PATH} characters and no null byte, got {shorten(repr(text))}")
        path = self.folder / text
        self._check_inside(path, text)
        return path.resolve()

    def find_folder(self, text: str) -> Path:
        """A folder of the workspace."""
        path = self.find(text)
        if not path.is_dir():
            raise InputError(f"there is no folder {shorten(text)} in the workspace: give one, relative to it")
        return path

    def read_picture(self, text: str) -> bytes:
        """The bytes of a picture file of the workspace. InputError where it is no regular file, or too large."""
        return read_bytes(self.find(text), MAX_FILE_BYTES)

    def list_pictures(self, text: str, is_wanted: Callable[[str], bool] = is_picture) -> list[Path]:
        """The pictures of a folder and its sub-folders: as many and as large together as an upload to the studio.

        is_wanted: whether a file is a picture, by its name. InputError where there are none or too many, and where one
        is a link to the outside.
        """
        folder = self.find_folder(text)
        pictures = find_pictures(folder, is_wanted)
        for path in pictures:
            self._check_inside(path, self.name(path))
        size = sum(path.stat().st_size for path in pictures)
        if len(pictures) > MAX_FILES or size > MAX_UPLOAD_BYTES:
            raise InputError(
                f"{shorten(text)} has {len(pictures):,} pictures of {format_size(size)}: at most {MAX_FILES:,} of "
                f"{format_size(MAX_UPLOAD_BYTES)} together are read"
            )
        return pictures

    def new_files(self, out: str, names: Sequence[str]) -> list[Path]:
        """Paths to write to. InputError where the folder is outside of the workspace, or one of the files is there."""
        folder = self.find(out)
        if folder.exists() and not folder.is_dir():
            raise InputError(f"out is {shorten(out)}, which is a file: give a folder, existing or new")
        paths = [folder / name for name in names]
        if taken := next((path for path in paths if path.exists() or path.is_symlink()), None):
            raise InputError(f"{self.name(taken)} exists, and nothing is replaced: give another folder as out")
        return paths

    def ensure_writable(self, folder: Path) -> None:
        """Raise InputError, before any work, if `folder`, which need not exist yet, cannot be written to."""
        ensure_writable(next(place for place in (folder, *folder.parents) if place.exists()))

    def name(self, path: Path) -> str:
        """A path as the answers have it: relative to the workspace."""
        return path.relative_to(self.folder).as_posix() if path.is_relative_to(self.folder) else path.name

    def _check_model(self, name: str) -> None:
        folder = self.workspace.list_folders().get(name)
        if folder is None or folder == self.workspace.shipped.get(name):
            return
        for path in (folder, *folder.rglob("*")):
            self._check_inside(path, name)

    def _check_inside(self, path: Path, text: str) -> None:
        try:
            target = path.resolve()
            target.exists()  # raises for names that are too long
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(f"{shorten(text)} is no path that can be followed: give another") from error
        if not target.is_relative_to(self.folder):
            raise InputError(f"{shorten(text)} leads out of the workspace: give a path inside of it")
