"""Chapter: samples of the same noise during training."""

import torch

from ..run import SampleHistory, load_sample_history
from ..viz.page import paragraph
from ..viz.strip import evenly_spaced, format_short
from ..viz.tiles import ScrubberView, TileRow, render_scrubber, render_tiles
from .subject import Subject

NOISES, COLUMNS = 4, 10


def render_chapter(subject: Subject) -> str:
    """The chapter as HTML."""
    samples = subject.run / "samples" if subject.run else None
    history = (
        load_sample_history(samples, subject.model.pictures) if samples and samples.is_dir() else SampleHistory([], [])
    )
    if len(history.images_seen) < 2:
        return paragraph(
            "This chapter needs the samples that a run saves during training: run `noisette explain` on the run folder."
        )
    picked = [(history.images_seen[i], history.pictures[i]) for i in evenly_spaced(COLUMNS, len(history.images_seen))]
    noises, names = min(NOISES, len(history.pictures[0])), subject.model.pictures.labels
    rows = [
        TileRow(names[i % len(names)] if names else f"noise {i + 1}", torch.stack([p[i] for _, p in picked]))
        for i in range(noises)
    ]
    views = [ScrubberView(row.label, torch.stack([p[i] for p in history.pictures])) for i, row in enumerate(rows)]
    return "\n".join(
        (
            paragraph(
                "During training, the model regularly drew samples, always from the same noises. What all pictures "
                "share is learned first: colors come before positions, and positions before outlines and details."
            ),
            render_scrubber(
                "Images seen", views, [f"{images:,} images seen" for images in history.images_seen],
                "Samples of the same noises during training. They are drawn with averaged weights: after every step, "
                "the average $θ̄$ of the weights $θ$ becomes $θ̄ ← γ θ̄ + (1 − γ) θ$, with γ slightly below 1 (Ho et "
                "al. 2020, section 4; Karras et al. 2022, appendix F.2).",
                initial=len(history.images_seen) - 1, side=96,
            ),
            render_tiles(
                rows, [format_short(images) for images, _ in picked],
                "The same samples side by side, one noise per row. Column heads: training images seen. Weights: the "
                "average "
                "$θ̄$ (Karras et al. 2022).",
            ),
        )
    )  # fmt: skip
