"""Answers to the exercises of chapter 6: right ones, and mistakes with words of the hint that each gets."""

from torch import Tensor


def ddim(x: Tensor, eps: Tensor, a_t: float, s_t: float, a_s: float, s_s: float) -> Tensor:
    return a_s * (x - s_t * eps) / a_t + s_s * eps


RIGHT: dict[str, list[object]] = {"fast.ddim": [ddim], "fast.calls": [19], "fast.order": [0.005]}
MISTAKES: dict[str, list[tuple[object, str]]] = {
    "fast.ddim": [
        (lambda x, e, a, s, a2, s2: (x - s * e) / a, "noise is left"),
        (lambda x, e, a, s, a2, s2: a2 * (x - s * e) / a, "amount of noise"),
        (lambda x, e, a, s, a2, s2: a2 * (x - s * e) + s2 * e, "division is missing"),
        (lambda x, e, a, s, a2, s2: x, "x again"),
        (lambda x, e, a, s, a2, s2: s2 * (x - s * e) / a + a2 * e, "swapped"),
        (lambda x, e, a, s, a2, s2: (x - a * e) / s * a2 + s2 * e, "what is subtracted"),
        (lambda x, e, a, s, a2, s2: e, "two steps"),
        (lambda x, e, a, s, a2, s2: x.flatten(1), "shape"),
    ],
    "fast.calls": [(20, "s is 0"), (10, "DDIM"), (18, "not none"), (11, "Count")],
    "fast.order": [
        (0.02, "first order"),
        (0.00125, "third order"),
        (0.01, "from 20 to 40"),
        (0.16, "smaller"),
        (0.04, "twice"),
    ],
}
