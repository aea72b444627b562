"""What the figures of an evaluation say, in plain words."""

import math
from collections.abc import Sequence

from ..metrics.yardstick import Score
from .evaluate import Bits, Evaluation


def verdict(evaluation: Evaluation) -> Sequence[str]:
    """What the figures say, in plain words."""
    floor, model, _, broken = evaluation.scores
    return [
        _quality(floor, model, broken),
        _variety(floor, model),
        _originality(floor, model),
        *_labels_read(evaluation),
        *_colour(model),
        _surprise(evaluation.bits),
    ]


def _quality(floor: Score, model: Score, broken: Score) -> str:
    of = model.kid.value / max(broken.kid.value, 1e-9)
    if model.kid.low <= floor.kid.high:
        return "Quality: as close to the held-out pictures as other real pictures are, as far as so few can tell."
    where = "near real pictures" if of < 0.05 else "between real pictures and noise" if of < 0.4 else "nearer to noise"
    return f"Quality: KID × 10³ is {model.kid:.1f}; real pictures have {floor.kid:.1f}: {where}."


def _variety(floor: Score, model: Score) -> str:
    share = model.fidelity.coverage / max(floor.fidelity.coverage, 1e-9)
    return f"Variety: it covers {100 * share:.0f} % of what other real pictures cover."


def _originality(floor: Score, model: Score) -> str:
    copies = 100 * model.memorised.value
    if model.memorised.low > floor.memorised.high:
        return f"Originality: {copies:.1f} % of the samples are copies of training pictures. It is memorising them."
    closer = (
        "as a set they lie closer to the training pictures than new pictures would"
        if model.closer < 0.01
        else "they lie as far from the training pictures as new pictures do"
    )
    return f"Originality: {copies:.1f} % count as copies, no more than of held-out pictures do; {closer}."


def _labels_read(evaluation: Evaluation) -> list[str]:
    read, known = evaluation.model.agreement, evaluation.known
    if read is None or known is None:
        return []
    return [
        f"Labels: {100 * read.value:.0f} % are read as what they were asked to be, by a classifier that reads "
        f"{100 * known.value:.0f} % of the held-out pictures rightly."
    ]


def _colour(model: Score) -> list[str]:
    off = [f"{name} {255 * d.value:+.0f}" for name, d in model.drift.brightness.items() if d.sure]
    return (
        [f"Colours: brighter or darker than the training pictures, in levels of 255: {', '.join(off)}."] if off else []
    )


def _surprise(b: Bits) -> str:
    error = math.hypot(b.train_error, b.held_out_error)
    told = f"Likelihood: {b.held_out:.2f} bits a dimension on held-out pictures, {b.train:.2f} on training pictures"
    return told + (": it knows its own better." if b.gap > 3 * error else ": no surer of its own.")
