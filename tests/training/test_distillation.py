"""A student that learns to make one step where its teacher makes several."""

import itertools
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

import noisette
from commands import SMALL
from noisette.data import Dataset, prepare
from noisette.data.png import write_png
from noisette.diffusion.condition import Condition
from noisette.diffusion.denoiser import Prediction
from noisette.diffusion.gaussian_prior import GaussianPrior
from noisette.diffusion.grid import grid_from_times
from noisette.diffusion.noise import Seeded, make_generator
from noisette.diffusion.sampler import DDIM, DPMSolver2M, State, sample
from noisette.diffusion.schedule import Cosine, Schedule
from noisette.errors import InputError
from noisette.models.config import ModelConfig
from noisette.models.picture_model import PictureModel
from noisette.sampling.generate import Guidance, build_denoiser, initial_state
from noisette.training import Progress, TrainOptions, distill, distillation, make_distill_options, train
from noisette.training.distillation import (
    MIN_STEPS,
    Distilling,
    Trajectories,
    TrajectoryStream,
    compare_with_teacher,
    count_blocks,
    euler_target,
    refine,
)
from noisette.training.distributed import make_accelerator
from noisette.training.plan import TrainingPlan, build_recipe
from noisette.training.recipes.distillation import Distillation
from noisette.training.student import (
    LAST_RATIO,
    MEAN_COST,
    OWN_COST,
    TRAJECTORY_COST,
    student_grid,
)
from tiny_models import tiny

LENGTH: dict[str, Any] = {"images": 80, "batch": 8, "precision": "fp32", "save_every": 0.0, "any_quality": True}


@pytest.fixture(scope="module", autouse=True)
def _trajectories_of_few_steps() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distillation, "TEACHER_STEPS", 6)
        yield


@pytest.fixture(scope="module")
def teacher_run(sprites: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of labeled pictures, with an early snapshot and a closed form."""
    folder = tmp_path_factory.mktemp("teacher") / "run"
    recipe = json.loads(Path(SMALL).read_text())
    train(sprites, folder, TrainOptions(preset="tiny", images=256, batch=16, precision="fp32", recipe=recipe))
    return folder


@pytest.fixture(scope="module")
def student_run(teacher_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("student") / "run"
    distill(teacher_run, folder, make_distill_options(teacher_run, folder, 2, **LENGTH))
    return folder


@pytest.fixture
def plan(teacher_run: Path) -> TrainingPlan:
    options = make_distill_options(teacher_run, "nowhere", 3, **LENGTH)
    recipe = build_recipe("tiny", Dataset.open(teacher_run), options)
    return TrainingPlan(recipe, "tiny", 960, None, "fp32", 1, 0)


def with_prior(model: PictureModel) -> PictureModel:
    pictures = torch.randn(64, *model.pictures.shape, generator=make_generator("prior")).clamp(-1, 1)
    return PictureModel(model.config, GaussianPrior.fit(pictures)).eval()


def rows(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def weights(run: Path) -> dict[str, torch.Tensor]:
    return noisette.load(run).net.state_dict()


@pytest.mark.parametrize("times", [(1.0, 0.4), (0.5, 0.2), (0.3, 0.0)])
def test_a_step_of_ddim_with_the_target_leads_to_the_next_state(times: tuple[float, float]):
    """Also where the two states have nothing to do with each other, at one time an image."""
    model = tiny()
    x, target = torch.randn(2, 3, *model.pictures.shape, generator=make_generator("states"))
    t, s = torch.tensor(times, dtype=torch.float64)
    x0, eps = euler_target(model, x, target, t.expand(3), s.expand(3))
    alpha, sigma = model.schedule.at(t, x)
    torch.testing.assert_close(alpha * x0 + sigma * eps, x)
    end = DDIM().step(Answer(model.schedule, Prediction(x0, eps)), State(x, t), s, Seeded([0] * 3))
    torch.testing.assert_close(end.x, target, rtol=1e-4, atol=1e-4)


@dataclass(frozen=True)
class Answer:
    """A denoiser that says the same whatever it is asked."""

    schedule: Schedule
    prediction: Prediction

    def __call__(self, x: torch.Tensor, t: torch.Tensor) -> Prediction:
        return self.prediction


@pytest.mark.parametrize("calls", [1, 2, 4, 8])
@pytest.mark.parametrize("has_prior", [True, False])
def test_the_student_makes_as_many_calls_as_it_should(calls: int, has_prior: bool):
    model = with_prior(tiny()) if has_prior else tiny()
    grid = student_grid(model, calls)
    assert sum(map(model.calls_network, grid[:-1])) == calls and len(grid) == calls + 1 + has_prior
    levels = model.schedule.ratio(grid[has_prior:-1])
    next_level = levels[-1] * (levels[1] / levels[0] if calls > 1 else LAST_RATIO / levels[0])
    assert next_level.item() == pytest.approx(LAST_RATIO, rel=1e-3)


def test_a_schedule_without_a_noise_level_at_its_end_has_a_grid():
    config = tiny().config
    model = PictureModel(ModelConfig(config.net, Cosine(), config.parametrization, config.pictures, config.sampling))
    assert len(grid_from_times(student_grid(model, 4).tolist())) == 5


@pytest.mark.parametrize("calls", [1, 3, 8])
def test_the_trajectory_visits_the_students_times(calls: int):
    model = with_prior(tiny())
    grid = student_grid(model, calls)
    fine, marks = refine(model.schedule, grid, 1)
    assert torch.equal(fine[list(marks)], grid[1:]) and fine[0] == grid[0]
    assert distillation.TEACHER_STEPS <= len(fine) - 1 <= max(distillation.TEACHER_STEPS, MIN_STEPS * calls) + 4
    assert min(b - a for a, b in itertools.pairwise(marks)) >= MIN_STEPS


def test_its_states_are_those_of_the_teacher(teacher_run: Path, plan: TrainingPlan):
    teacher, cond = noisette.load(teacher_run), Condition(label=torch.tensor([0, 1]))
    guidance = Guidance(2.0)
    states = Trajectories(teacher, guidance, plan.recipe.model.sampling)([3, 4], cond)
    grid = grid_from_times(plan.recipe.model.sampling.fitted[0])
    fine, marks = refine(teacher.schedule, grid, 1)
    start, noise = initial_state(teacher, [3, 4], fine, plan.recipe.model.sampling.temperature)
    denoise = build_denoiser(teacher, cond, guidance)
    for k, mark in enumerate(marks):
        expected = sample(denoise, DPMSolver2M(), fine[: mark + 1], start.x, noise)
        torch.testing.assert_close(states[:, k], expected)


def stream_of(run: Path, plan: TrainingPlan, student: PictureModel) -> TrajectoryStream:
    teacher = noisette.load(run)
    trajectories = Trajectories(teacher, Guidance(1.0), plan.recipe.model.sampling)
    return TrajectoryStream(trajectories, student, Dataset.open(run).train, plan, torch.device("cpu"))


def test_a_batch_depends_on_seed_and_step_alone(teacher_run: Path, plan: TrainingPlan):
    """In parts, too, as several processes take it; and in views in which the student's own states are used."""
    student = noisette.load(teacher_run)
    one, other = stream_of(teacher_run, plan, student), stream_of(teacher_run, plan, student)
    late = 3 * one.num_blocks + 1
    assert one.num_blocks == 12  # 960 examples, each trajectory ten times
    for step in (0, 5, late):
        whole = one.batch(step, slice(0, 8))
        parts = [other.batch(step, slice(i, i + 4)) for i in (0, 4)]
        for name in ("x0", "eps", "t", "indices"):
            joined = torch.cat([getattr(part, name) for part in parts])
            torch.testing.assert_close(joined, getattr(whole, name), rtol=1e-3, atol=1e-3)
    assert not torch.equal(one.batch(0, slice(0, 8)).x0, one.batch(1, slice(0, 8)).x0)


def test_later_half_of_the_examples_begin_at_the_students_own_states(teacher_run: Path, plan: TrainingPlan):
    """The rest, and all first steps, at the teacher's."""
    stream = stream_of(teacher_run, plan, tiny(labels=("food", "tool")))
    schedule, times = stream.student.schedule, stream.trajectories.times

    def count_own(view: int) -> tuple[int, int]:
        own = later = 0
        for step in range(view * stream.num_blocks, (view + 1) * stream.num_blocks):
            batch = stream.batch(step, slice(0, 8))
            alpha, sigma = schedule.at(batch.t, batch.x0)
            x = alpha * batch.x0 + sigma * batch.eps
            order = torch.randperm(stream.num_blocks, generator=make_generator(0, "blocks", view))
            states, _, cond = stream.block(int(order[step % stream.num_blocks]), slice(0, 8))
            mine = stream.student_states(states[:, 0], cond, 2)
            for i, t in enumerate(batch.t):
                part = int((times == t).nonzero())
                is_own = torch.allclose(x[i], mine[part, i], atol=1e-3)
                assert is_own or torch.allclose(x[i], states[i, part], atol=1e-3)
                own, later = own + (is_own and part > 0), later + (part > 0)
        return own, later

    assert count_own(1)[0] == 0
    own, later = count_own(2)
    assert 0.35 < own / later < 0.65


def test_the_expected_slowdown_is_the_mean_of_the_steps_that_are_left(
    teacher_run: Path, plan: TrainingPlan, tmp_path: Path
):
    """A trajectory that is seen for the first time has to be drawn."""
    method = Distilling(tmp_path, Dataset.open(teacher_run), plan, str(teacher_run), make_accelerator())
    number = count_blocks(plan) * 8
    costs = [1 + (TRAJECTORY_COST if i < number else OWN_COST) for i in range(plan.images)]
    for images in (0, 8, number - 8):
        left = sum(costs[images:]) / len(costs[images:])
        assert method.slowdown(images, 0.0) == pytest.approx(left / costs[images])
    assert method.slowdown(number, 0.1) == method.slowdown(plan.images, 1.0) == 1
    assert sum(costs) / len(costs) == pytest.approx(MEAN_COST, rel=0.05)


def test_the_time_left_is_within_the_limit():
    progress = Progress(images=100, total=1100, seconds=10.0, rate=10.0, loss=0.0, slowdown=0.5)
    assert progress.seconds_left == 50
    assert replace(progress, time_limit=40.0).seconds_left == 30
    assert replace(progress, time_limit=9.0).seconds_left == 0


def test_a_student_is_a_run_like_any_other(teacher_run: Path, student_run: Path):
    student, teacher = noisette.load(student_run), noisette.load(teacher_run)
    sampling = student.config.sampling
    assert (sampling.sampler, sampling.grid, sampling.steps) == ("ddim", "fitted", 3) and sampling.temperature == 1
    assert [origin.name for origin in student.config.origins] == ["run"]
    assert student.config.origins[0].hash == teacher.hash and student.pictures == teacher.pictures
    assert all(torch.equal(a, b) for a, b in zip(student.prior.buffers(), teacher.prior.buffers(), strict=True))
    pictures = noisette.draw(student, 4)
    assert pictures.pixels.shape == (4, *student.pictures.shape)
    held_out = [row["held_out"]["all"] for row in rows(student_run) if "held_out" in row]
    assert held_out[-1] < held_out[0]
    assert not (student_run / "early").exists()  # a student's is of no use


def test_interrupted_and_resumed_without_its_teacher(teacher_run: Path, student_run: Path, tmp_path: Path):
    """It ends with the same weights, bit for bit: its run folder has all that it needs."""
    moved = tmp_path / "teacher"
    shutil.copytree(teacher_run, moved)

    class Stop(Exception):
        pass

    def stop(progress: Any) -> None:
        if progress.images >= 48:
            raise Stop

    folder = tmp_path / "run"
    with pytest.raises(Stop):
        distill(moved, folder, make_distill_options(moved, folder, 2, **LENGTH), stop)
    shutil.rmtree(moved)
    distill(moved, folder, make_distill_options(moved, folder, 2, **LENGTH))
    assert all(torch.equal(value, weights(folder)[name]) for name, value in weights(student_run).items())


def test_guidance_of_the_teacher_becomes_part_of_the_student(teacher_run: Path, tmp_path: Path):
    options = make_distill_options(teacher_run, tmp_path, 2, 3.0, **LENGTH)
    distill(teacher_run, tmp_path / "run", options)
    student = noisette.load(tmp_path / "run")
    assert student.config.sampling.guidance == 1  # nothing is paid for it
    assert student.config.sampling.temperature == noisette.load(teacher_run).config.sampling.temperature
    with pytest.raises(InputError, match=r"was started with --steps 2 --guidance 3, not with --steps 2"):
        distill(teacher_run, tmp_path / "run", make_distill_options(teacher_run, tmp_path / "run", 2, **LENGTH))


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distillation, "GATE_SAMPLES", 48)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Enough held-out pictures for a KID."""
    home = tmp_path_factory.mktemp("many")
    generator = make_generator("many")
    (home / "pictures").mkdir()
    for i in range(240):
        color = torch.randint(256, (1, 3, 1, 1), generator=generator, dtype=torch.uint8)
        write_png(home / "pictures" / f"{i}.png", color.expand(1, 3, 8, 8).contiguous())
    return prepare(home / "pictures", home / "run")


@pytest.mark.slow
def test_a_student_as_good_as_its_teacher_is_kept_and_a_poor_one_is_not(many: Dataset, gate: None):
    config = replace(tiny("RGB", ()).config, pictures=many.pictures)
    # both are pictures of one color with some noise, which is lower in the teacher's
    noisy, plain = torch.randn(16, 3, 8, 8, generator=make_generator("noisy")), torch.full((16, 3, 8, 8), 0.9)
    poor, teacher = (PictureModel(config, GaussianPrior.fit(x, degrees_of_freedom=2.99)).eval() for x in (noisy, plain))
    assert "with 4 network calls, " in str(compare_with_teacher(teacher, teacher, many, 4, 0))
    with pytest.raises(InputError, match=r"is not kept: KID × 10³ \d+ .* at most 1\.5 times is wanted; train longer"):
        compare_with_teacher(poor, teacher, many, 2, 0)
    assert "with 1 network call, " in str(compare_with_teacher(poor, teacher, many, 1, 0))  # reported only


def test_a_student_that_is_refused_leaves_its_checkpoints_and_no_model(
    teacher_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_: Any) -> str:
        raise InputError("the student is not kept")

    monkeypatch.setattr(distillation, "compare_with_teacher", refuse)
    folder, strict = tmp_path / "run", LENGTH | {"any_quality": False, "images": 16}
    with pytest.raises(InputError, match="the student is not kept"):
        distill(teacher_run, folder, make_distill_options(teacher_run, folder, 2, **strict))
    assert not (folder / "model").exists() and list((folder / "checkpoints").iterdir())
    kept = make_distill_options(teacher_run, folder, 2, **strict | {"any_quality": True})
    assert (distill(teacher_run, folder, kept) / "config.json").is_file()


def test_what_cannot_be_distilled(sprites: Path, tmp_path: Path):
    with pytest.raises(InputError, match="must be 1 to 8, got 9"):
        Distillation(9)
    with pytest.raises(InputError, match=r"guidance must be between -100 and 100"):
        Distillation(2, 101.0)
    tiny(labels=()).save_pretrained(tmp_path / "model")
    with pytest.raises(InputError, match="needs labels, attributes or text"):
        make_distill_options(tmp_path / "model", tmp_path / "run", 2, 3.0, **LENGTH)
    options = make_distill_options(tmp_path / "model", tmp_path / "run", 2, **LENGTH)
    with pytest.raises(InputError, match="holds no data set"):
        distill(tmp_path / "model", tmp_path / "run", options)
    assert not (tmp_path / "run").exists()
