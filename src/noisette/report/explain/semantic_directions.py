"""Chapter: h-space. Activations inside the network, and edits along directions in them (Kwon et al. 2023)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...diffusion.noise import Seeded
from ...diffusion.sampler import sample
from ...edit.hspace import (
    EULER,
    STRENGTHS,
    Activations,
    ActivationTimes,
    Direction,
    DirectionEffect,
    EffectSetup,
    find_label_directions,
    find_layer,
    measure_effects,
    principal_directions,
    record_sampling,
)
from ...errors import InputError
from ...sampling.generate import build_denoiser, initial_noise
from ...shapes import Images, UInt8Images
from ..viz.chart import Axis, Line, chart, charts
from ..viz.page import paragraph, table
from ..viz.tiles import TILE_SIZE, ScrubberView, render_scatter, render_scrubber
from .subject import Subject

NUM_PICTURES, NUM_EDITED, STEPS, NUM_COMPONENTS, NUM_LABELS, PICTURES_PER_LABEL = 48, 5, 10, 2, 2, 8


@dataclass(frozen=True, eq=False)
class HSpacePlane:
    """Samples, and the projections of their h-space activations on two principal components."""

    pictures: Images  # (B, C, H, W)
    labels: list[str]  # (B,); "" for a model without labels
    coordinates: Tensor  # (B, 2), in standard deviations of the first two components
    directions: list[Direction]


def sample_plane(subject: Subject, number: int = NUM_PICTURES, steps: int = STEPS) -> HSpacePlane:
    """Draw `number` samples, cycling through the labels, and record the activations h at every step."""
    model, names = subject.model, subject.model.pictures.labels
    layer, grid, noise = find_layer(model.net), model.grid(steps, "karras"), Seeded(range(number))
    labels = [names[i % len(names)] for i in range(number)] if names else [""] * number
    denoise = build_denoiser(model, model.condition(labels if names else None, number))
    x = initial_noise(denoise, grid, torch.empty(number, *model.codec.shape), noise)
    times, activations = record_sampling(denoise, layer, grid, x, noise)
    directions = principal_directions(times, activations, NUM_COMPONENTS)
    return HSpacePlane(
        sample(denoise, EULER, grid, x, noise),
        labels,
        project_activations(times, activations, directions),
        directions,
    )


def project_activations(times: ActivationTimes, activations: Activations, directions: list[Direction]) -> Tensor:
    """Projections of the centered activations on each direction, in units of its length: (B, len(directions))."""
    rows = activations.transpose(0, 1).flatten(1).double()
    axes = torch.stack([d.values.flatten().double() for d in directions], 1)
    return (rows - rows.mean(0)) @ axes / axes.square().sum(0)


def top_label_directions(
    subject: Subject, number: int = NUM_LABELS, pictures_per_label: int = PICTURES_PER_LABEL, steps: int = STEPS
) -> list[Direction]:
    """The `number` label directions (mean of a label − mean of all labels) with the largest norm."""
    model = subject.model
    directions = find_label_directions(
        model, model.pictures.labels, range(pictures_per_label), model.grid(steps, "karras")
    )
    return sorted(directions, key=lambda d: -d.values.norm().item())[:number]


def measure_edits(
    subject: Subject, directions: list[Direction], number: int = NUM_EDITED, steps: int = STEPS
) -> tuple[list[DirectionEffect], list[Images]]:
    """The effect of each direction on `number` samples of the subject's label.

    Also returns the edited samples of each direction, (len(STRENGTHS) · number, C, H, W).
    """
    model, noise = subject.model, Seeded(range(subject.seed, subject.seed + number))
    grid, denoise = model.grid(steps, "karras"), build_denoiser(model, subject.condition(number))
    x = initial_noise(denoise, grid, torch.empty(number, *model.codec.shape), noise)
    return measure_effects(EffectSetup(denoise, find_layer(model.net), EULER, grid, x, noise), directions)


def render_chapter(subject: Subject) -> str:
    """The chapter as HTML."""
    try:
        find_layer(subject.model.net)
    except InputError as error:
        return paragraph(f"{error}.")
    plane = sample_plane(subject)
    directions = plane.directions + top_label_directions(subject)
    effects, sliders = measure_edits(subject, directions)
    compositions = ["–" if e.composition is None else f"{e.composition:.2f}" for e in effects]
    rows = [
        (e.name, f"{e.rms_change:.3f}", f"{e.r2:.3f}", f"{e.homogeneity:.2f}", composition)
        for e, composition in zip(effects, compositions, strict=True)
    ]
    scrubbers = [_strength_scrubber(subject, d, s) for d, s in zip(directions, sliders, strict=True)]
    return "\n".join(
        (
            paragraph(
                "The feature maps deep in the network have few pixels and many channels. They describe the content "
                "of the picture more than single pixels. Such a map is called h, and the space of all h is h-space. "
                "In large networks h is the output of the bottleneck. In a network as small as this one, most "
                "information goes through the skip connections instead, so here h is read in the decoder at half the "
                "resolution of the picture. Principal components are the directions in which h varies most from "
                "sample to sample. The figure places each sample by its first two."
            ),
            render_scatter(
                subject.to_pixels(plane.pictures), plane.coordinates.tolist(), plane.labels,
                f"{len(plane.pictures)} samples in the plane of the first two principal components of h: "
                f"{plane.directions[0].name} to the right, {plane.directions[1].name} upwards. In brackets: the share "
                "of the variance. The position along a direction Δh is $(h − h̄) · Δh/|Δh|^2$, where $h̄$ is the "
                "mean of h; the unit is a standard deviation (Kwon et al. 2023; Haas et al. 2024). All samples of "
                "this chapter: ddim on the karras grid.",
            ),
            paragraph(
                "A direction Δh, multiplied by a strength s, can be added to h during sampling. Then the picture "
                "changes, and twice the strength gives about twice the change. The table shows whether a direction "
                "has the same effect on all pictures. Besides principal components there are label directions: the "
                "mean h of one label minus the mean h of all labels."
            ),
            *scrubbers,
            linearity_chart(effects),
            table(("direction", "change", "linearity (R²)", "consistency", "additivity"), rows),
            paragraph(
                "Change: root mean square change per pixel at strength 1. Linearity: R² of a straight line fitted to "
                "the effects at strengths −2 to 2; 1 means that the effect is exactly linear. Consistency: mean "
                "cosine similarity between the changes of two pictures; 1 means that all pictures change alike. "
                "Additivity: this direction and the next one are applied together, and their effect is compared with "
                "the sum of both single effects, as 1 − |both − sum|/|sum|; 1 means that they add up.",
                faint=True,
            ),
        )
    )  # fmt: skip


def linearity_chart(effects: list[DirectionEffect]) -> str:
    """A chart of the effect over the strength for each direction, with its fitted line."""
    lines = []
    for i, effect in enumerate(effects):
        lines.append(Line(effect.name, STRENGTHS, effect.mean_effects, i, has_markers=True, is_connected=False))
        middle = sum(effect.mean_effects) / len(STRENGTHS)  # STRENGTHS is symmetric around 0
        fitted = [middle + effect.slope * s for s in STRENGTHS]
        lines.append(Line(f"linear fit, R² {effect.r2:.3f}", STRENGTHS, fitted, i, dash=1))
    return charts(
        chart(Axis("strength s"), Axis("effect"), lines, "Effect over strength for each direction, with a linear fit"),
        caption="Linearity: Δx(s) is the change of a picture at strength s. It is projected on the mean change at "
        "strength 1, $Δx(s) · Δx(1)/|Δx(1)|$; mean over the pictures (Kwon et al. 2023).",
    )


def _strength_scrubber(subject: Subject, direction: Direction, pictures: Images) -> str:
    frames: UInt8Images = subject.to_pixels(pictures)
    views = [
        ScrubberView(f"seed {subject.seed + i}", f)
        for i, f in enumerate(frames.unflatten(0, (len(STRENGTHS), -1)).unbind(1))
    ]
    return render_scrubber(
        f"Strength of {direction.name}", views, [f"{s:+g}" if s else "0: unchanged" for s in STRENGTHS],
        "In every step, $x̂_0$ is predicted with the changed $h + s Δh$, and $ε̂$ with the unchanged h. If both were "
        "changed, the two changes would nearly cancel each other (asymmetric editing, Kwon et al. 2023, eq. 5).",
        initial=STRENGTHS.index(0.0), side=TILE_SIZE + TILE_SIZE // 2, play=False,
    )  # fmt: skip
