"""Answers to the exercises of chapter 1: right ones, and mistakes with words of the hint that each gets."""

RIGHT: dict[str, list[object]] = {"noise.half": [0.5]}
MISTAKES: dict[str, list[tuple[object, str]]] = {
    "noise.half": [(0.7071, "square"), (0.9, "both equal"), ("x", "one number")]
}
