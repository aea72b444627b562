"""--traceback, --import and --trust-encoder, which stand anywhere on the command line."""

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError


@dataclass
class GlobalOptions:
    """The arguments without the global options, and what those are; values are in their order."""

    rest: list[str] = field(default_factory=list)
    traceback: bool = False
    values: dict[str, list[str]] = field(default_factory=lambda: {"--import": [], "--trust-encoder": []})

    def apply(self) -> None:
        """Import the modules, and trust the encoders: in this process."""
        for module in self.values["--import"]:
            import_target(module)
        if encoders := self.values["--trust-encoder"]:
            from ..data.text import trust_encoder

            for encoder in encoders:
                trust_encoder(encoder)


def split_global_options(arguments: Sequence[str]) -> GlobalOptions:
    """Take the global options out of a command line."""
    found, remaining = GlobalOptions(), iter(arguments)
    for argument in remaining:
        name, equals, value = argument.partition("=")
        if argument == "--":
            found.rest += [argument, *remaining]
        elif argument == "--traceback":
            found.traceback = True
        elif name in found.values:
            found.values[name].append(value if equals else next(remaining, ""))
        else:
            found.rest.append(argument)
    return found


def import_target(target: str) -> None:
    """Run the user's module, which registers classes: a module's name, or the path of a .py file.

    A file is imported under its own name, so `own_schedule.py` is the module `own_schedule` in files that are saved.
    Raises InputError where it cannot be imported.
    """
    if not target:
        raise InputError("--import needs a module's name or the path of a .py file")
    try:
        if target.endswith(".py"):
            _import_file(Path(target))
        else:
            with _current_folder_on_path():
                importlib.import_module(target)
    except InputError:
        raise
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name == target.partition(".")[0]:
            raise InputError(f"--import {target}: there is no such module; give its name, or its path x.py") from error
        line = traceback.extract_tb(error.__traceback__)[-1]
        raise InputError(
            f"--import {target}: {type(error).__name__}: {error} ({line.filename}, line {line.lineno})"
        ) from error


def _import_file(path: Path) -> None:
    name = path.stem
    if not path.is_file():
        raise InputError(f"--import {path}: there is no such file")
    loaded = sys.modules.get(name)
    found = getattr(loaded, "__spec__", None) if loaded is not None else importlib.util.find_spec(name)
    is_same = found is not None and found.origin is not None and Path(found.origin).resolve() == path.resolve()
    if loaded is not None and is_same:
        return
    if (loaded is not None or found is not None) and not is_same:
        raise InputError(f"--import {path}: another module is called {name!r} already; rename the file")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise


@contextmanager
def _current_folder_on_path() -> Iterator[None]:
    """Modules of the current folder are found, after all installed ones."""
    folder = str(Path.cwd())
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
