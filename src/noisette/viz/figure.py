"""A matplotlib figure that a notebook shows, without the state that pyplot keeps; matplotlib is an extra."""

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..files import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    class Plot(Figure):
        def _repr_png_(self) -> bytes: ...
        def write(self, path: Path) -> None: ...


def plot(width: float, height: float) -> "Plot":
    """An empty one, of so many inches."""
    return _kind()(figsize=(width, height), dpi=150, layout="constrained")


def _kind() -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as missing:
        raise InputError(
            "the plot needs matplotlib, which is not installed: pip install 'noisette[plots]'"
        ) from missing

    class Plot(Figure):
        def _repr_png_(self) -> bytes:
            buffer = BytesIO()
            self.savefig(buffer, format="png")
            return buffer.getvalue()

        def write(self, path: Path) -> None:
            """As a PNG, wholly or not at all."""
            atomic_write(path, self._repr_png_())

    return Plot
