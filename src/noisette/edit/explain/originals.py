"""Chapter: is it new? The nearest training pictures, and what a model that had learned them by heart would answer."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...denoiser import Denoiser
from ...files import read_json
from ...metrics.memorisation import Memorisation, memorisation
from ...noise import Seeded
from ...oracle import FiniteSet
from ...shapes import Bytes, Images
from ...viz.chart import Axis, Line, chart, charts
from ...viz.page import paragraph
from ...viz.tiles import Cells, tiles
from ..generate import ends, generate
from .subject import Subject

SAMPLES, LOOKED_AT = 8, 48
RATIOS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3.0, 6.0, 12.0, 25.0)


@dataclass(frozen=True, eq=False)
class Nearest:
    """Samples, and of each the training picture that comes nearest."""

    samples: Bytes
    training: Bytes
    found: Memorisation


def nearest(subject: Subject, number: int = SAMPLES) -> Nearest:
    """Draw, and look for each picture among all that the model was trained on."""
    assert subject.data is not None and subject.run is not None
    model, grid = subject.model, subject.model.grid()
    seeds = range(subject.seed, subject.seed + number)
    drawn = ends(generate(model, seeds, subject.condition(number), model.sampler(), grid), grid)
    every = subject.data.train.pixels(torch.arange(len(subject.data.train)))
    samples = subject.shown(drawn)
    found = memorisation(samples, every, flips=_flipped(subject))
    return Nearest(samples, every[found.nearest], found)


def _flipped(subject: Subject) -> bool:
    """Whether the run mirrored its pictures: then a mirrored copy is a copy."""
    path = subject.run / "config.json" if subject.run else None
    plan = read_json(path).get("plan") if path is not None and path.is_file() else None
    return bool(isinstance(plan, dict) and plan["recipe"]["training"].get("flip"))


@dataclass(frozen=True, eq=False)
class Errors:
    """Mean square errors of x̂0, by noise level: (N,) each."""

    ratios: Tensor
    model: dict[str, Tensor]  # on "training" and on "held-out" pictures
    optimum: dict[str, Tensor]  # of one that knows the training pictures and nothing else


def errors(subject: Subject, number: int = LOOKED_AT, ratios: tuple[float, ...] = RATIOS) -> Errors:
    """Ask the model and `FiniteSet` of its training pictures the same questions, without labels where it can do so."""
    assert subject.data is not None
    train = subject.data.train
    oracle = FiniteSet(subject.schedule, train.x0(torch.arange(len(train))))
    kinds = {"training": subject.training(number), "held-out": subject.held_out(number)}
    kinds = {name: pair for name, pair in kinds.items() if len(pair[0])}
    model, optimum = {}, {}
    for name, (x0, cond) in kinds.items():
        told = cond.null() if cond is not None and subject.model.config.net.null_class else cond  # as little as it
        model[name] = _errors(subject, subject.model.given(told), x0, ratios)
        optimum[name] = _errors(subject, oracle, x0, ratios)
    return Errors(torch.tensor(ratios), model, optimum)


@torch.no_grad()
def _errors(subject: Subject, denoise: Denoiser, x0: Images, ratios: tuple[float, ...]) -> Tensor:
    off = []
    for ratio in ratios:
        t, noise = subject.at(ratio), Seeded([subject.seed * len(x0) + i for i in range(len(x0))])
        x_t = subject.schedule.diffuse(x0, t, noise)
        off.append((denoise(x_t, t).x0 - x0).double().square().mean())
    return torch.stack(off)


def chapter(subject: Subject) -> str:
    if subject.data is None:
        return paragraph("This needs the run folder, which holds the training pictures: give that one.")
    if len(subject.data.train) < 2:
        return paragraph("One training picture is too few to compare with.")
    near, off = nearest(subject), errors(subject)
    share, bank = near.found.share, near.found.bank
    rows = [
        Cells("sample", near.samples),
        Cells("nearest", near.training),
        Cells("$d_1$", [f"{float(d):.3f}" for d in near.found.distance]),
        Cells(
            "$d_1/d_2$", [f"{float(a / b):.2f}" for a, b in zip(near.found.distance, near.found.second, strict=True)]
        ),
    ]
    return "\n".join(
        (
            paragraph(
                "A picture that is good may be one that the model has seen. So every sample is compared with every "
                f"training picture: {int(near.found.copied.sum())} of these {len(near.samples)} are copies, that is "
                "three times as near to one training picture as to any other."
            ),
            tiles(
                rows, [f"seed {subject.seed + i}" for i in range(len(near.samples))],
                f"Above, samples; below, the nearest of {bank:,} different training pictures. $d_1$ is the distance to "
                "it, $d_2$ that to the second nearest, root mean squares of premultiplied pixels in [0, 1]. A copy is "
                f"$d_1/d_2$ < 1/3 (Carlini et al. 2023; Yoon et al. 2023); of all samples {100 * share.low:.0f} to "
                f"{100 * share.high:.0f} % are (95 %).",
            ),
            paragraph(
                "There is a perfect answer to the training task: the average of the training pictures, each weighted "
                "by how likely it is to lie under the noise. Whoever gives it draws training pictures and nothing "
                "else, and is lost with any other picture. A model should be near it where the noise hides which "
                "picture it was, and below, do as well with pictures that it has never seen."
            ),
            charts(chart(*_axes(), _lines(off), "Errors of the model and of the finite set's optimum by noise level"),
                caption=f"Mean square error of $x̂_0$, {LOOKED_AT} pictures each. Optimum: "
                "$E[x_0 | x_t] = Σ_i w_i x^{(i)}$ with $w_i ∝ exp(−|x_t − α x^{(i)}|^2/2σ^2)$ over the training "
                "pictures. Where the two solid lines part, the model knows its training pictures better than others; "
                "where the thick one meets the dashed one below it, it knows them by heart. (Karras et al. 2022, "
                "appendix B.3; Kamb & Ganguli 2024.)",
            ),
        )
    )  # fmt: skip


def _axes() -> tuple[Axis, Axis]:
    return Axis("noise level σ/α", log=True), Axis("error of $x̂_0$", log=True, low=1e-4)


def _lines(off: Errors) -> list[Line]:
    x, lines = off.ratios.tolist(), []
    for i, name in enumerate(off.model):
        lines.append(Line(f"model, {name}", x, off.model[name].tolist(), i, marked=i == 0, dots=True))
        lines.append(Line(f"optimum, {name}", x, off.optimum[name].tolist(), i, dash=1))
    return lines
