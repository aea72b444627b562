"""Chapter: the input and the prediction of the network at several noise levels."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...diffusion.noise import Seeded
from ...shapes import Images, UInt8Images
from ..viz.page import paragraph
from ..viz.tiles import TileRow, render_tiles
from .subject import Subject

TARGET_DESCRIPTIONS = {
    "Epsilon": "the noise",
    "X0": "the picture",
    "V": "v, a weighted sum of noise and picture with the same variance at all noise levels",
    "Flow": "the velocity, which is the noise minus the picture",
    "EDM": "a weighted sum of picture and noise that has variance 1 at every noise level",
}


@dataclass(frozen=True, eq=False)
class Predictions:
    """Inputs and predictions of the network at N times; (N, C, H, W) each."""

    t: Tensor
    x_t: Images
    eps: Images  # the noise in x_t
    x0: Images  # predicted x̂0
    eps_hat: Images  # predicted ε̂
    weights: tuple[Tensor, Tensor]  # (a, b) of the prediction F = a x0 + b ε, (N,) each
    time_input: Tensor  # the input of the time embedding, (N,)


@torch.no_grad()
def predict(subject: Subject, times: Tensor) -> Predictions:
    """Predictions for the example picture with one noise at each of `times` (N,)."""
    n, schedule = len(times), subject.schedule
    x0 = subject.x0.expand(n, -1, -1, -1)
    eps = Seeded([subject.seed])(subject.x0).expand_as(x0)
    x_t = schedule.diffuse(x0, times, lambda like: eps.to(like))  # noqa: PLW0108 (a Noise takes `like`)
    pred = subject.model.given(subject.condition(n))(x_t, times)
    weights = subject.model.parametrization.weights(*schedule(times))
    return Predictions(times, x_t, eps, pred.x0, pred.eps, weights, schedule.noise_label(times))


def rms_errors(predictions: Predictions, x0: Images) -> tuple[Tensor, Tensor]:
    """Root mean square errors of x̂0 and of ε̂, (N,) each."""
    return tuple(
        (a - b).square().flatten(1).mean(1).sqrt()
        for a, b in ((predictions.x0, x0), (predictions.eps_hat, predictions.eps))
    )  # type: ignore[return-value]


def render_chapter(subject: Subject) -> str:
    """The chapter as HTML."""
    times = torch.stack([t for _, t in subject.noise_levels])
    predictions = predict(subject, times)
    x0_errors, eps_errors = rms_errors(predictions, subject.x0)
    alpha, sigma = subject.schedule(times)

    def noise(x: Images) -> UInt8Images:
        return subject.model.codec.decode(x / 2)

    kind = type(subject.model.parametrization).__name__
    a, b = predictions.weights
    headers = [
        f"{name} ($σ/α$ = {float(s / c):.3g})"
        for (name, _), s, c in zip(subject.noise_levels, sigma, alpha, strict=True)
    ]
    rows = [
        TileRow(
            "$x_t$, the input",
            torch.cat([subject.to_pixels(x[None], t) for x, t in zip(predictions.x_t, times, strict=True)]),
        ),
        TileRow("$ε$, its noise", noise(predictions.eps)),
        TileRow("$ε̂$, predicted", noise(predictions.eps_hat)),
        TileRow("$x̂_0$, predicted", subject.to_pixels(predictions.x0)),
        TileRow("$x_0$, the picture", subject.to_pixels(subject.x0.expand_as(predictions.x0))),
        TileRow("error of $x̂_0$", [f"{float(e):.3f}" for e in x0_errors]),
        TileRow("error of $ε̂$", [f"{float(e):.3f}" for e in eps_errors]),
        TileRow("time input", [f"{float(c):.3f}" for c in predictions.time_input]),
        TileRow("weights $a$, $b$", [f"{float(u):.2f}, {float(v):.2f}" for u, v in zip(a, b, strict=True)]),
    ]
    inputs = f"$x_t$, t and the label “{subject.label}”" if subject.label else "$x_t$ and t"
    return "\n".join(
        (
            paragraph(
                f"The inputs of the network are {inputs}. This network predicts "
                f"{TARGET_DESCRIPTIONS.get(kind, 'a weighted sum of picture and noise')}. As a formula, its output is "
                f"$F = a x_0 + b ε$; this choice of the weights $a$ and $b$ is called the parametrization {kind}. "
                "Together with $x_t = α x_0 + σ ε$ these are two equations for two unknowns. Solving them gives a "
                "predicted picture $x̂_0$ and a predicted noise $ε̂$."
            ),
            paragraph(
                "Compare the columns. With little noise, the picture is easy to predict and the noise is hard to "
                "predict. With much noise, the noise is easy and the picture is hard: many pictures are possible for "
                "this $x_t$, and the network predicts their average, which is blurry."
            ),
            render_tiles(
                rows, headers,
                "$x̂_0 = (σ F − b x_t)/(a σ − b α)$ and $ε̂ = (a x_t − α F)/(a σ − b α)$. Errors are root mean "
                "square errors per pixel, for pixels in [−1, 1]. Noise is shown at half its amplitude. “Time input” "
                "is the number that tells the network the noise level. (Ho et al. 2020, section 3.2; Salimans & Ho "
                "2022; Karras et al. 2022, table 1.)",
                side=96,
            ),
        )
    )  # fmt: skip
