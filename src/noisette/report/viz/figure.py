"""Matplotlib figures that notebooks display, without pyplot's global state. Needs `noisette[plots]`."""

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...data.png import SOFTWARE
from ...errors import InputError
from ...io.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    class Plot(Figure):
        """A matplotlib figure with a PNG representation for notebooks."""

        def _repr_png_(self) -> bytes: ...
        def write(self, path: Path) -> None: ...


def new_figure(width: float, height: float) -> "Plot":
    """An empty figure; width and height in inches. InputError if matplotlib is not installed."""
    return _figure_class()(figsize=(width, height), dpi=150, layout="constrained")


def _figure_class() -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as missing:
        raise InputError("plots need matplotlib, which is not installed: pip install 'noisette[plots]'") from missing

    class Plot(Figure):
        def _repr_png_(self) -> bytes:
            buffer = BytesIO()
            self.savefig(buffer, format="png", metadata={"Software": SOFTWARE})
            return buffer.getvalue()

        def write(self, path: Path) -> None:
            """Write a PNG file, atomically."""
            atomic_write(path, self._repr_png_())

    return Plot
