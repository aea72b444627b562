"""Samples from the same fixed noises at several stages of a run: RUN/samples/IMAGES.png."""

import time
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from ..data import Dataset
from ..data.png import write_png
from ..models.picture_model import PictureModel
from ..sampling.generate import sample_images
from ..shapes import UInt8Images
from .batch_stream import TaskDataset
from .callbacks import Metrics, TrainingStep

SHEET_MILESTONES = (0.0, 0.01, 0.03, 0.06, 0.1, 0.2, 0.3, 0.4, 0.55, 0.7, 0.85, 1.0)  # progress
COLUMNS = 4
STEPS = 10  # sampling steps at most, with the model's default sampler
MIN_STEPS_APART = 10  # optimizer steps between two sheets, at least


class SampleSheets:
    """Draws a sheet of 4 × 4 samples at native size at each of SHEET_MILESTONES."""

    def __init__(self, folder: Path, model: PictureModel, data: Dataset, seed: int, images: int = 0) -> None:
        """`images`: training images from which the run resumes; later sheets are removed."""
        self.sheets_dir, self.model = folder / "samples", model
        self.seeds = range(seed, seed + COLUMNS * COLUMNS)
        self.x, self.cond = TaskDataset(data.held_out, model.config.task).preview_inputs(model, len(self.seeds))
        sheets = {path: int(path.stem) for path in self.sheets_dir.glob("[0-9]*.png")}
        for path in (p for p, at in sheets.items() if at > images):
            path.unlink()
        self.last_drawn = max((at for at in sheets.values() if at <= images), default=0)  # images at the last sheet
        self.last_images = images  # images at the last call
        self.final_seconds = 0.0

    def __call__(self, step: TrainingStep) -> Metrics:
        is_due = step.images - self.last_drawn >= MIN_STEPS_APART * (step.images - self.last_images)
        self.last_images = step.images
        if step.crossed(SHEET_MILESTONES) and (is_due or step.progress_after == 1.0):
            start = time.monotonic()
            self.write_sheet(step.images)
            self.final_seconds = time.monotonic() - start
        return {}

    def write_sheet(self, images: int) -> None:
        """Draw and write the sheet of a model that has seen `images` training images."""
        self.last_drawn = images
        steps = min(STEPS, self.model.config.sampling.steps)
        samples = sample_images(self.model, self.seeds, self.cond, steps=steps, guidance=1.0)
        self.sheets_dir.mkdir(exist_ok=True)
        metadata = {"images": images, "columns": COLUMNS, "untrained": images == 0}
        preview = self.model.config.task.make_preview(self.model.codec, self.x, samples)
        write_png(self.sheets_dir / f"{images:09d}.png", make_sheet(preview, COLUMNS), metadata)


def make_sheet(pixels: UInt8Images, columns: int = 4) -> UInt8[Tensor, "1 c tall wide"]:
    """Pictures side by side at native size, without gaps: (1, C, rows · h, columns · w)."""
    rows = -(-len(pixels) // columns)
    blank = pixels.new_zeros((rows * columns - len(pixels), *pixels.shape[1:]))
    tiles = torch.cat([pixels, blank]).unflatten(0, (rows, columns))  # (rows, columns, c, h, w)
    return tiles.permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2)[None]
