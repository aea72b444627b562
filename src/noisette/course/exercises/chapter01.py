"""Exercises of chapter 1: noise and sprites."""

from . import exercise, number


@exercise("noise.half", "At which ᾱ has half of the variance become noise?", "α² and σ² are both one half there.")
def half(answer: object) -> str | None:
    value = number(answer)
    if abs(value - 0.5) < 0.01:
        return None
    if abs(value - 0.5**0.5) < 0.01:
        return "That is α, the factor of the picture; ᾱ is its square."
    return "The variance of a state is ᾱ + (1 − ᾱ): the first part is the picture's. When are both equal?"
