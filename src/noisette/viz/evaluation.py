"""The page of an evaluation: what it says in words, the figures, and the pictures that one should look at oneself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from ..metrics.yardstick import Score
from ..shapes import Bytes
from .grid import enlarged, sheet
from .page import figure, heading, page, paragraph, row, table
from .png import to_image

SHOWN = 64  # pictures of each row
HEADS = (
    "set", "pictures", "KID × 10³", "95 %", "precision", "recall", "density", "coverage", "FD", "MMD × 10³",
    "labels read %", "memorised %", "95 %",
)  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """A sample and the training picture nearest to it, each (1, C, H, W)."""

    sample: Bytes
    training: Bytes
    distance: float  # root mean square, 0 … 1


def cells(score: Score) -> list[str]:
    """A row of the table, as HEADS names it."""
    f, percent = score.fidelity, score.memorised.scaled(100)
    return [
        score.name, str(score.n), f"{score.kid.value:.1f}", f"{score.kid.low:.1f} … {score.kid.high:.1f}",
        f"{f.precision:.2f}", f"{f.recall:.2f}", f"{f.density:.2f}", f"{f.coverage:.2f}",
        "–" if score.fd is None else f"{score.fd:.1f}", f"{score.mmd.value:.1f}",
        "–" if score.agreement is None else f"{100 * score.agreement.value:.0f}",
        f"{percent.value:.1f}", f"{percent.low:.1f} … {percent.high:.1f}",
    ]  # fmt: skip


def evaluation_page(
    title: str,
    words: Sequence[str],
    scores: Sequence[Score],
    sets: Mapping[str, Bytes],
    pairs: Sequence[Pair],
    about: Mapping[str, object],
    marked: int = 1,
) -> str:
    """`sets` are the pictures to show under their names; `marked` is the model's row."""
    parts = [paragraph(sentence) for sentence in words]
    parts += [heading("The figures"), table(HEADS, [cells(score) for score in scores], marked)]
    parts += [paragraph(f"{score.name}: {score.about}", faint=True) for score in scores if score.about]
    parts.append(heading("The pictures"))
    parts.append(row(*(_set(name, pixels) for name, pixels in sets.items())))
    parts.append(heading(f"The {len(pairs)} samples that come closest to a training picture"))
    parts.append(paragraph("Left the sample, right the training picture. Are they copies, or of one family?"))
    parts.append(row(*map(_pair, pairs)))
    parts += [heading("Colour, contrast, palette"), _colours(scores), _palettes(scores)]
    parts += [heading("Made with"), table(("what", "value"), [(k, str(v)) for k, v in about.items()], words=True)]
    return page(title, *parts)


def _set(name: str, pixels: Bytes) -> str:
    some = pixels[torch.linspace(0, len(pixels) - 1, min(SHOWN, len(pixels))).long()]
    return figure(sheet(some, columns=8, scale=max(1, 36 // some.shape[3])), f"{len(some)} pictures: {name}", name)


def _pair(pair: Pair) -> str:
    both = torch.cat([pair.sample, pair.training])
    picture = enlarged(sheet(both, columns=2, scale=1), max(1, 64 // to_image(pair.sample).width))
    return figure(picture, "a sample and the nearest training picture", f"{pair.distance:.3f}")


def _colours(scores: Sequence[Score]) -> str:
    names = list(scores[0].drift.brightness)
    heads = ("brightness and contrast, levels of 255", *names, *(f"{name} contrast" for name in names))
    rows = []
    for score in scores:
        off = [*score.drift.brightness.values(), *score.drift.contrast.values()]
        rows.append([score.name, *(f"{255 * d.value:+.1f} ± {510 * d.error:.1f}" for d in off)])
    return table(heads, rows)


def _palettes(scores: Sequence[Score]) -> str:
    def share(value: float | None) -> str:
        return "–" if value is None else f"{100 * value:.1f}"

    heads = ("palette and alpha", "colours a picture", "clear pixels %", "part-transparent pixels %")
    rows = [(s.name, f"{s.palette.colours:.0f}", share(s.palette.clear), share(s.palette.partial)) for s in scores]
    return table(heads, rows)
