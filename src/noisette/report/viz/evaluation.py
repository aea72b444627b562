"""The page of an evaluation: a summary, the table of metrics, and pictures to compare by eye."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from ...data.contact_sheet import contact_sheet, enlarge
from ...data.png import to_image
from ...evaluation.metrics.evaluator import SetScore
from ...shapes import UInt8Images
from .page import figure, heading, paragraph, render_page, row, table

MAX_PICTURES = 64  # of each set
TABLE_HEADERS = (
    "set", "pictures", "KID × 10³", "95 %", "precision", "recall", "density", "coverage", "FD", "FID∞", "MMD × 10³",
    "label accuracy %", "copies %", "95 %",
)  # fmt: skip


@dataclass(frozen=True)
class NearestPair:
    """A sample and its nearest training picture, (1, C, H, W) each."""

    sample: UInt8Images
    training: UInt8Images
    distance: float  # root mean square difference of pixels in [0, 1]


def score_cells(score: SetScore) -> list[str]:
    """The cells of a table row, one for each of TABLE_HEADERS."""
    prdc, percent = score.prdc, score.memorized.scaled(100)
    return [
        score.name, str(score.n), f"{score.kid.value:.1f}", f"{score.kid.low:.1f} … {score.kid.high:.1f}",
        f"{prdc.precision:.2f}", f"{prdc.recall:.2f}", f"{prdc.density:.2f}", f"{prdc.coverage:.2f}",
        "–" if score.fd is None else f"{score.fd:.1f}", "–" if score.fid is None else f"{score.fid:.1f}",
        f"{score.mmd.value:.1f}",
        "–" if score.agreement is None else f"{100 * score.agreement.value:.0f}",
        f"{percent.value:.1f}", f"{percent.low:.1f} … {percent.high:.1f}",
    ]  # fmt: skip


def render_evaluation_page(
    title: str,
    sentences: Sequence[str],
    scores: Sequence[SetScore],
    sets: Mapping[str, UInt8Images],
    pairs: Sequence[NearestPair],
    settings: Mapping[str, object],
    highlighted: int = 1,
) -> str:
    """The page as HTML. `sets` are pictures (N, C, H, W) to show, by name; `highlighted` is the model's row."""
    parts = [paragraph(sentence) for sentence in sentences]
    parts += [heading("Metrics"), table(TABLE_HEADERS, [score_cells(score) for score in scores], highlighted)]
    parts += [paragraph(f"{score.name}: {score.description}", faint=True) for score in scores if score.description]
    parts.append(heading("Pictures"))
    parts.append(row(*(_render_set(name, pixels) for name, pixels in sets.items())))
    parts.append(heading(f"The {len(pairs)} samples closest to a training picture"))
    parts.append(
        paragraph(
            "Left: a sample. Right: the training picture that is nearest to it. The number is the distance of "
            "the two, from 0 (equal) to 1. Check by eye whether the samples are copies."
        )
    )
    parts.append(row(*map(_render_pair, pairs)))
    parts += [heading("Color, contrast and palette"), _color_table(scores), _palette_table(scores)]
    parts += [
        heading("Settings"),
        table(("setting", "value"), [(k, str(v)) for k, v in settings.items()], is_text=True),
    ]
    return render_page(title, *parts)


def _render_set(name: str, pixels: UInt8Images) -> str:
    subset = pixels[torch.linspace(0, len(pixels) - 1, min(MAX_PICTURES, len(pixels))).long()]
    return figure(
        contact_sheet(subset, columns=8, scale=max(1, 36 // subset.shape[3])), f"{len(subset)} pictures: {name}", name
    )


def _render_pair(pair: NearestPair) -> str:
    both = torch.cat([pair.sample, pair.training])
    picture = enlarge(contact_sheet(both, columns=2, scale=1), max(1, 64 // to_image(pair.sample).width))
    return figure(picture, "a sample and the nearest training picture", f"{pair.distance:.3f}")


def _color_table(scores: Sequence[SetScore]) -> str:
    names = list(scores[0].drift.brightness)
    heads = ("difference of brightness and contrast (0–255)", *names, *(f"{name} contrast" for name in names))
    rows = []
    for score in scores:
        differences = [*score.drift.brightness.values(), *score.drift.contrast.values()]
        rows.append([score.name, *(f"{255 * d.value:+.1f} ± {510 * d.error:.1f}" for d in differences)])
    return table(heads, rows)


def _palette_table(scores: Sequence[SetScore]) -> str:
    def share(value: float | None) -> str:
        return "–" if value is None else f"{100 * value:.1f}"

    heads = ("palette and alpha", "colors per picture", "transparent pixels %", "semi-transparent pixels %")
    rows = [
        (s.name, f"{s.palette.colors:.0f}", share(s.palette.transparent), share(s.palette.semi_transparent))
        for s in scores
    ]
    return table(heads, rows)
