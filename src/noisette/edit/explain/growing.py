"""Chapter: what one noise became as the model grew."""

import torch

from ...viz.page import paragraph
from ...viz.strip import evenly, short
from ...viz.tiles import Cells, View, scrubber, tiles
from ..growth import Grown, grown
from .subject import Subject

NOISES, COLUMNS = 4, 10


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
                "The same noise at each stage of the run, by the average of the weights, $θ̄ ← γ θ̄ + (1 − γ) θ$ after "
                "every step (Ho et al. 2020, section 4; Karras et al. 2022, appendix F.2).",
                start=len(found.images) - 1, side=96,
            ),
            tiles(
                rows, [short(images) for images, _ in picked],
                "The same side by side; above, the images seen. By $θ̄$, from one noise a row (Karras et al. 2022).",
            ),
        )
    )  # fmt: skip
