"""Chapter: memorization. The nearest training pictures of samples, and the error of a memorizing model."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...diffusion.denoiser import Denoiser
from ...diffusion.noise import Seeded
from ...diffusion.oracle import EmpiricalDenoiser
from ...evaluation.evaluate import is_flip_augmented
from ...evaluation.metrics.memorization import Memorization, measure_memorization
from ...sampling.generate import final_samples, generate
from ...shapes import Images, UInt8Images
from ..viz.chart import Axis, Line, chart, charts
from ..viz.page import paragraph
from ..viz.tiles import TileRow, render_tiles
from .subject import Subject

NUM_SAMPLES, NUM_ERROR_PICTURES = 8, 48
NOISE_RATIOS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3.0, 6.0, 12.0, 25.0)


@dataclass(frozen=True, eq=False)
class NearestNeighbors:
    """Samples, and the nearest training picture of each; (N, C, H, W) both."""

    samples: UInt8Images
    training: UInt8Images
    memorization: Memorization


def find_nearest(subject: Subject, number: int = NUM_SAMPLES) -> NearestNeighbors:
    """Draw `number` samples, and find the nearest of all training pictures for each. Needs a run folder."""
    assert subject.data is not None and subject.run is not None
    model, grid = subject.model, subject.model.grid()
    seeds = range(subject.seed, subject.seed + number)
    x0 = final_samples(generate(model, seeds, subject.condition(number), model.sampler(), grid), grid)
    training = subject.data.train.pixels(torch.arange(len(subject.data.train)))
    samples = subject.to_pixels(x0)
    result = measure_memorization(samples, training, flips=_uses_flips(subject))
    return NearestNeighbors(samples, training[result.nearest], result)


def _uses_flips(subject: Subject) -> bool:
    """Whether the run was trained with random flips; then mirrored copies count as copies."""
    return subject.run is not None and is_flip_augmented(subject.run)


@dataclass(frozen=True, eq=False)
class DenoisingErrors:
    """Mean squared errors of x̂0 at N noise levels; (N,) each."""

    ratios: Tensor  # σ/α
    model: dict[str, Tensor]  # on "training" and on "held-out" pictures
    optimum: dict[str, Tensor]  # of the ideal denoiser of the training set, on the same pictures


def measure_errors(
    subject: Subject, number: int = NUM_ERROR_PICTURES, ratios: tuple[float, ...] = NOISE_RATIOS
) -> DenoisingErrors:
    """Errors of the model and of `EmpiricalDenoiser` on the same noisy pictures, without labels if the model allows."""
    assert subject.data is not None
    train = subject.data.train
    oracle = EmpiricalDenoiser(subject.schedule, train.x0(torch.arange(len(train))))
    batches = {"training": subject.training_batch(number), "held-out": subject.held_out_batch(number)}
    batches = {name: batch for name, batch in batches.items() if len(batch[0])}
    model, optimum = {}, {}
    for name, (x0, cond) in batches.items():
        if cond is not None and subject.model.config.net.null_class:
            cond = cond.null()  # noqa: PLW2901 (the optimum has no labels either)
        model[name] = _denoising_errors(subject, subject.model.given(cond), x0, ratios)
        optimum[name] = _denoising_errors(subject, oracle, x0, ratios)
    return DenoisingErrors(torch.tensor(ratios), model, optimum)


@torch.no_grad()
def _denoising_errors(subject: Subject, denoise: Denoiser, x0: Images, ratios: tuple[float, ...]) -> Tensor:
    errors = []
    for ratio in ratios:
        t, noise = subject.time_at(ratio), Seeded([subject.seed * len(x0) + i for i in range(len(x0))])
        x_t = subject.schedule.diffuse(x0, t, noise)
        errors.append((denoise(x_t, t).x0 - x0).double().square().mean())
    return torch.stack(errors)


def render_chapter(subject: Subject) -> str:
    """The chapter as HTML."""
    if subject.data is None:
        return paragraph("This chapter needs the training pictures: run `noisette explain` on the run folder.")
    if len(subject.data.train) < 2:
        return paragraph("This chapter needs at least two training pictures.")
    near, errors = find_nearest(subject), measure_errors(subject)
    share, count = near.memorization.share, near.memorization.distinct_count
    rows = [
        TileRow("sample", near.samples),
        TileRow("nearest", near.training),
        TileRow("$d_1$", [f"{float(d):.3f}" for d in near.memorization.distance]),
        TileRow(
            "$d_1/d_2$",
            [
                f"{float(a / b):.2f}"
                for a, b in zip(near.memorization.distance, near.memorization.second_distance, strict=True)
            ],
        ),
    ]
    return "\n".join(
        (
            paragraph(
                "A sample that looks good can still be a copy of a training picture. Here every sample is compared "
                "with every training picture. A sample is a copy if it is at least three times as close to one "
                f"training picture as to any other. Of these {len(near.samples)} samples, "
                f"{int(near.memorization.is_copy.sum())} are copies."
            ),
            render_tiles(
                rows, [f"seed {subject.seed + i}" for i in range(len(near.samples))],
                f"Samples, and the nearest of {count:,} different training pictures. $d_1$ is the distance to the "
                "nearest one and $d_2$ to the second nearest: root mean square differences of pixels in [0, 1], with "
                "colors multiplied by their opacity. A copy has $d_1/d_2$ < 1/3 (Carlini et al. 2023; Yoon et al. "
                f"2023). Share of copies: {100 * share.low:.0f} to {100 * share.high:.0f} % (95 % confidence "
                "interval).",
            ),
            paragraph(
                "For a given training set, the best possible prediction of $x_0$ is known. It is a weighted average "
                "of the training pictures: the weight of a picture is the probability that $x_t$ was made from it. A "
                "model that always predicts this average can only generate training pictures, and it cannot remove "
                "the noise from any other picture. At high noise levels a good model is close to this optimum. At "
                "low noise levels it should be equally accurate for training pictures and for held-out pictures, "
                "which it was not trained on."
            ),
            charts(
                chart(
                    *_axes(), _error_lines(errors), "Error of the model and of the optimum over the noise level"
                ),
                caption=f"Mean squared error of $x̂_0$ on up to {NUM_ERROR_PICTURES} pictures of each set. The "
                "optimum is $E[x_0 | x_t] = Σ_i w_i x_i$ with $w_i ∝ exp(−|x_t − α x_i|^2/2σ^2)$, where $x_i$ are "
                "the training pictures. Where the two solid lines differ, the model is better on training pictures "
                "than on held-out ones. Where the thick line meets its dashed line, the model has memorized the "
                "training pictures. (Karras et al. 2022, appendix B.3; Kamb & Ganguli 2024.)",
            ),
        )
    )  # fmt: skip


def _axes() -> tuple[Axis, Axis]:
    return Axis("noise level σ/α", is_log=True), Axis("error of $x̂_0$", is_log=True, low=1e-4)


def _error_lines(errors: DenoisingErrors) -> list[Line]:
    x, lines = errors.ratios.tolist(), []
    for i, name in enumerate(errors.model):
        lines.append(Line(f"model, {name}", x, errors.model[name].tolist(), i, is_bold=i == 0, has_markers=True))
        lines.append(Line(f"optimum, {name}", x, errors.optimum[name].tolist(), i, dash=1))
    return lines
