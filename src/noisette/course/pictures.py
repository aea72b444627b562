"""The sprites that the chapters work on, and the figure that shows rows of pictures."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from ..data.builtin import open_emoji
from ..data.decode import decode
from ..data.resize import resize_and_pad
from ..errors import lookup
from ..report.viz.figure import new_figure
from ..shapes import Images

if TYPE_CHECKING:
    from ..report.viz.figure import Plot

GROUND = 0.7  # gray level behind pictures with alpha


def load_sprites(*names: str, label: str | None = None, side: int = 16, alpha: bool = False) -> Images:
    """The built-in emoji as small pictures: (N, 3, side, side), float32 in [-1, 1].

    names: Unicode names, such as "rocket": only these pictures, in this order; none: all 1,898, in their usual order.
    label: only the pictures of one category, such as "Food & Drink".
    side: height and width in pixels, 1 to 72.
    alpha: with a fourth channel, from -1 (transparent) to 1 (opaque), and colors premultiplied by alpha; without it,
    the pictures stand on white.

    Raises InputError for an unknown name or label, and if the extra `emoji` is not installed.
    """
    entries = open_emoji().entries
    if label is not None:
        lookup(label, {entry.label or "": entry for entry in entries}, "label")
        entries = tuple(entry for entry in entries if entry.label == label)
    by_name = {entry.text or "": entry for entry in entries}
    chosen = [lookup(name, by_name, "sprite") for name in names] or entries
    pixels = np.stack([resize_and_pad(_decode(entry.read()), side, side) for entry in chosen])
    rgba = torch.from_numpy(pixels).movedim(-1, 1).float() / 255
    color, opacity = rgba[:, :3] * rgba[:, 3:], rgba[:, 3:]
    return 2 * (torch.cat([color, opacity], dim=1) if alpha else color + 1 - opacity) - 1


Rows = Sequence[Tensor] | Mapping[str, Tensor]


def show_rows(rows: Rows, names: Sequence[str] = (), titles: Sequence[str] = (), size: float = 0.9) -> None:
    """Show pictures below the cell of a notebook, one row for each tensor; elsewhere this does nothing.

    rows: tensors (n, C, H, W): floats in [-1, 1] with C of 1 (gray), 3 (RGB) or 4 (RGBA, colors premultiplied by alpha,
    shown over gray), or uint8 (RGBA: straight alpha). A mapping gives each row its name.
    names: of the rows. titles: of the columns. size: of a picture, in inches.
    """
    try:
        from IPython import get_ipython  # type: ignore[attr-defined]
        from IPython.display import display
    except ImportError:
        return
    if get_ipython() is not None:  # type: ignore[no-untyped-call]
        display(draw_rows(rows, names, titles, size))  # type: ignore[no-untyped-call]


def draw_rows(rows: Rows, names: Sequence[str] = (), titles: Sequence[str] = (), size: float = 0.9) -> "Plot":
    """The figure that `show_rows` shows."""
    if isinstance(rows, Mapping):
        names, rows = names or list(rows), list(rows.values())
    height, width = rows[0].shape[2:]
    columns, gap = max(len(row) for row in rows), max(1, width // 16)
    sheet = torch.ones(len(rows) * (height + gap) - gap, columns * (width + gap) - gap, 3)
    tops, lefts = range(0, len(sheet), height + gap), range(0, sheet.shape[1], width + gap)
    for top, row in zip(tops, rows, strict=True):
        for left, picture in zip(lefts, _rgb(row.detach().cpu()), strict=False):
            sheet[top : top + height, left : left + width] = picture.movedim(0, -1)
    figure = new_figure(size * columns + 0.1 * max(map(len, names), default=0), size * len(rows) + 0.3 * bool(titles))
    axes = figure.subplots()
    axes.imshow(sheet.numpy(), interpolation="nearest")
    axes.set_yticks([top + height / 2 - 0.5 for top in tops[: len(names)]], names)
    axes.set_xticks([left + width / 2 - 0.5 for left in lefts[: len(titles)]], titles)
    axes.tick_params(length=0, labelsize=9, labelbottom=False, labeltop=True)
    axes.set_frame_on(False)
    return figure


def _rgb(x: Float[Tensor, "n c h w"] | UInt8[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h w"]:
    """Pictures as gray or RGB from 0 to 1, those with alpha over GROUND."""
    if x.dtype == torch.uint8:
        x = x.float() / 255
        x = torch.cat([x[:, :3] * x[:, 3:], x[:, 3:]], 1) if x.shape[1] == 4 else x
    else:
        x = (x.float().clamp(-1, 1) + 1) / 2
    return (x[:, :3] + GROUND * (1 - x[:, 3:])).clamp(0, 1) if x.shape[1] == 4 else x


def _decode(data: bytes | np.ndarray) -> np.ndarray:
    """The pixels of an emoji, (h, w, 4)."""
    return data if isinstance(data, np.ndarray) else decode(data).pixels
