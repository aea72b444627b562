"""Answers to the exercises of chapter 11: right ones, and mistakes with words of the hint that each gets."""

RIGHT: dict[str, list[object]] = {
    "inside.direction": [lambda a, b: a.mean(0) - b.mean(0)],
    "inside.step": [lambda plain, edited, a, s: a * edited[0] + s * plain[1]],
    "inside.linearity": [0.9],
    "inside.compression": [12],
}
MISTAKES: dict[str, list[tuple[object, str]]] = {
    "inside.direction": [
        (lambda a, b: b.mean(0) - a.mean(0), "sign"),
        (lambda a, b: a.mean(0), "common"),
        (lambda a, b: a.sum(0) - b.sum(0), "Sums"),
        (lambda a, b: a.mean((0, 2, 3)) - b.mean((0, 2, 3)), "places"),
        (lambda a, b: a - b.mean(0), "first dimension"),
        (lambda a, b: a.mean(0) + b.mean(0), "difference of both"),
        (lambda a, b: a - b, "raised"),
    ],
    "inside.step": [
        (lambda plain, edited, a, s: a * edited[0] + s * edited[1], "cancels"),
        (lambda plain, edited, a, s: a * plain[0] + s * edited[1], "swapped"),
        (lambda plain, edited, a, s: a * plain[0] + s * plain[1], "without any edit"),
        (lambda plain, edited, a, s: edited[0] + s * plain[1], "factor of x̂0"),
        (lambda plain, edited, a, s: edited[0], "DDIM step"),
    ],
    "inside.linearity": [(0.9487, "correlation"), (0.6, "slope"), (0.1, "not explain"), (0.4, "total"), (2, "Slope")],
    "inside.compression": [(16, "3 channels"), (4, "each side"), (3, "height"), (1 / 12, "inverse"), (7, "Count")],
}
