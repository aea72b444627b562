"""Which weights of a run a command opens."""

from pathlib import Path
from typing import TYPE_CHECKING

from .terminal import console

if TYPE_CHECKING:
    from ..model import PictureModel


def opened(model: Path, snapshot: str | None = None) -> "PictureModel":
    """A model, or a snapshot of its run; says so where a run's model is not the last one."""
    from ..model import load
    from ..snapshots import named, told
    from .sample import on_device

    if snapshot is None and (said := told(model)):
        console(to_stderr=True).print(f"{said}; --snapshot last draws with that", markup=False, soft_wrap=True)
    return on_device(load(model if snapshot is None else named(model, snapshot)))
