"""The verdict on an evaluation: what its figures mean, in sentences."""

import math
from collections.abc import Sequence

from .evaluate import BitsPerDim, Evaluation
from .metrics.evaluator import SetScore


def summarize(evaluation: Evaluation) -> Sequence[str]:
    """One sentence each for quality, diversity and memorization, and for labels, colors and likelihood if measured."""
    real, model, _, noise = evaluation.scores
    return [
        _describe_quality(real, model, noise),
        _describe_diversity(real, model),
        _describe_memorization(real, model),
        *_describe_labels(evaluation),
        *_describe_colors(model),
        *([] if evaluation.bits_per_dim is None else [_describe_likelihood(evaluation.bits_per_dim)]),
    ]


def _describe_quality(real: SetScore, model: SetScore, noise: SetScore) -> str:
    ratio = model.kid.value / max(noise.kid.value, 1e-9)
    if model.kid.low <= real.kid.high:
        return (
            "Quality: the samples are as close to the held-out pictures as other real pictures are, within the "
            "confidence intervals."
        )
    where = (
        "this is near real pictures"
        if ratio < 0.05
        else "this is between real pictures and noise"
        if ratio < 0.4
        else "this is nearer to noise than to real pictures"
    )
    return f"Quality: KID × 10³ is {model.kid:.1f}, and {real.kid:.1f} for real pictures (lower is better): {where}."


def _describe_diversity(real: SetScore, model: SetScore) -> str:
    share = model.prdc.coverage / max(real.prdc.coverage, 1e-9)
    return f"Diversity: the coverage of the samples is {100 * share:.0f} % of the coverage of other real pictures."


def _describe_memorization(real: SetScore, model: SetScore) -> str:
    copies = 100 * model.memorized.value
    if model.memorized.low > real.memorized.high:
        return f"Memorization: {copies:.1f} % of the samples are copies of training pictures: the model memorizes them."
    distance = (
        "as a set, the samples are closer to the training pictures than held-out pictures are"
        if model.closeness_p_value < 0.01
        else "the samples are as far from the training pictures as held-out pictures are"
    )
    return (
        f"Memorization: {copies:.1f} % of the samples count as copies, no more than among held-out pictures; "
        f"{distance}."
    )


def _describe_labels(evaluation: Evaluation) -> list[str]:
    agreement, accuracy = evaluation.model.agreement, evaluation.classifier_accuracy
    if agreement is None or accuracy is None:
        return []
    return [
        f"Labels: a classifier finds the requested label in {100 * agreement.value:.0f} % of the samples; it is right "
        f"for {100 * accuracy.value:.0f} % of the held-out pictures."
    ]


def _describe_colors(model: SetScore) -> list[str]:
    off = [f"{name} {255 * d.value:+.0f}" for name, d in model.drift.brightness.items() if d.is_significant]
    if not off:
        return []
    return [f"Colors: brighter (+) or darker (-) than the training pictures, in levels of 255: {', '.join(off)}."]


def _describe_likelihood(bits: BitsPerDim) -> str:
    error = math.hypot(bits.train_error, bits.held_out_error)
    sentence = (
        f"Likelihood: {bits.held_out:.2f} bits per dimension for held-out pictures, {bits.train:.2f} for training "
        "pictures"
    )
    return sentence + (
        ": some of the training pictures are memorized." if bits.gap > 3 * error else ": no sign of memorization."
    )
