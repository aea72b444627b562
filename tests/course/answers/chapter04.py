"""Answers to the exercises of chapter 4: right ones, and mistakes with words of the hint that each gets."""

from torch import Tensor
from torch.nn.functional import l1_loss, mse_loss


def mix(x0: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    return alpha_bar.sqrt() * x0 + (1 - alpha_bar).sqrt() * eps


RIGHT: dict[str, list[object]] = {
    "train.start": [1, 1.0],
    "train.loss": [lambda net, x0, eps, a: mse_loss(net(mix(x0, eps, a)), eps)],
    "train.ema": [
        lambda average, weights, decay: decay * average + (1 - decay) * weights,
        lambda average, weights, decay: average.lerp(weights, 1 - decay),
    ],
    "train.hardest": ["low"],
}
MISTAKES: dict[str, list[tuple[object, str]]] = {
    "train.start": [(0, "perfect network"), (2, "other noise"), (0.5, "property of ε")],
    "train.loss": [
        (lambda net, x0, eps, a: mse_loss(net(mix(x0, eps, a)), x0), "not the clean picture"),
        (lambda net, x0, eps, a: mse_loss(net(mix(x0, eps, a)), mix(x0, eps, a)), "not x_t"),
        (lambda net, x0, eps, a: ((net(mix(x0, eps, a)) - eps) ** 2).sum(), "the sum"),
        (lambda net, x0, eps, a: (net(mix(x0, eps, a)) - eps) ** 2, "every pixel"),
        (lambda net, x0, eps, a: l1_loss(net(mix(x0, eps, a)), eps), "Square them"),
        (lambda net, x0, eps, a: mse_loss(net(a * x0 + (1 - a) * eps), eps), "their roots"),
        (lambda net, x0, eps, a: mse_loss(net(x0), eps), "must see x_t"),
        (lambda net, x0, eps, a: x0.mean(), "First mix"),
    ],
    "train.ema": [
        (lambda average, weights, decay: (1 - decay) * average + decay * weights, "swapped"),
        (lambda average, weights, decay: decay * average + weights, "add up to 1"),
        (lambda average, weights, decay: (average + weights) / 2, "ignores the decay"),
        (lambda average, weights, decay: weights, "take the rest"),
    ],
    "train.hardest": [("high", "error in x0"), ("equal", "factor of 10"), ("medium", "one of")],
}
