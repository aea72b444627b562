"""The number of threads follows the durations of the steps."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from noisette.data import prepare
from noisette.team import OtherPrograms, SharedCPU
from noisette.training import Progress, train
from noisette.training import run as run_module
from noisette.training.plan import TrainOptions, build_recipe, make_plan
from noisette.training.thread_trial import ThreadTrial
from noisette.training.thread_tuner import MAX_STEPS, RECENT_STEPS, RETRY_SECONDS, ThreadTuner
from noisette.training.trial_step import TrialStep

from .test_run import assert_same_run, options


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def steps(tuner: ThreadTuner, count: int, seconds: Callable[[int], float]) -> list[str]:
    """Take steps, each as long as `seconds` says of a number of threads; the notes."""
    notes = []
    for _ in range(count):
        tuner.prepare()
        notes.append(tuner.finish_step(seconds(torch.get_num_threads()), 64))
    return [note for note in notes if note]


def quiet(threads: int) -> float:
    return 0.1 / threads


def busy(threads: int) -> float:
    return 0.11 if threads == 1 else 0.6


def test_all_threads_on_an_idle_machine_without_a_message():
    tuner = ThreadTuner((2, 1))
    assert steps(tuner, 1 + 2 * MAX_STEPS, quiet) == [] and tuner.threads == 2


def test_one_thread_beside_another_program_and_all_of_them_later():
    tuner = ThreadTuner((2, 1))
    (note,) = steps(tuner, 2 * MAX_STEPS, busy)
    assert tuner.threads == 1 and note.startswith("computing on 1 of 2 threads: 582 images/s, against 107 on 2")
    assert steps(tuner, 3 * RECENT_STEPS, busy) == []  # nothing changes
    count = int(RETRY_SECONDS / quiet(1)) + 2 * MAX_STEPS
    (note,) = steps(tuner, count, quiet)
    assert tuner.threads == 2 and "all 2 threads again" in note


@pytest.mark.parametrize("start", [None, 2, 1])
def test_two_slow_steps_are_all_that_a_short_run_loses(start: int | None):
    """Steps on two threads take seconds beside another program: a run of 20 seconds has no time for several."""
    tuner, used = ThreadTuner((2, 1), start), []

    def seconds(threads: int) -> float:
        used.append(threads)
        return 2.5 if threads == 2 else 0.4

    (note,) = steps(tuner, 12, seconds)
    assert used.count(2) <= 2 and used[-9:] == [1] * 9 and "on 1 of 2 threads: 160 images/s, against 25.6" in note


def test_what_was_measured_for_the_plan_is_used_at_once_and_between_the_steps():
    tuner = ThreadTuner((2, 1), 1)
    tuner.apply()
    assert torch.get_num_threads() == 1
    for _ in range(3):
        tuner.prepare()
        tuner.finish_step(busy(torch.get_num_threads()), 64)
        assert torch.get_num_threads() == 1  # evaluations come now
    assert ThreadTuner((2, 1), 7).threads == 2  # of another machine


def test_looks_again_when_the_speed_falls_to_half():
    tuner = ThreadTuner((2, 1))
    steps(tuner, 120 + 2 * MAX_STEPS, quiet)
    assert steps(tuner, 60, lambda threads: 1.5 * quiet(threads)) == [] and tuner.trial is None
    (note,) = steps(tuner, RECENT_STEPS, busy)
    assert tuner.threads == 1 and "1 of 2 threads" in note


def test_a_trial_leaves_out_what_is_clearly_slower():
    trial = ThreadTrial((1, 4, 2))
    assert [trial.next_count() for _ in range(2)] == [1, 1] and not trial.is_complete(1)
    trial.add(1, 1.0)
    trial.add(4, 3.1)  # one step of more than three times
    assert trial.candidates == [1, 2] and trial.next_count() == 2
    trial.add(2, 2.9)  # may be chance
    assert trial.candidates == [1, 2] and trial.is_complete(1) and not trial.is_complete(2)
    trial.add(1, 1.0)
    trial.add(2, 1.6)
    assert trial.candidates == [1] and trial.is_complete(9) and trial.fastest() == 1


def test_a_single_number_of_threads_is_timed_too():
    trial = ThreadTrial((1,))
    assert not trial.is_complete(2)
    trial.add(1, 0.1)
    trial.add(1, 0.3)
    assert trial.is_complete(2) and trial.medians() == {1: pytest.approx(0.2)}


@pytest.mark.parametrize(("other", "fastest"), [(1.04, 2), (1.06, 1)])
def test_all_threads_unless_fewer_are_clearly_faster(other: float, fastest: int):
    trial = ThreadTrial((1, 2))
    trial.add(1, 1.0)
    trial.add(2, other)
    assert trial.fastest() == fastest


def test_the_plan_uses_the_fastest_number_of_threads(sprites: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    torch.set_num_threads(2)
    taken, data = [], prepare(sprites, tmp_path / "data")
    step = TrialStep(build_recipe("tiny", data, TrainOptions(preset="tiny", images=8)), "fp32", torch.device("cpu"), 8)

    def measured(self: TrialStep) -> float:
        taken.append(torch.get_num_threads())
        return 0.4 if torch.get_num_threads() == 1 else 2.5

    monkeypatch.setattr(TrialStep, "__call__", measured)
    assert step.measure_speed(budget=0.0) == (pytest.approx(0.05), 1)
    assert taken.count(2) == 1 and torch.get_num_threads() == 2


@pytest.mark.parametrize(("images", "timed"), [(16, 2), (800, 10), (8000, 50)])
def test_a_short_run_is_timed_for_a_tenth_of_its_steps(
    images: int, timed: int, sprites: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    torch.set_num_threads(1)
    taken = []
    monkeypatch.setattr(TrialStep, "__call__", lambda self: taken.append(1) or 1e-4)
    device = torch.device("cpu")
    settings = TrainOptions(preset="tiny", images=images, batch=8, precision="fp32", evaluations=0)
    make_plan(prepare(sprites, tmp_path / "data"), settings, device, processes=1, seconds_left=None)
    assert len(taken) == 1 + timed  # and one that allocates memory


@pytest.mark.slow
def test_a_run_whose_threads_change_ends_with_the_same_weights(
    sprites: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    torch.set_num_threads(1)
    train(sprites, tmp_path / "one", options())
    torch.set_num_threads(3)
    used = []

    class Restless(ThreadTuner):
        """Another number of threads at every step."""

        def prepare(self) -> None:
            torch.set_num_threads(self.counts[len(used) % len(self.counts)])
            used.append(torch.get_num_threads())

    monkeypatch.setattr(run_module, "ThreadTuner", Restless)
    train(sprites, tmp_path / "many", options())
    assert torch.get_num_threads() == 3
    if len(set(used)) == 1:
        pytest.skip("without the kernels the number of threads changes bits, and stays as it is")
    assert set(used) == {3, 2, 1}
    assert_same_run(tmp_path / "one", tmp_path / "many")


def test_the_note_is_in_the_progress(sprites: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Talking(ThreadTuner):
        def finish_step(self, seconds: float, images: int) -> str | None:
            return f"{images} images"

    monkeypatch.setattr(run_module, "ThreadTuner", Talking)
    seen: list[Progress] = []
    train(sprites, tmp_path / "run", options(images=16), on_progress=seen.append)
    assert [p.notes for p in seen] == [("8 images",)] * 2


def test_sampling_leaves_cores_to_other_programs(monkeypatch: pytest.MonkeyPatch):
    torch.set_num_threads(2)
    shared, cpu, used = SharedCPU(), torch.device("cpu"), [0.0, 0.2, 1.0, 2.0, 0.1, 1.0, 0.0]
    monkeypatch.setattr("noisette.team.os.cpu_count", lambda: 2)
    shared.others = lambda: used.pop(0)  # type: ignore[assignment]
    found = []
    for _ in range(5):
        shared(cpu)
        found.append(torch.get_num_threads())
    assert found == [2, 2, 1, 1, 2]
    shared(cpu)
    shared.release()
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)  # what somebody chooses is the most
    shared(cpu)
    assert torch.get_num_threads() == 1


def test_other_programs_are_measured(monkeypatch: pytest.MonkeyPatch):
    others = OtherPrograms()
    now = [(10.0, 50.0), (10.05, 50.05), (11.0, 51.5), (900.0, 500.0)]
    others.last = (9.0, 49.5)
    monkeypatch.setattr(others, "read", lambda: now.pop(0))
    monkeypatch.setattr("noisette.team.count_running", lambda otherwise: 7.0)
    assert [others() for _ in range(4)] == [0.5, 0.5, 1.5, 7.0]
