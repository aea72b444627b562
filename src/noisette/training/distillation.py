"""Distillation: a student learns to make one step where its teacher makes several.

The teacher draws pictures with many steps of a deterministic solver, and its states at the student's few times are kept
(knowledge distillation on trajectories: Luhman & Luhman 2021, arXiv:2101.02388; Zhou et al. 2024, SFD,
arXiv:2409.19681). A step of DDIM from x_t to x_s is linear in x0, so exactly one x0 leads from one state of the teacher
to the next one. That x0 is the student's target: a training example like any other, so the loop, the loss and the
network are those of ordinary training. Targets are fixed, so nothing can collapse. The finished student is an ordinary
model whose default is DDIM at those times. Figures are in docs/log.md, 2026-12-01.
"""

import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from jaxtyping import Float, Int
from torch import Tensor

from ..data import Dataset, Subset
from ..data.dataset import MANIFEST_FILE, PIXELS_FILE
from ..diffusion.condition import Condition
from ..diffusion.denoiser import DiffusionModel
from ..diffusion.grid import grid_from_times
from ..diffusion.noise import Seeded, derive_seed, make_generator
from ..diffusion.sampler import DDIM, DPMSolver2M, State, trajectory
from ..diffusion.schedule import Schedule
from ..errors import InputError
from ..evaluation.evaluate import build_condition
from ..evaluation.held_out import all_pixels
from ..evaluation.metrics.evaluator import QuickEvaluator, QuickMetrics
from ..io.files import atomic_write
from ..models.config import SamplingDefaults
from ..models.picture_model import PictureModel
from ..sampling.generate import Guidance, build_denoiser, initial_state, sample_images
from ..sampling.steering import load_autoguidance_snapshot
from ..shapes import Grid, Images, UInt8Images
from .batch_stream import Batch
from .callbacks import TrainingCallback
from .periodic_evaluation import load_feature_extractor
from .plan import TrainingPlan, TrainOptions
from .recipes.distillation import Distillation
from .sampling_tuner import SamplingTuner
from .state import TrainingState
from .student import OWN_COST, TEACHER_STEPS, TRAJECTORY_COST, VIEWS, is_autoguided
from .validation import NOISE_LEVELS, FixedBatch, ValidationLoss, pictures_of_run

TEACHER = "teacher"  # folder of the run: teacher/model and, where the teacher has one, teacher/early
MIN_STEPS = 2  # of the part of a trajectory between two of the student's times
LAST_NOISE, RHO = 0.02, 7.0  # lowest σ/α of the trajectory, and its spacing (Karras et al. 2022, eq. 5)
AUTOGUIDANCE, MAX_RATIO = 2.0, 4.0  # scale of the guidance by the early snapshot, and the highest σ/α with it
OWN_SHARE, FIRST_OWN_VIEW = 0.5, 2  # of the examples are from the student's own states, from this view on
MIN_BLOCKS, MAX_BYTES = 8, 2**29  # of trajectories: batches, and memory
GATE_SAMPLES, GATE_BATCH = 300, 50  # pictures of teacher and student that are compared
GATE = {1: None, 2: 1.5, 3: 1.5}  # network calls → highest KID over that of the teacher; of more calls GATE_REST
GATE_REST, GATE_FLOOR = 1.15, 5.0  # and the KID × 10³ below which the teacher's counts as this


def teacher_guidance(distillation: Distillation, teacher: PictureModel, early: PictureModel | None) -> Guidance:
    """How the teacher is guided while it draws: its guidance costs the student nothing."""
    if early is not None and is_autoguided(distillation, early):
        highest = teacher.schedule.time_at_ratio(torch.tensor(MAX_RATIO, dtype=torch.float64, device="cpu")).item()
        return Guidance(AUTOGUIDANCE, (0.0, highest), guide_model=early)
    return Guidance(teacher.config.sampling.guidance if distillation.guidance is None else distillation.guidance)


class Trajectories:
    """The teacher's states at the student's times."""

    def __init__(self, teacher: PictureModel, guidance: Guidance, sampling: SamplingDefaults) -> None:
        """sampling: the student's, whose fitted grid holds its times."""
        self.teacher, self.guidance, self.temperature = teacher, guidance, sampling.temperature
        grid = grid_from_times(sampling.fitted[0])
        closed = 0 if teacher.calls_network(grid[0]) else 1  # steps in closed form, which both take alike
        self.times = grid[closed:]  # of the network's calls, and 0: (calls + 1,)
        self.fine, self.marks = refine(teacher.schedule, grid, closed)

    @classmethod
    def of_student(
        cls, teacher: PictureModel, distillation: Distillation, sampling: SamplingDefaults
    ) -> "Trajectories":
        """Those that a student with this distillation and these defaults learns from."""
        early = load_autoguidance_snapshot(teacher)
        device = next(teacher.parameters()).device
        return cls(teacher, teacher_guidance(distillation, teacher, early and early.to(device)), sampling)

    def __call__(self, seeds: list[int], cond: Condition | None) -> Float[Tensor, "b times c h w"]:
        """The states of one trajectory a seed at the student's times, on the CPU."""
        states = self.every_state(seeds, cond)
        return torch.stack([states[mark] for mark in self.marks], dim=1).cpu()

    def every_state(self, seeds: list[int], cond: Condition | None) -> list[Images]:
        """The states of one trajectory a seed at all times of `fine`, (b, C, H, W) each."""
        state, noise = initial_state(self.teacher, seeds, self.fine, self.temperature)
        denoise = build_denoiser(self.teacher, cond, self.guidance)
        return [state.x, *(s.x for s in trajectory(denoise, DPMSolver2M(), self.fine, state.x, noise))]


def refine(schedule: Schedule, grid: Grid, closed: int) -> tuple[Float[Tensor, "fine"], tuple[int, ...]]:
    """A grid of about TEACHER_STEPS steps that visits all times of `grid`, and where these are in it: their indices,
    without those of the first `closed` times."""
    ratios = [max(schedule.ratio(t).item(), LAST_NOISE) for t in grid[closed:]]
    roots = [ratio ** (1 / RHO) for ratio in ratios]
    times, marks = grid[: closed + 1].tolist(), [closed]
    for i, (high, low) in enumerate(pairwise(roots)):
        number = max(MIN_STEPS, round(TEACHER_STEPS * (high - low) / (roots[0] - roots[-1])))
        is_last = i == len(roots) - 2
        inner = torch.linspace(high, low, number if is_last else number + 1, dtype=torch.float64, device="cpu") ** RHO
        inner = inner[1:] if is_last else inner[1:-1]
        times += [*schedule.time_at_ratio(inner).tolist(), grid[closed + i + 1].item()]
        marks.append(len(times) - 1)
    return grid_from_times(times), tuple(marks)


def euler_target(
    model: DiffusionModel, x: Images, target: Images, t: Float[Tensor, "b"], s: Float[Tensor, "b"]
) -> tuple[Images, Images]:
    """The x0 and ε with x = α_t x0 + σ_t ε and target = α_s x0 + σ_s ε: a DDIM step with them leads from x to `target`.

    t > s.
    """
    (alpha, sigma), (alpha_s, sigma_s) = model.schedule.at(t, x), model.schedule.at(s, x)
    x0 = (target - sigma_s / sigma * x) / (alpha_s - alpha * sigma_s / sigma)
    return x0, (x - alpha * x0) / sigma


def count_blocks(plan: TrainingPlan) -> int:
    """How many batches of trajectories a run has."""
    return max(MIN_BLOCKS, plan.images // (VIEWS * plan.recipe.training.batch))


class TrajectoryStream:
    """Batches of steps of the teacher's trajectories, functions of the run's seed and the step's number alone.

    A batch is one block of trajectories, and of each a random one of the student's steps. Blocks are drawn when they
    are first needed and then kept in memory, so a run that is resumed draws those again that it still needs. Later in
    the run half of the examples begin where the student itself is at that time, so that it learns to mend the errors
    of its earlier steps.
    """

    def __init__(
        self, trajectories: Trajectories, student: PictureModel, data: Subset, plan: TrainingPlan, device: torch.device
    ) -> None:
        self.trajectories, self.student, self.data = trajectories, student, data
        self.device, self.seed = device, plan.seed
        training = plan.recipe.training
        self.size, self.cond_dropout = training.batch, training.cond_dropout
        shape = plan.recipe.model.pictures.model_shape
        block_bytes = 4 * self.size * len(trajectories.times) * shape[0] * shape[1] * shape[2]
        self.num_blocks = max(1, min(count_blocks(plan), MAX_BYTES // block_bytes))
        self.blocks: dict[tuple[int, int], tuple[Tensor, Tensor, Condition | None]] = {}

    def batch(self, step: int, batch_slice: slice) -> Batch:
        """The images `batch_slice` of the global batch of step number `step`."""
        epoch, position = divmod(step, self.num_blocks)
        order = torch.randperm(self.num_blocks, generator=make_generator(self.seed, "blocks", epoch))
        states, rows, cond = self.block(int(order[position]), batch_slice)
        times = self.trajectories.times
        parts = torch.randint(len(times) - 1, (self.size,), generator=make_generator(self.seed, "parts", step))
        parts, images = parts[batch_slice], torch.arange(len(states))
        x, target = (states[images, part].to(self.device) for part in (parts, parts + 1))
        if epoch >= FIRST_OWN_VIEW:
            is_own = torch.rand(self.size, generator=make_generator(self.seed, "own", step)) < OWN_SHARE
            is_own = is_own[batch_slice] & (parts > 0)
            own = self.student_states(states[:, 0].to(self.device), cond, int((parts * is_own).max()))
            x = torch.where(is_own[:, None, None, None].to(self.device), own[parts.clamp(max=len(own) - 1), images], x)
        x0, eps = euler_target(self.trajectories.teacher, x, target, times[parts], times[parts + 1])
        return Batch(x0, times[parts], eps, Condition() if cond is None else cond, rows)

    @torch.no_grad()
    def student_states(self, x: Images, cond: Condition | None, steps: int) -> Float[Tensor, "states b c h w"]:
        """x and the student's states after 1 to `steps` of its steps from there, at the first of its times."""
        self.student.eval()
        state = State(x, self.trajectories.times[0])
        states, denoise, noise = [x], build_denoiser(self.student, cond), Seeded([0] * len(x))  # DDIM adds none
        for s in self.trajectories.times[1 : steps + 1]:
            state = DDIM().step(denoise, state, s, noise)
            states.append(state.x)
        self.student.train()
        return torch.stack(states)

    def block(self, number: int, batch_slice: slice) -> tuple[Tensor, Tensor, Condition | None]:
        """States, pictures that the conditions are of, and conditions of a part of a block."""
        key = (number, batch_slice.start)
        if key not in self.blocks:
            generator = make_generator(self.seed, "block", number)
            rows = torch.randint(len(self.data), (self.size,), generator=generator)[batch_slice]
            is_dropped = (torch.rand(self.size, generator=generator) < self.cond_dropout)[batch_slice]
            cond = build_condition(self.trajectories.teacher, self.data, rows)
            cond = None if cond is None else cond.drop(is_dropped).to(self.device)
            seeds = [derive_seed(self.seed, "trajectory", number, i) for i in range(self.size)[batch_slice]]
            self.blocks[key] = self.trajectories(seeds, cond), rows, cond
        return self.blocks[key]


class Distilling:
    """Training on the trajectories of a teacher."""

    def __init__(
        self, folder: Path, data: Dataset, plan: TrainingPlan, start_from: str | None, accelerator: Accelerator
    ) -> None:
        """folder: of the run, where the teacher is kept. start_from: the teacher, for a run that starts."""
        distillation = plan.recipe.training.distillation
        assert distillation is not None
        self.data, self.plan, self.device, self.distillation = data, plan, accelerator.device, distillation
        with accelerator.main_process_first():
            teacher = keep_teacher(folder, start_from, plan).to(self.device)
        self.teacher, self.prior = teacher, teacher.prior
        self.tuner = SamplingTuner(0.0, plan.seed)
        self.trajectories = Trajectories.of_student(teacher, distillation, plan.recipe.model.sampling)

    def make_batches(self, state: TrainingState) -> TrajectoryStream:
        return TrajectoryStream(self.trajectories, state.model, self.data.train, self.plan, self.device)

    def make_callbacks(self, folder: Path, state: TrainingState) -> list[TrainingCallback]:
        held_out, train = self._fixed_batch(self.data.held_out, "held out"), self._fixed_batch(self.data.train, "train")
        return [ValidationLoss(state, held_out, train, self.plan.images)]

    def _fixed_batch(self, side: Subset, name: str) -> FixedBatch:
        """All steps of some trajectories that are not trained on, with the conditions of pictures of one side."""
        number = pictures_of_run(self.plan.images)
        rows: Int[Tensor, "n"] = torch.arange(number) % len(side)
        cond = build_condition(self.teacher, side, rows)
        seeds = [derive_seed(self.plan.seed, "fixed trajectory", name, i) for i in range(number)]
        states = self.trajectories(seeds, None if cond is None else cond.to(self.device)).transpose(0, 1)
        # from the lowest noise up, each as often as needed for the same number in every quarter
        times, repeats = self.trajectories.times, len(NOISE_LEVELS)
        parts = torch.arange(len(times) - 2, -1, -1).repeat_interleave(repeats)
        targets = [
            euler_target(self.teacher, states[k].to(self.device), states[k + 1].to(self.device), *(
                times[j].expand(number) for j in (k, k + 1)
            ))
            for k in parts.tolist()
        ]  # fmt: skip
        x0, eps = (torch.stack([pair[i] for pair in targets]).cpu() for i in range(2))
        return FixedBatch(x0, times[parts], eps, Condition() if cond is None else cond)

    def slowdown(self, images: int, progress: float) -> float:
        """In the first view each example comes with a trajectory; later ones take less."""
        total, first = self.plan.images, count_blocks(self.plan) * self.plan.recipe.training.batch
        if images >= first or total <= images:
            return 1.0
        now, later = 1 + TRAJECTORY_COST, 1 + OWN_COST
        return ((first - images) * now + max(total - first, 0) * later) / ((total - images) * now)

    def check(self, student: PictureModel) -> str | None:
        """A sentence that compares the finished student with its teacher. Raises InputError for a student that is not
        good enough: its held-out KID is too far above the teacher's, or more of its pictures are copies."""
        task = self.teacher.config.task
        if task.input_spec(self.teacher.pictures) is not None:  # what it answers follows from its input
            return None
        return compare_with_teacher(student, self.teacher, self.data, self.distillation.calls, self.plan.seed)


def keep_teacher(run: Path, start_from: str | None, plan: TrainingPlan) -> PictureModel:
    """The teacher, from the run's own folder, into which it is copied first. Raises InputError if it is not the one
    that the run was planned with."""
    folder, origin = run / TEACHER / "model", plan.recipe.model.origins[0]
    if not (folder / "config.json").is_file():
        teacher = PictureModel.from_pretrained(start_from or origin.name)
        if teacher.hash != origin.hash:
            raise InputError(f"{start_from} is not the model that this run was planned with: give another --out")
        if (early := load_autoguidance_snapshot(teacher)) is not None:
            early.save_pretrained(run / TEACHER / "early")
        teacher.save_pretrained(folder)
    return PictureModel.from_pretrained(folder)


def make_distill_options(
    run: str | Path, out: str | Path, calls: int, guidance: float | None = None, **options: Any
) -> TrainOptions:
    """The options of a student of `run` with `calls` network calls, in the run folder `out`; the rest as in
    `TrainOptions`.

    Raises InputError where the run has no model, and for a guidance that its model cannot have.
    """
    kept = Path(out) / TEACHER / "model"
    teacher = PictureModel.from_pretrained(kept if (kept / "config.json").is_file() else run)
    net = teacher.config.net
    if guidance not in (None, 1) and not (net.classes or net.vector or net.tokens):
        raise InputError(
            f"guidance {guidance:g} needs labels, attributes or text, and {run} was trained without: leave it out"
        )
    return TrainOptions(
        start_from=str(run), task=teacher.config.task, distillation=Distillation(calls, guidance), **options
    )


def copy_data(source: Path, run: Path) -> Dataset:
    """The data set of another run, copied into this one's folder; or the one that is there already."""
    if not (run / MANIFEST_FILE).is_file():
        data = Dataset.open(source)
        folder = Path(PIXELS_FILE).parts[0]
        for path in sorted((data.folder / folder).rglob("*")):
            if path.is_file():
                _copy(path, run / path.relative_to(data.folder))
        _copy(data.folder / MANIFEST_FILE, run / MANIFEST_FILE)  # last: with it the data set is complete
    return Dataset.open(run)


def _copy(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with path.open("rb") as file:
        atomic_write(target, lambda out: shutil.copyfileobj(file, out))


def compare_with_teacher(
    student: PictureModel, teacher: PictureModel, data: Dataset, calls: int, seed: int
) -> str | None:
    """As `Distilling.check` does; None where nothing can be measured, for lack of a feature net or of pictures."""
    net = load_feature_extractor()
    train, held_out = all_pixels(data.train), all_pixels(data.held_out)
    evaluator = QuickEvaluator(train, held_out, net, GATE_SAMPLES, flips=False)
    ours, theirs = (evaluator(_draw(model, data, seed)) for model in (student, teacher))
    _require_no_copies(ours, theirs)
    if ours.kid is None or theirs.kid is None:
        return None
    allowed, share = GATE.get(calls, GATE_REST), ours.kid.value / max(theirs.kid.value, GATE_FLOOR)
    figures = (
        f"KID × 10³ {ours.kid.value:.0f} [{ours.kid.low:.0f}, {ours.kid.high:.0f}] with {calls} network "
        f"call{'s' if calls > 1 else ''}, {theirs.kid.value:.0f} [{theirs.kid.low:.0f}, {theirs.kid.high:.0f}] the "
        f"teacher's own way ({GATE_SAMPLES} samples each)"
    )
    if allowed is not None and share > allowed:
        raise InputError(
            f"the student is not kept: {figures}, which is {share:.2f} times as much, and at most {allowed:g} times is "
            "wanted; train longer (the same command with more --for), take more --steps, or keep it with --any-quality"
        )
    return figures


def _draw(model: PictureModel, data: Dataset, seed: int) -> UInt8Images:
    rows = torch.randint(len(data.train), (GATE_SAMPLES,), generator=make_generator(seed, "gate"))
    seeds = [derive_seed(seed, "gate", i) for i in range(GATE_SAMPLES)]
    x = sample_images(model, seeds, build_condition(model, data.train, rows), batch=GATE_BATCH)
    return model.codec.decode_samples(x).cpu()


def _require_no_copies(student: QuickMetrics, teacher: QuickMetrics) -> None:
    if student.copies.value > teacher.copies.high:
        raise InputError(
            f"the student is not kept: {100 * student.copies.value:.1f} % of its samples are copies of training "
            f"pictures, and of the teacher's at most {100 * teacher.copies.high:.1f} %; train for a shorter time, or "
            "keep it with --any-quality"
        )
