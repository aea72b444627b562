"""Models that come with the package: a folder each, beside this file, opened by its name."""

from pathlib import Path

HOME = Path(__file__).parent


def names() -> tuple[str, ...]:
    """Of the models that come with the package."""
    return tuple(sorted(path.parent.name for path in HOME.glob("*/model.safetensors")))


def places() -> dict[str, Path]:
    """Their folders, by name."""
    return {name: HOME / name for name in names()}


def place(name: str) -> Path | None:
    """The folder of a model that comes with the package; None if there is none of this name."""
    return places().get(name)
