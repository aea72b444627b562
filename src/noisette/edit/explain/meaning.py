"""Chapter: h-space. What the network says of pictures inside, and what happens if one says it for it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import InputError
from ...noise import Seeded
from ...sampler import sample
from ...shapes import Bytes, Images
from ...viz.chart import Axis, Line, chart, charts
from ...viz.page import paragraph, table
from ...viz.tiles import SIDE, View, scatter, scrubber
from ..finding import of_labels
from ..generate import fresh, steered
from ..hspace import EULER, Direction, Seen, Times, drawn, principal, semantic
from ..measured import STRENGTHS, Bench, Effect, measured
from .subject import Subject

PICTURES, MOVED, STEPS, COMPONENTS, LABELS, HEARD = 48, 5, 10, 2, 2, 8


@dataclass(frozen=True, eq=False)
class Plane:
    """Samples, and where h puts them."""

    pictures: Images  # (B, C, H, W)
    labels: list[str]  # of each; "" where there are none
    at: Tensor  # (B, 2): in standard deviations along the first two components
    directions: list[Direction]


def plane(subject: Subject, number: int = PICTURES, steps: int = STEPS) -> Plane:
    """Draw pictures of all labels in turn, and listen to h at every step."""
    model, names = subject.model, subject.model.pictures.labels
    part, grid, noise = semantic(model.net), model.grid(steps, "karras"), Seeded(range(number))
    asked = [names[i % len(names)] for i in range(number)] if names else [""] * number
    denoise = steered(model, model.condition(asked if names else None, number))
    x = fresh(denoise, grid, torch.empty(number, *model.pictures.shape), noise)
    times, seen = drawn(denoise, part, grid, x, noise)
    directions = principal(times, seen, COMPONENTS)
    return Plane(sample(denoise, EULER, grid, x, noise), asked, placed(times, seen, directions), directions)


def placed(times: Times, seen: Seen, directions: list[Direction]) -> Tensor:
    """How far along each direction pictures lie from their mean; 1 is the length of the direction: (B, directions)."""
    rows = seen.transpose(0, 1).flatten(1).double()
    axes = torch.stack([d.values.flatten().double() for d in directions], 1)
    return (rows - rows.mean(0)) @ axes / axes.square().sum(0)


def apart(subject: Subject, number: int = LABELS, heard: int = HEARD, steps: int = STEPS) -> list[Direction]:
    """What sets labels apart from the mean of all: of those that lie farthest from it."""
    model = subject.model
    found = of_labels(model, model.pictures.labels, range(heard), model.grid(steps, "karras"))
    return sorted(found, key=lambda d: -d.values.norm().item())[:number]


def moved(
    subject: Subject, directions: list[Direction], number: int = MOVED, steps: int = STEPS
) -> tuple[list[Effect], list[Images]]:
    """What each direction does to new pictures of the subject's label, and the pictures at each of STRENGTHS."""
    model, noise = subject.model, Seeded(range(subject.seed, subject.seed + number))
    grid, denoise = model.grid(steps, "karras"), steered(model, subject.condition(number))
    x = fresh(denoise, grid, torch.empty(number, *model.pictures.shape), noise)
    return measured(Bench(denoise, semantic(model.net), EULER, grid, x, noise), directions)


def chapter(subject: Subject) -> str:
    try:
        semantic(subject.model.net)
    except InputError as error:
        return paragraph(f"{error}.")
    found = plane(subject)
    directions = found.directions + apart(subject)
    effects, sliders = moved(subject, directions)
    sums = ["–" if e.composition is None else f"{e.composition:.2f}" for e in effects]
    rows = [
        (e.name, f"{e.size:.3f}", f"{e.r2:.3f}", f"{e.homogeneity:.2f}", total)
        for e, total in zip(effects, sums, strict=True)
    ]
    scrubbers = [_slider(subject, d, s) for d, s in zip(directions, sliders, strict=True)]
    return "\n".join(
        (
            paragraph(
                "Deep in the network a picture is fewer pixels of many channels, and what they hold is less how it "
                "looks than what it is: h-space. In large networks that is the bottleneck. In one as small as this, "
                "most passes it by through the skip connections, so h is heard where the decoder is at half of the "
                "picture's size. Here are samples, each where h puts it: the two directions in which it varies most, "
                "over all steps together."
            ),
            scatter(
                subject.shown(found.pictures), found.at.tolist(), found.labels,
                f"{len(found.pictures)} samples in the plane of the first two principal components of h, at "
                "$(h − h̄) · Δh/|Δh|^2$, in standard deviations: "
                f"{found.directions[0].name} across, {found.directions[1].name} up; in brackets their shares of all "
                "variance (Kwon et al. 2023; Haas et al. 2024).",
            ),
            paragraph(
                "And one can speak there: add a direction to h while a picture is drawn, and the picture changes in "
                "that way; twice as much of it changes it about twice as far. Whether a direction means one thing for "
                "all pictures, the table says. Beside components there is what sets a label apart from the mean of all."
            ),
            *scrubbers,
            linear(effects),
            table(("direction", "size of change", "R² of a line", "alike for all", "adds up with the next"), rows),
            paragraph(
                "Size: root mean square change of a pixel at strength 1. Line: how well strength explains the change, "
                "from −2 to 2. Alike: mean cosine of two pictures' changes. Adds up: 1 − |both − sum|/|sum| with the "
                "next direction.",
                faint=True,
            ),
        )
    )  # fmt: skip


def linear(effects: list[Effect]) -> str:
    """How far pictures go for each strength, beside the line through it."""
    lines = []
    for i, effect in enumerate(effects):
        lines.append(Line(effect.name, STRENGTHS, effect.shares, i, dots=True, joined=False))
        middle = sum(effect.shares) / len(STRENGTHS)  # strengths lie around 0
        along = [middle + effect.slope * s for s in STRENGTHS]
        lines.append(Line(f"its line, R² {effect.r2:.3f}", STRENGTHS, along, i, dash=1))
    return charts(
        chart(Axis("strength s"), Axis("effect"), lines, "Effect over strength for each direction, beside a line"),
        caption="Linearity: the change's share in the mean change at strength 1, $Δx(s) · Δx(1)/|Δx(1)|$, the mean "
        "over pictures. On the line, twice the strength is twice the change (Kwon et al. 2023).",
    )


def _slider(subject: Subject, direction: Direction, pictures: Images) -> str:
    frames: Bytes = subject.shown(pictures)
    views = [
        View(f"seed {subject.seed + i}", f) for i, f in enumerate(frames.unflatten(0, (len(STRENGTHS), -1)).unbind(1))
    ]
    return scrubber(
        f"Strength of {direction.name}", views, [f"{s:+g}" if s else "0: as they were" for s in STRENGTHS],
        "$x̂_0$ from $h + s Δh$, $ε̂$ from h: asymmetric (Kwon et al. 2023, eq. 5).",
        start=STRENGTHS.index(0.0), side=SIDE + SIDE // 2, play=False,
    )  # fmt: skip
