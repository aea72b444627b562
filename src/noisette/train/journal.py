"""What a run writes down: metrics.jsonl always, the trackers that were asked for, and what it draws as it grows."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from ..data import Dataset
from ..edit.generate import ends, generate
from ..loss import Loss
from ..model import PictureModel
from ..viz.png import write_png
from .watch import FixedLoss, crossings, sheet

Row = Mapping[str, object]

GROWTH = (0.01, 0.03, 0.06, 0.1, 0.2, 0.3, 0.4, 0.55, 0.7, 0.85, 1.0)  # progress at which a run shows what it draws
EXAMS = tuple(k / 20 for k in range(1, 21))  # progress at which the held-out loss is taken
EARLY = 0.12  # progress at which a run keeps what it is, as a folder of its own to be guided away from
COLUMNS = 4
NEAR = 10  # steps within which a run does not draw twice


class Journal:
    """Rows of metrics.jsonl, one JSON object a line, in the order of the images seen."""

    def __init__(self, path: Path, images: int, also: Callable[[Row], None] = lambda row: None) -> None:
        """Open a run's journal where it is resumed: rows that lie after `images` were not saved with it, and go."""
        self.path, self.also = path, also
        kept = [line for line in lines(path) if json.loads(line)["images"] <= images] if images else []
        path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")

    def write(self, row: Row) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        self.also(row)


def lines(path: Path) -> list[str]:
    """The whole lines of a journal: one that a crash left half-written is passed over."""
    if not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            json.loads(line)
        except ValueError:
            continue
        found.append(line)
    return found


class Record:
    """Examines the averaged weights along the way, and writes down what it finds."""

    def __init__(
        self, folder: Path, data: Dataset, model: PictureModel, objective: Loss, seed: int, journal: Journal
    ) -> None:
        """`model` is the averaged one, which changes under the record's eyes."""
        self.folder, self.model, self.journal = folder, model, journal
        self.exam = FixedLoss(data.held_out, objective, seed)
        number = COLUMNS * COLUMNS
        self.seeds = range(seed, seed + number)
        self.cond = model.condition(model.pictures.labels or None, number)
        if self.cond is not None and data.captions is not None:  # what pictures are that it never saw
            self.cond = data.held_out.condition(torch.arange(number) % len(data.held_out))
        self.shown = self.last = 0  # images seen when it last drew, and when it was last asked
        self.cost = 0.0  # seconds that the last examination and the last drawing took

    def along(self, images: int, before: float, after: float) -> dict[str, float] | None:
        """What is due between two points of progress; the held-out loss, where it was taken."""
        start, fixed = time.monotonic(), None
        if any(crossings(EXAMS, before, after)):
            fixed = self.exam(self.model, next(self.model.parameters()).device)
            self.journal.write({"images": images, "held_out": fixed})
        if any(crossings((EARLY,), before, after)):
            self.model.save_pretrained(self.folder / "early")
        far = images - self.shown >= NEAR * (images - self.last)
        if any(crossings(GROWTH, before, after)) and (far or after == 1.0):
            self.show(images)
            self.cost = time.monotonic() - start
        self.last = images
        return fixed

    def show(self, images: int) -> None:
        """samples/IMAGES.png: a sheet at native size of what the model draws from the run's fixed noises."""
        self.shown, grid = images, self.model.grid(10)
        drawn = ends(generate(self.model, self.seeds, self.cond, self.model.sampler(), grid), grid)
        folder = self.folder / "samples"
        folder.mkdir(exist_ok=True)
        text = {"images": images, "columns": COLUMNS, "untrained": images == 0}
        write_png(folder / f"{images:09d}.png", sheet(self.model.pictures.finished(drawn), COLUMNS), text)
