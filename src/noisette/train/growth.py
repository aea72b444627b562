"""What a run draws from one fixed noise as it grows: RUN/samples/IMAGES.png."""

import time
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from ..data import Dataset
from ..edit.generate import ends, generate
from ..model import PictureModel
from ..shapes import Bytes
from ..viz.png import write_png
from .examples import Examples
from .observer import Found, Moment

MARKS = (0.0, 0.01, 0.03, 0.06, 0.1, 0.2, 0.3, 0.4, 0.55, 0.7, 0.85, 1.0)  # progress at which it draws
COLUMNS = 4
STEPS = 10  # of the model's own sampler
NEAR = 10  # steps of the run within which it does not draw twice


class Growth:
    """A sheet at native size, at MARKS."""

    def __init__(self, folder: Path, model: PictureModel, data: Dataset, seed: int, images: int = 0) -> None:
        """Of a run that goes on from `images` images: sheets of what it has not done yet are removed."""
        self.sheets, self.model = folder / "samples", model
        self.seeds = range(seed, seed + COLUMNS * COLUMNS)
        self.x, self.cond = Examples(data.held_out, model.config.task).wishes(model, len(self.seeds))
        drawn = {path: int(path.stem) for path in self.sheets.glob("[0-9]*.png")}
        for path in (p for p, at in drawn.items() if at > images):
            path.unlink()
        # images seen when it last drew, and when it was last asked
        self.shown, self.last = max((at for at in drawn.values() if at <= images), default=0), images
        self.cost = 0.0

    def __call__(self, moment: Moment) -> Found:
        far = moment.images - self.shown >= NEAR * (moment.images - self.last)
        self.last = moment.images
        if moment.passed(MARKS) and (far or moment.after == 1.0):
            start = time.monotonic()
            self.draw(moment.images)
            self.cost = time.monotonic() - start
        return {}

    def draw(self, images: int) -> None:
        self.shown, grid = images, self.model.grid(STEPS)
        drawn = ends(generate(self.model, self.seeds, self.cond, self.model.sampler(), grid), grid)
        self.sheets.mkdir(exist_ok=True)
        text = {"images": images, "columns": COLUMNS, "untrained": images == 0}
        shown = self.model.config.task.shown(self.model.pictures, self.x, drawn)
        write_png(self.sheets / f"{images:09d}.png", sheet(shown, COLUMNS), text)


def sheet(pixels: Bytes, columns: int = 4) -> UInt8[Tensor, "1 c tall wide"]:
    """Pictures side by side at native size, without gaps: (1, C, rows · h, columns · w)."""
    rows = -(-len(pixels) // columns)
    blank = pixels.new_zeros((rows * columns - len(pixels), *pixels.shape[1:]))
    tiles = torch.cat([pixels, blank]).unflatten(0, (rows, columns))  # (rows, columns, c, h, w)
    return tiles.permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2)[None]
