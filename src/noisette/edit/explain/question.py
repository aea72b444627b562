"""Chapter: what the network is asked, and what it answers."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...noise import Seeded
from ...shapes import Bytes, Images
from ...viz.page import paragraph
from ...viz.tiles import Cells, tiles
from .subject import Subject

ANSWERS = {
    "Epsilon": "the noise",
    "X0": "the picture",
    "V": "v, a mixture of noise and picture whose size is the same at all times",
    "Flow": "the velocity from picture to noise",
    "EDM": "a mixture of noise and picture that has unit variance at all times",
}


@dataclass(frozen=True, eq=False)
class Asked:
    """One question and its answer, at some times; N rows each."""

    t: Tensor
    x_t: Images
    eps: Images
    x0: Images  # as the network sees it
    eps_hat: Images
    weights: tuple[Tensor, Tensor]  # a and b of F = a x0 + b ε
    label: Tensor  # what the time embedding receives


@torch.no_grad()
def asked(subject: Subject, times: Tensor) -> Asked:
    """Ask the model for the picture under one noise, at each of `times`."""
    n, schedule = len(times), subject.schedule
    x0 = subject.x0.expand(n, -1, -1, -1)
    eps = Seeded([subject.seed])(subject.x0).expand_as(x0)
    x_t = schedule.diffuse(x0, times, lambda like: eps.to(like))  # noqa: PLW0108 (a Noise takes `like`)
    pred = subject.model.given(subject.condition(n))(x_t, times)
    weights = subject.model.parametrization.weights(*schedule(times))
    return Asked(times, x_t, eps, pred.x0, pred.eps, weights, schedule.label(times))


def errors(found: Asked, x0: Images) -> tuple[Tensor, Tensor]:
    """Root mean square errors of the picture and of the noise, (N,) each."""
    return tuple((a - b).square().flatten(1).mean(1).sqrt() for a, b in ((found.x0, x0), (found.eps_hat, found.eps)))  # type: ignore[return-value]


def chapter(subject: Subject) -> str:
    times = torch.stack([t for _, t in subject.levels])
    found = asked(subject, times)
    off, off_eps = errors(found, subject.x0)
    alpha, sigma = subject.schedule(times)

    def noise(x: Images) -> Bytes:
        return subject.model.pictures.decode(x / 2)

    kind = type(subject.model.parametrization).__name__
    a, b = found.weights
    heads = [
        f"{name} ($σ/α$ = {float(s / c):.3g})" for (name, _), s, c in zip(subject.levels, sigma, alpha, strict=True)
    ]
    rows = [
        Cells(
            "$x_t$, the question", torch.cat([subject.shown(x[None], t) for x, t in zip(found.x_t, times, strict=True)])
        ),
        Cells("$ε$, the noise in it", noise(found.eps)),
        Cells("$ε̂$, the network's", noise(found.eps_hat)),
        Cells("$x̂_0$, the network's", subject.shown(found.x0)),
        Cells("$x_0$, the truth", subject.shown(subject.x0.expand_as(found.x0))),
        Cells("error of $x̂_0$", [f"{float(e):.3f}" for e in off]),
        Cells("error of $ε̂$", [f"{float(e):.3f}" for e in off_eps]),
        Cells("told of t", [f"{float(c):.3f}" for c in found.label]),
        Cells("weights $a$, $b$", [f"{float(u):.2f}, {float(v):.2f}" for u, v in zip(a, b, strict=True)]),
    ]
    asks = f"the label “{subject.label}”" if subject.label else "nothing else"
    return "\n".join(
        (
            paragraph(
                f"The network is given $x_t$, a number that stands for t, and {asks}. This one (parametrization "
                f"{kind}) answers {ANSWERS.get(kind, 'a mixture of noise and picture')}: $F = a x_0 + b ε$. Since "
                "$x_t = α x_0 + σ ε$ is known too, that is two equations in two unknowns, and both the picture and the "
                "noise follow."
            ),
            paragraph(
                "Look along the rows. Under little noise the picture is nearly given and the noise is hard to tell; "
                "under much, the noise is nearly given and the picture is a guess: the average of all that it could "
                "have been."
            ),
            tiles(
                rows, heads,
                "$x̂_0 = (σ F − b x_t)/(a σ − b α)$ and $ε̂ = (a x_t − α F)/(a σ − b α)$. Errors are root mean squares "
                "per pixel in [−1, 1]; noise is shown at half its size. (Ho et al. 2020, section 3.2; Salimans & Ho "
                "2022; Karras et al. 2022, table 1.)",
                side=96,
            ),
        )
    )  # fmt: skip
