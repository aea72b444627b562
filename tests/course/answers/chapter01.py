"""Answers to the exercises of chapter 1: right ones, and mistakes with words of the hint that each gets."""

import torch

RIGHT: dict[str, list[object]] = {
    "noise.half": [0.5],
    "noise.two_steps": [0.19, 1 - 0.9**2, torch.tensor(0.19)],
    "noise.add": [
        lambda x0, eps, alpha_bar: alpha_bar**0.5 * x0 + (1 - alpha_bar) ** 0.5 * eps,
        lambda x0, eps, alpha_bar: torch.sqrt(alpha_bar) * x0 + torch.sqrt(1 - alpha_bar) * eps,
    ],
    "noise.decided": ["details", " Details "],
}
MISTAKES: dict[str, list[tuple[object, str]]] = {
    "noise.half": [(0.7071, "square"), (0.9, "both equal"), ("x", "one number")],
    "noise.two_steps": [
        (0.2, "shrinks the noise"),
        (0.81, "left for the noise"),
        (0.9, "two steps"),
        (0.01, "missing to 1"),
        (0.19**0.5, "its square"),
        (5, "kept after two"),
    ],
    "noise.add": [
        (lambda x0, eps, alpha_bar: alpha_bar * x0 + (1 - alpha_bar) * eps, "are roots"),
        (lambda x0, eps, alpha_bar: (1 - alpha_bar) ** 0.5 * x0 + alpha_bar**0.5 * eps, "swapped"),
        (lambda x0, eps, alpha_bar: alpha_bar**0.5 * x0 + (1 - alpha_bar**0.5) * eps, "Square its factor"),
        (lambda x0, eps, alpha_bar: alpha_bar**0.5 * x0 + (1 - alpha_bar) * eps, "noise lacks its root"),
        (lambda x0, eps, alpha_bar: alpha_bar * x0 + (1 - alpha_bar) ** 0.5 * eps, "picture lacks its root"),
        (lambda x0, eps, alpha_bar: alpha_bar**0.5 * x0 + eps, "no noise may be left"),
        (lambda x0, eps, alpha_bar: x0, "add up to 1"),
        (lambda x0, eps, alpha_bar: None, "a tensor of shape"),
        (lambda x0, eps: x0, "TypeError"),
    ],
    "noise.decided": [("colors", "another color"), ("outline", "outline change"), ("all", "one of")],
}
