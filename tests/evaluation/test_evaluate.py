"""The verdict in words on an evaluation."""

from dataclasses import replace

from noisette.evaluation.evaluate import BitsPerDim, Evaluation
from noisette.evaluation.metrics.color import ColorDrift, MeanDifference, PaletteStats
from noisette.evaluation.metrics.distribution import PRDC
from noisette.evaluation.metrics.evaluator import SetScore
from noisette.evaluation.metrics.interval import ConfidenceInterval
from noisette.evaluation.verdict import summarize


def score(name: str, kid: float, memorized: float = 0.0, coverage: float = 0.9, p_value: float = 0.5) -> SetScore:
    none = MeanDifference(0.0, 0.01)
    return SetScore(
        name, 100, ConfidenceInterval(kid, kid - 5, kid + 5), ConfidenceInterval(kid, kid, kid),
        PRDC(0.9, 0.9, 1.0, coverage), 1.0,
        None, None, ConfidenceInterval(memorized, max(0, memorized - 0.03), memorized + 0.03), p_value,
        ColorDrift({"red": none}, {"red": none}), PaletteStats(5, None, None),
    )  # fmt: skip


SAME = BitsPerDim(3.0, 0.1, 3.05, 0.1)


def verdict(model: SetScore, bits: BitsPerDim = SAME) -> str:
    scores = (score("real data", 0), model, score("training copies", 0, 0.99), score("noise", 800))
    return "\n".join(summarize(Evaluation(scores, bits, None, None, {})))


def test_a_good_model_has_a_good_verdict() -> None:
    text = verdict(score("model", 4))
    assert "as close to the held-out pictures as other real pictures" in text
    assert (
        "coverage of the samples is 100 %" in text
        and "as far from the training pictures as held-out pictures are" in text
    )
    assert "no sign of memorization" in text and "Labels" not in text and "Colors" not in text


def test_every_problem_is_named() -> None:
    assert "between real pictures and noise" in verdict(score("model", 200))
    assert "nearer to noise" in verdict(score("model", 500))
    assert "the model memorizes them" in verdict(score("model", 4, memorized=0.4))
    assert "closer to the training pictures than held-out pictures" in verdict(score("model", 4, p_value=1e-4))
    assert "coverage of the samples is 50 %" in verdict(score("model", 4, coverage=0.45))
    assert "some of the training pictures are memorized" in verdict(score("model", 4), BitsPerDim(2.0, 0.1, 3.0, 0.1))
    pale = replace(score("model", 4), drift=ColorDrift({"red": MeanDifference(20 / 255, 0.01)}, {}))
    assert "red +20" in verdict(pale)
