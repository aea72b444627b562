"""Chapter: a distilled model beside its teacher, from the same noises."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ...diffusion.sampler import DDIM, trajectory
from ...models.picture_model import PictureModel
from ...sampling.generate import build_denoiser, initial_state
from ...shapes import Grid
from ...training.distillation import TEACHER, Trajectories
from ..viz.chart import Axis, Line, chart, charts
from ..viz.page import paragraph
from ..viz.strip import format_short
from ..viz.tiles import TileRow, render_tiles
from .subject import Subject

NUM_SEEDS = 8


@dataclass(frozen=True, eq=False)
class DistillationComparison:
    """The states of B samples from the same noises, in the order of the times: teacher, student, and the teacher in the
    student's steps, which is what the student would draw without its training. All begin in the same states."""

    times: Grid  # of the student's K network calls, and 0: (K + 1,)
    fine: Float[Tensor, "fine"]  # of the teacher's trajectory, of which `times` are a part: (M + 1,)
    marks: tuple[int, ...]  # where `times` are in `fine`
    teacher: Float[Tensor, "fine b c h w"]
    student: Float[Tensor, "times b c h w"]
    untrained: Float[Tensor, "times b c h w"]

    def distances(self, states: Float[Tensor, "times b c h w"]) -> list[float]:
        """Root mean square difference per pixel to the teacher's states at `times`."""
        difference = states.double() - self.teacher[list(self.marks)].double()
        return difference.square().flatten(1).mean(dim=1).sqrt().tolist()


def load_trajectories(subject: Subject) -> Trajectories | None:
    """The teacher's trajectories that the subject has learned; None for a model that is not distilled."""
    folder = None if subject.run is None else subject.run / TEACHER / "model"
    distillation = None if subject.recipe is None else subject.recipe.training.distillation
    if folder is None or distillation is None:
        return None
    teacher = PictureModel.from_pretrained(folder)
    return Trajectories.of_student(teacher, distillation, subject.model.config.sampling)


@torch.no_grad()
def compare_trajectories(subject: Subject, learned: Trajectories, number: int = NUM_SEEDS) -> DistillationComparison:
    """`number` samples of the subject, a student, and of its teacher; the first has the subject's seed."""
    seeds, cond = list(range(subject.seed, subject.seed + number)), subject.condition(number)
    first = learned.marks[0]

    def states(model: PictureModel) -> Float[Tensor, "times b c h w"]:
        """In the student's steps."""
        grid = subject.model.grid()
        start, noise = initial_state(model, seeds, grid, learned.temperature)
        visited = [start.x, *(s.x for s in trajectory(build_denoiser(model, cond), DDIM(), grid, start.x, noise))]
        return torch.stack(visited[first:])

    teacher = torch.stack(learned.every_state(seeds, cond)[first:])
    marks = tuple(mark - first for mark in learned.marks)
    return DistillationComparison(
        learned.times, learned.fine[first:], marks, teacher, states(subject.model), states(learned.teacher)
    )


def project(path: Float[Tensor, "n d"], *others: Float[Tensor, "_ d"]) -> list[Float[Tensor, "_ 2"]]:
    """Paths in the plane in which `path` varies most, relative to its end; a great part of it is in that plane (Chen et
    al. 2024, arXiv:2405.11326). Returns the path and the others."""
    _, _, axes = torch.linalg.svd(path - path[-1], full_matrices=False)
    return [(points - path[-1]) @ axes[:2].T for points in (path, *others)]


def render_chapter(subject: Subject) -> str:
    """The chapter as HTML."""
    learned = load_trajectories(subject)
    if learned is None:
        return paragraph(
            "This chapter needs a distilled model, which draws in a few steps what its teacher draws in many: run "
            "`noisette distill`, then `noisette explain` on the run folder of the student."
        )
    found = compare_trajectories(subject, learned)
    calls, steps = len(found.times) - 1, len(found.fine) - 1
    plural = "s" if calls > 1 else ""
    teacher, student, untrained = "teacher", f"student, {calls} step{plural}", f"teacher, {calls} step{plural}"
    kinds = {teacher: found.teacher[list(found.marks)], student: found.student, untrained: found.untrained}

    def row(name: str, states: Tensor) -> TileRow:
        """The states of the first noise at the student's times."""
        return TileRow(name, torch.cat([subject.to_pixels(x[:1], t) for x, t in zip(states, found.times, strict=True)]))

    ratios = [float(r) for r in subject.schedule.ratio(found.times[:-1])]
    return "\n".join(
        (
            paragraph(
                f"This model is the student of {_name_of_teacher(subject)}. From the same noise, its teacher takes "
                f"{steps} small steps and the student {calls}. The student has learned to make each of its steps end "
                "where the teacher's path leads. A step of DDIM moves on a straight line towards the predicted "
                "picture $x̂_0$. The teacher's $x̂_0$ is the average of all pictures that fit $x_t$. The student's "
                "$x̂_0$ is another one: with it, the straight step ends where the teacher's curved path ends."
            ),
            render_tiles(
                [row(name, states) for name, states in kinds.items()],
                [*(f"σ/α = {format_short(ratio)}" for ratio in ratios), "finished"],
                f"$x_t$ from one initial noise (seed {subject.seed}) at the student's noise levels, scaled to "
                "variance 1. Last row: the teacher, when it takes as few steps as the student.",
            ),
            charts(_plane_chart(subject, found, kinds), _distance_chart(found, kinds, untrained), caption=(
                "Left: the paths from one noise, projected on the plane in which the teacher's path varies most. All "
                "states are scaled to variance 1, and the finished picture is at (0, 0) (after Chen et al. 2024). "
                f"Right: root mean square difference per pixel between $x_t$ and the teacher's $x_t$, {NUM_SEEDS} "
                "noises. All start from the same noise."
            )),
            render_tiles(
                [TileRow(name, subject.to_pixels(states[-1])) for name, states in kinds.items()],
                [f"seed {subject.seed + i}" for i in range(NUM_SEEDS)],
                f"Finished samples. Teacher: {steps} steps of dpm++2m, with the guidance that the student learned.",
            ),
        )
    )  # fmt: skip


def _name_of_teacher(subject: Subject) -> str:
    origins = subject.model.config.origins
    return f"the model {origins[0].name}" if origins else "another model"


def _plane_chart(subject: Subject, found: DistillationComparison, kinds: dict[str, Tensor]) -> str:
    def path(states: Tensor, times: Grid) -> Tensor:
        """The states of the first noise at unit variance, (n, d)."""
        alpha, sigma = subject.schedule(times)
        return (states[:, 0].double().cpu().flatten(1).T / torch.hypot(alpha, sigma)).T

    paths = project(path(found.teacher, found.fine), *(path(states, found.times) for states in kinds.values()))
    x, y = ([points[:, i].tolist() for points in paths] for i in (0, 1))
    teacher, *others = kinds
    lines = [Line(teacher, x[0], y[0]), Line("", x[1], y[1], has_markers=True, is_connected=False)]
    for i, name in enumerate(others, 1):
        lines.append(Line(name, x[i + 1], y[i + 1], i, dash=i, has_markers=True))
    alt = "Paths from noise to picture: the teacher's is curved, the student's ends close to it in a few straight steps"
    return chart(Axis("first direction"), Axis("second direction"), lines, alt)


def _distance_chart(found: DistillationComparison, kinds: dict[str, Tensor], untrained: str) -> str:
    numbers = list(range(len(found.times)))
    lines = [
        Line(name, numbers, found.distances(states), i, dash=i, has_markers=True, is_bold=name != untrained)
        for i, (name, states) in enumerate(kinds.items())
        if i > 0
    ]
    alt = "Distance to the teacher's states after each step: smaller for the student than without distilling"
    return chart(Axis("steps"), Axis("distance to the teacher", low=0), lines, alt)
