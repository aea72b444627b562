"""The order in which people sort names."""

import re


def natural(word: str) -> tuple[list[tuple[int, str]], str]:
    """A key that sorts 2 before 10, and b after A."""
    parts = re.split(r"([0-9]+)", word.casefold())
    parts[1::2] = (digits.lstrip("0") for digits in parts[1::2])  # numbers: by length, then by digits
    return [(len(p) if i % 2 else 0, p) for i, p in enumerate(parts)], word
