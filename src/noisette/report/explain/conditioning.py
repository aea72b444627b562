"""Chapter: class labels, mixtures of labels, and guidance."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...diffusion.condition import Condition
from ...sampling.generate import final_samples, generate
from ...shapes import Images
from ..viz.page import paragraph
from ..viz.tiles import TileRow, render_tiles
from .subject import Subject

NUM_LABELS, NUM_SEEDS = 10, 5
MIX_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
GUIDANCE_SCALES = (0.0, 1.0, 2.0, 4.0, 8.0)


def draw_samples(subject: Subject, cond: Condition | None, seeds: list[int], guidance: float = 1.0) -> Images:
    """Samples (len(seeds), C, H, W) with the model's own sampler and time grid."""
    model, grid = subject.model, subject.model.grid()
    return final_samples(generate(model, seeds, cond, model.sampler(), grid, guidance), grid)


@dataclass(frozen=True, eq=False)
class ConditionGrids:
    """The pictures of three grids; each grid is flattened row by row."""

    labels: list[str]
    by_label: Tensor  # (labels · seeds, C, H, W)
    label_pair: tuple[str, str]
    mixed: Tensor  # (seeds · weights, C, H, W)
    guided: Tensor  # (scales · seeds, C, H, W); empty for a model without a null class


def draw_condition_grids(subject: Subject, num_seeds: int = NUM_SEEDS) -> ConditionGrids:
    """Draw the grids. Needs a model with labels."""
    model, names = subject.model, list(subject.model.pictures.labels)
    seeds = [subject.seed + i for i in range(num_seeds)]
    picked = names[:NUM_LABELS]
    by_label = draw_samples(
        subject, model.condition([n for n in picked for _ in seeds], len(picked) * num_seeds), seeds * len(picked)
    )
    first = subject.label if subject.label in names else names[0]
    other = names[(names.index(first) + len(names) // 2) % len(names)]
    between = model.condition([{first: 1 - share, other: share} for share in MIX_WEIGHTS], len(MIX_WEIGHTS))
    mixed = [draw_samples(subject, between, [seed] * len(MIX_WEIGHTS)) for seed in seeds[:3]]
    cond = model.condition(first, num_seeds)
    guided = (
        [draw_samples(subject, cond, seeds, scale) for scale in GUIDANCE_SCALES] if model.config.net.null_class else []
    )
    return ConditionGrids(
        picked, by_label, (first, other), torch.cat(mixed), torch.cat(guided) if guided else by_label[:0]
    )


def render_chapter(subject: Subject) -> str:
    """The chapter as HTML."""
    if not subject.model.pictures.labels:
        return paragraph("This model was trained without labels, so its samples cannot be conditioned.")
    grids = draw_condition_grids(subject)
    headers = [f"seed {subject.seed + i}" for i in range(NUM_SEEDS)]
    shown = subject.to_pixels
    first, other = grids.label_pair
    rows = [TileRow(n, shown(p)) for n, p in zip(grids.labels, grids.by_label.split(NUM_SEEDS), strict=True)]
    mixed = [TileRow(headers[i], shown(p)) for i, p in enumerate(grids.mixed.split(len(MIX_WEIGHTS)))]
    guided = [
        TileRow(f"$w$ = {w:g}", shown(p)) for w, p in zip(GUIDANCE_SCALES, grids.guided.split(NUM_SEEDS), strict=False)
    ]
    parts = [
        paragraph(
            "Each label has a learned vector. It is added to the time embedding and so reaches every block of the "
            "network. Along a row, only the noise changes. Down a column, only the label changes: the samples of one "
            "seed share properties such as colors, position and size."
        ),
        render_tiles(
            rows, headers,
            "One noise per column, one label y per row: samples of $p(x_0 | y)$, the distribution of pictures with "
            "label y. The embedding is $e(t) + e(y)$, the sum of the vectors of time and label (Nichol & Dhariwal "
            "2021).",
        ),
        paragraph("The vectors of two labels can be mixed, which gives samples between the two."),
        render_tiles(
            mixed, [f"{1 - s:.0%} / {s:.0%}" for s in MIX_WEIGHTS],
            f"From “{first}” to “{other}” with the embedding $(1 − m) e_1 + m e_2$, where m is the share of “{other}” "
            "(class embedding: Nichol & Dhariwal 2021). The training data has no such mixed labels.",
        ),
    ]  # fmt: skip
    if guided:
        parts += [
            paragraph(
                "Classifier-free guidance makes the label count more. During training the label was sometimes "
                "removed, so the same network can also predict without a label. Guidance goes from the prediction "
                "without a label to the prediction with it, and then further in the same direction."
            ),
            render_tiles(
                guided, headers,
                f"“{first}” with $x̂_0 = x̂_0(none) + w (x̂_0(label) − x̂_0(none))$ (Ho & Salimans 2022). The "
                "guidance scale is w: 0 ignores the label, and 1 is the prediction with the label, which is no "
                "guidance. A larger w makes the samples clearer and more similar to each other. If w is too large, "
                "their colors become too strong.",
            ),
        ]  # fmt: skip
    return "\n".join(parts)
