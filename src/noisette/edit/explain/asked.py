"""Chapter: what one asks for: labels, mixtures of labels, and how strongly."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...condition import Condition
from ...shapes import Images
from ...viz.page import paragraph
from ...viz.tiles import Cells, tiles
from ..generate import ends, generate
from .subject import Subject

LABELS, SEEDS = 10, 5
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
SCALES = (0.0, 1.0, 2.0, 4.0, 8.0)


def drawn(subject: Subject, cond: Condition | None, seeds: list[int], guidance: float = 1.0) -> Images:
    """By the model's own sampler and grid."""
    model, grid = subject.model, subject.model.grid()
    return ends(generate(model, seeds, cond, model.sampler(), grid, guidance), grid)


@dataclass(frozen=True, eq=False)
class Wishes:
    """(rows, pictures) of each grid, in one axis."""

    labels: list[str]
    by_label: Tensor  # (labels · seeds, C, H, W)
    pair: tuple[str, str]
    mixed: Tensor  # (seeds · shares, C, H, W)
    guided: Tensor  # (scales · seeds, C, H, W); none where the model knows no null


def wishes(subject: Subject, seeds: int = SEEDS) -> Wishes:
    model, names = subject.model, list(subject.model.pictures.labels)
    some = [subject.seed + i for i in range(seeds)]
    picked = names[:LABELS]
    by_label = drawn(
        subject, model.condition([n for n in picked for _ in some], len(picked) * seeds), some * len(picked)
    )
    first = subject.label if subject.label in names else names[0]
    other = names[(names.index(first) + len(names) // 2) % len(names)]
    between = model.condition([{first: 1 - share, other: share} for share in SHARES], len(SHARES))
    mixed = [drawn(subject, between, [seed] * len(SHARES)) for seed in some[:3]]
    cond = model.condition(first, seeds)
    guided = [drawn(subject, cond, some, scale) for scale in SCALES] if model.config.net.null_class else []
    return Wishes(picked, by_label, (first, other), torch.cat(mixed), torch.cat(guided) if guided else by_label[:0])


def chapter(subject: Subject) -> str:
    if not subject.model.pictures.labels:
        return paragraph("This model was trained without labels, so there is nothing that it can be asked for.")
    found = wishes(subject)
    heads = [f"seed {subject.seed + i}" for i in range(SEEDS)]
    shown = subject.shown
    first, other = found.pair
    rows = [Cells(n, shown(p)) for n, p in zip(found.labels, found.by_label.split(SEEDS), strict=True)]
    mixed = [Cells(heads[i], shown(p)) for i, p in enumerate(found.mixed.split(len(SHARES)))]
    guided = [Cells(f"$w$ = {w:g}", shown(p)) for w, p in zip(SCALES, found.guided.split(SEEDS), strict=False)]
    parts = [
        paragraph(
            "A label is a vector of numbers that is added to that of the time, in every block. Going along a row, the "
            "noise changes; down a column, only the label does, and what a seed draws keeps something of itself: its "
            "colours, its weight, its place."
        ),
        tiles(
            rows, heads,
            "Labels and seeds. One noise a column, $p(x_0 | y)$ for one label y a row, by the embedding $e(t) + e(y)$ "
            "(Nichol & Dhariwal 2021).",
        ),
        paragraph("Between two labels there is a way: their vectors can be mixed."),
        tiles(
            mixed, [f"{1 - s:.0%} / {s:.0%}" for s in SHARES],
            f"From “{first}” to “{other}”: the embedding is $(1 − m) e_1 + m e_2$. No picture in the data was labelled "
            "so. (The embedding is Nichol & Dhariwal's, 2021.)",
        ),
    ]  # fmt: skip
    if guided:
        parts += [
            paragraph(
                "And one can ask more strongly. In training the label was sometimes withheld, so the same network also "
                "draws without one; guidance goes from there past the wish."
            ),
            tiles(
                guided, heads,
                f"“{first}” with $x̂_0 = x̂_0(none) + w (x̂_0(label) − x̂_0(none))$ (Ho & Salimans 2022). 0 ignores "
                "the label, 1 is the model itself; beyond, pictures get clearer and more alike, and at last too loud.",
            ),
        ]  # fmt: skip
    return "\n".join(parts)
