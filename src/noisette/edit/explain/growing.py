"""Chapter: what one noise became as the model grew."""

from dataclasses import dataclass
from pathlib import Path

import torch

from ...errors import InputError
from ...pictures import Pictures
from ...shapes import Bytes
from ...viz.page import paragraph
from ...viz.png import read_png
from ...viz.strip import evenly, short
from ...viz.strip import tiles as cut
from ...viz.tiles import Cells, View, scrubber, tiles
from .subject import Subject

NOISES, COLUMNS = 4, 10


@dataclass(frozen=True, eq=False)
class Grown:
    """What the same noises became, at some stages of a run."""

    images: list[int]  # that the model had seen, (N,)
    pictures: list[Bytes]  # (B, C, H, W) each


def grown(samples: Path, pictures: Pictures) -> Grown:
    """Read the sheets that a run left in `samples`, oldest first."""
    images, drawn = [], []
    for path in sorted(samples.glob("*.png")):
        pixels, told = read_png(path)
        try:
            images.append(int(told["images"]))
            drawn.append(cut(pixels, int(told["columns"]), pictures))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path} is not a sheet that a run left: move it away") from error
    return Grown(images, drawn)


def chapter(subject: Subject) -> str:
    samples = subject.run / "samples" if subject.run else None
    found = grown(samples, subject.model.pictures) if samples and samples.is_dir() else Grown([], [])
    if len(found.images) < 2:
        return paragraph("This needs the run folder, which keeps what the model drew while it learned: give that one.")
    picked = [(found.images[i], found.pictures[i]) for i in evenly(COLUMNS, len(found.images))]
    noises, names = min(NOISES, len(found.pictures[0])), subject.model.pictures.labels
    rows = [
        Cells(names[i % len(names)] if names else f"noise {i + 1}", torch.stack([p[i] for _, p in picked]))
        for i in range(noises)
    ]
    views = [View(row.name, torch.stack([p[i] for p in found.pictures])) for i, row in enumerate(rows)]
    return "\n".join(
        (
            paragraph(
                "While it learned, the model drew from the same noises again and again. First come colours, then "
                "places, then outlines, then details: what is the same in all pictures is learned first."
            ),
            scrubber(
                "Images seen", views, [f"{images:,} images seen" for images in found.images],
                "The same noise at each stage of the run, by the average of the weights (Ho et al. 2020, section 4, "
                "keep "
                "an exponential moving average of them).", start=len(found.images) - 1, side=96,
            ),
            tiles(rows, [short(images) for images, _ in picked], "The same side by side; above, the images seen."),
        )
    )  # fmt: skip
