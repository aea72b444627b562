"""Exercises of chapter 7: context."""

import torch
from torch import Tensor

from . import call, exercise, tensor


@exercise(
    "context.planes",
    "Contexts (B, D) as planes (B, D, height, width).",
    "Each entry fills one plane: all pixels of plane d of picture b are c[b, d].",
)
def planes(answer: object) -> str | None:
    c = torch.tensor([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])
    made = call(answer, c.clone(), 4, 5)
    if isinstance(made, Tensor):
        hint = {
            (2, 4, 5, 3): "The planes are channels, and channels come second: (B, D, height, width).",
            (2, 3, 5, 4): "Height and width are swapped: pictures are (B, channels, height, width).",
            (3, 2, 4, 5): "The axes of batch and of planes are swapped.",
            (2, 3, 1, 1): "Two axes are there, but they have length 1: each value has to fill a plane.",
            (2, 3): "Nothing has changed yet: two more axes are needed, for height and width.",
        }.get(tuple(made.shape))
        if hint:
            return hint
    given = tensor(made, (2, 3, 4, 5))
    if torch.equal(given, c[:, :, None, None].expand(-1, -1, 4, 5)):
        return None
    if (given.amax((2, 3)) > given.amin((2, 3))).any():
        return "The shape fits, but a plane holds several values: repeat and reshape mix the entries. Add axes first."
    return "Each plane has one value, but not the right one: plane d of picture b is c[b, d]."


@exercise(
    "context.mixture",
    "The context of one part 3 and three parts 8.",
    "The weights are shares of the whole: a quarter and three quarters.",
)
def mixture(answer: object) -> str | None:
    given = tensor(answer, (10,))

    def has(three: float, eight: float) -> bool:
        right = torch.zeros(10)
        right[3], right[8] = three, eight
        return torch.allclose(given, right, atol=1e-3)

    if has(0.25, 0.75):
        return None
    if has(1, 3) or has(0.1, 0.3):
        return "The parts are in the right places. Divide them, so that their sum is 1."
    if has(0.75, 0.25):
        return "The two weights are swapped: which digit has more parts?"
    if has(0.5, 0.5):
        return "That is the same share for both. There are four parts in all."
    if has(1 / 3, 2 / 3) or has(1 / 3, 1):
        return "One part of how many in all? Count the parts of both digits."
    if torch.count_nonzero(given) == 2 and abs(given.sum().item() - 1) < 1e-3:
        return (
            "Two weights with the sum 1, but in other places: the digits count from 0, so 3 is the entry with index 3."
        )
    return "Only the entries of 3 and 8 are not zero, and their sum is 1."


@exercise(
    "context.modulate",
    "Scale and shift of a feature map.",
    "h · (1 + scale) + shift, with one scale and one shift for each channel.",
)
def modulate(answer: object) -> str | None:
    generator = torch.Generator().manual_seed(0)
    h = torch.randn(4, 4, 4, 4, generator=generator)  # B = C = H = W: wrong axes raise no error
    scale, shift = torch.randn(2, 4, 4, generator=generator)
    given = tensor(call(answer, h.clone(), scale.clone(), shift.clone()), (4, 4, 4, 4))
    s, b = scale[:, :, None, None], shift[:, :, None, None]
    if torch.allclose(given, h * (1 + s) + b, atol=1e-5):
        return None
    for wrong, hint in (
        (h * s + b, "With a scale of 0 this is the shift alone. What must the factor be for a scale of 0?"),
        ((h + b) * (1 + s), "The order matters: here the shift is scaled, too."),
        (h * (1 + s), "The scale is right; the shift is missing."),
        (h + b, "The shift is right; the scale is missing."),
        (h * (1 + scale) + shift, "The values were matched with height and width. They belong to batch and channels."),
        (h * (1 + b) + s, "Scale and shift are swapped."),
    ):
        if torch.allclose(given, wrong, atol=1e-5):
            return hint
    return "Give scale and shift two more axes of length 1, then multiply by 1 + scale and add shift."
