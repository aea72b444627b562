"""Answers to the exercises of chapter 8: right ones, and mistakes with words of the hint that each gets."""

RIGHT: dict[str, list[object]] = {}
MISTAKES: dict[str, list[tuple[object, str]]] = {}
