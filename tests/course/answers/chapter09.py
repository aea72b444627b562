"""Answers to the exercises of chapter 9: right ones, and mistakes with words of the hint that each gets."""

RIGHT: dict[str, list[object]] = {
    "guidance.combine": [lambda c, u, w: u + w * (c - u), lambda c, u, w: w * c + (1 - w) * u],
    "guidance.scale": [2.5],
    "guidance.classifier": [lambda x0, g, a, s, scale: x0 + scale * s**2 / a * g],
    "guidance.cost": [400, 400.0],
}
MISTAKES: dict[str, list[tuple[object, str]]] = {
    "guidance.combine": [
        (lambda c, u, w: c + w * (u - c), "swapped"),
        (lambda c, u, w: c + w * (c - u), "Try scale 0"),
        (lambda c, u, w: u + w * c, "difference"),
        (lambda c, u, w: c, "At scale 0 return"),
        (3.0, "a function"),
    ],
    "guidance.scale": [(1.5, "differ"), (0.5, "other sign"), (4, "read off")],
    "guidance.classifier": [
        (lambda x0, g, a, s, scale: x0 + scale * s / a * g, "squared"),
        (lambda x0, g, a, s, scale: x0 + scale * s**2 * g, "α is missing"),
        (lambda x0, g, a, s, scale: x0 + scale * s**2 * a * g, "Divide"),
        (lambda x0, g, a, s, scale: x0 - scale * s**2 / a * g, "sign"),
        (lambda x0, g, a, s, scale: x0 + scale * g, "brings it to x0"),
        (lambda x0, g, a, s, scale: x0 + s**2 / a * g, "not used"),
        (lambda x0, g, a, s, scale: x0, "three factors"),
    ],
    "guidance.cost": [(200, "without guidance"), (600, "value of the scale"), (20, "batch"), (7, "Multiply")],
}
