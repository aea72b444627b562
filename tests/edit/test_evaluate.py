"""Evaluating: what is drawn, what is compared, what is said."""

from dataclasses import replace

from noisette.edit.evaluate import Bits, Evaluation
from noisette.edit.verdict import verdict
from noisette.metrics.colour import Difference, Drift, Palette
from noisette.metrics.distribution import Fidelity
from noisette.metrics.interval import Interval
from noisette.metrics.yardstick import Score


def score(name: str, kid: float, memorised: float = 0.0, coverage: float = 0.9, closer: float = 0.5) -> Score:
    none = Difference(0.0, 0.01)
    return Score(
        name, 100, Interval(kid, kid - 5, kid + 5), Interval(kid, kid, kid), Fidelity(0.9, 0.9, 1.0, coverage), 1.0,
        None, None, Interval(memorised, max(0, memorised - 0.03), memorised + 0.03), closer,
        Drift({"red": none}, {"red": none}), Palette(5, None, None),
    )  # fmt: skip


SAME = Bits(3.0, 0.1, 3.05, 0.1)


def told(model: Score, bits: Bits = SAME) -> str:
    scores = (score("floor", 0), model, score("copycat", 0, 0.99), score("broken", 800))
    return "\n".join(verdict(Evaluation(scores, bits, None, None, {})))


def test_good_is_called_good() -> None:
    words = told(score("model", 4))
    assert "as close to the held-out pictures as other real pictures" in words
    assert "covers 100 %" in words and "as far from the training pictures as new pictures do" in words
    assert "no surer of its own" in words and "Labels" not in words and "Colours" not in words


def test_what_is_wrong_is_said() -> None:
    assert "between real pictures and noise" in told(score("model", 200))
    assert "nearer to noise" in told(score("model", 500))
    assert "It is memorising them" in told(score("model", 4, memorised=0.4))
    assert "lie closer to the training pictures" in told(score("model", 4, closer=1e-4))
    assert "covers 50 %" in told(score("model", 4, coverage=0.45))
    assert "knows its own better" in told(score("model", 4), Bits(2.0, 0.1, 3.0, 0.1))
    pale = replace(score("model", 4), drift=Drift({"red": Difference(20 / 255, 0.01)}, {}))
    assert "red +20" in told(pale)
