"""Pictures that were drawn and written, and a sheet of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..edit.origin import Origin
    from ..shapes import Bytes


@dataclass(frozen=True)
class Drawn:
    """A picture that was written."""

    path: Path
    origin: "Origin"
    pixels: "Bytes"  # (1, C, H, W)


def grid_of(drawn: Sequence[Drawn], path: Path) -> Path:
    """All pictures, those of one label together; a row a text, where several were given."""
    import torch

    from ..viz.grid import sheet
    from ..viz.png import write_png

    order = sorted(drawn, key=lambda d: (d.origin.label or "", d.origin.seed))
    texts = list(dict.fromkeys(d.origin.text for d in drawn))
    columns = None if len(texts) == 1 else -(-len(drawn) // len(texts))
    order.sort(key=lambda d: texts.index(d.origin.text))
    write_png(path, sheet(torch.cat([d.pixels for d in order]), columns))
    return path
