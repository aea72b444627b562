"""The sprites that the chapters work on, and the figure that shows rows of pictures."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..data.builtin import open_emoji
from ..data.decode import decode
from ..data.resize import resize_and_pad
from ..errors import lookup
from ..report.viz.figure import new_figure
from ..shapes import Images

if TYPE_CHECKING:
    from ..report.viz.figure import Plot


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


def show_rows(
    rows: Sequence[Tensor], names: Sequence[str] = (), titles: Sequence[str] = (), size: float = 0.9
) -> "Plot":
    """A matplotlib figure of pictures: one row for each tensor (n, C, H, W) in [-1, 1], with C of 1 (gray) or 3 (RGB).

    names: of the rows. titles: of the columns. size: of a picture, in inches.
    """
    height, width = rows[0].shape[2:]
    columns, gap = max(len(row) for row in rows), max(1, width // 16)
    sheet = torch.ones(len(rows) * (height + gap) - gap, columns * (width + gap) - gap, 3)
    tops, lefts = range(0, len(sheet), height + gap), range(0, sheet.shape[1], width + gap)
    for top, row in zip(tops, rows, strict=True):
        for left, picture in zip(lefts, ((row.detach().float().cpu() + 1) / 2).clamp(0, 1), strict=False):
            sheet[top : top + height, left : left + width] = picture.movedim(0, -1)
    figure = new_figure(size * columns + 0.1 * max(map(len, names), default=0), size * len(rows) + 0.3 * bool(titles))
    axes = figure.subplots()
    axes.imshow(sheet.numpy(), interpolation="nearest")
    axes.set_yticks([top + height / 2 - 0.5 for top in tops[: len(names)]], names)
    axes.set_xticks([left + width / 2 - 0.5 for left in lefts[: len(titles)]], titles)
    axes.tick_params(length=0, labelsize=9, labelbottom=False, labeltop=True)
    axes.set_frame_on(False)
    return figure


def _decode(data: bytes | np.ndarray) -> np.ndarray:
    """The pixels of an emoji, (h, w, 4)."""
    return data if isinstance(data, np.ndarray) else decode(data).pixels
