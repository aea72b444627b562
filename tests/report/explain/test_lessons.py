"""Each lesson breaks one thing, and it shows."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from noisette.cli import main
from noisette.data.pictures import Pictures
from noisette.diffusion.grid import karras
from noisette.diffusion.guidance import hook_output
from noisette.diffusion.noise import Seeded
from noisette.diffusion.oracle import GaussianDenoiser
from noisette.diffusion.sampler import DDPM, Heun, sample
from noisette.diffusion.schedule import VarianceExploding
from noisette.errors import InputError
from noisette.io import checkpoint
from noisette.io.json_files import read_json
from noisette.models.config import from_json
from noisette.nn.muon import ADAM_UPDATE_RMS, find_matrices
from noisette.report.explain import lessons
from noisette.report.explain.continued_training import continue_training
from noisette.report.explain.lessons import (
    LESSONS,
    OffByOneTime,
    misread_range,
    render_lesson_page,
    render_lessons_page,
)
from noisette.report.explain.subject import Subject
from noisette.training.recipes.recipe import Recipe

EXACT = GaussianDenoiser(VarianceExploding(), torch.tensor(0.3), torch.tensor(0.5))


def drawn(denoise, grid, sampler) -> torch.Tensor:
    noise = Seeded(range(64))
    return sample(denoise, sampler, grid, 80 * noise(torch.empty(64, 1, 8, 8)), noise)


def test_an_index_wrong_by_one_leaves_noise_in() -> None:
    """Pictures N(0.3, 0.5²), everything known: right, they have that deviation; one step off, a larger one."""
    grid = karras(EXACT.schedule, 80)
    right, wrong = drawn(EXACT, grid, Heun()), drawn(OffByOneTime(EXACT, grid), grid, Heun())
    assert float(right.std()) == pytest.approx(0.5, rel=0.03)
    assert float(wrong.std()) > 1.2 * float(right.std())


def test_a_chain_that_is_too_short_draws_another_distribution() -> None:
    long, short = (drawn(EXACT, karras(EXACT.schedule, n), DDPM()) for n in (200, 6))
    assert abs(float(short.std()) - 0.5) > 5 * abs(float(long.std()) - 0.5)


def test_values_that_are_not_rescaled_are_black() -> None:
    pixels = torch.randint(0, 256, (4, 1, 8, 8), dtype=torch.uint8)
    kind = Pictures("L", 8, 8)
    broken = kind.decode(misread_range(kind.encode(pixels)))
    assert bool((broken[pixels <= 127] == 0).all()) and bool((broken[pixels == 255] == 255).all())


def test_without_a_time_embedding_the_output_does_not_depend_on_time(subject: Subject) -> None:
    x, net = torch.randn(1, *subject.model.pictures.shape), subject.model.net
    early, late = torch.tensor([-1.0]), torch.tensor([1.0])
    assert not torch.equal(net(x, early), net(x, late))
    with hook_output(net.embed.time, torch.zeros_like):
        assert torch.equal(net(x, early), net(x, late))
    assert LESSONS["no-time"].run(subject).rms_difference > 0
    assert all(not m._forward_hooks for m in subject.model.net.modules())


def test_the_weights_of_a_model_that_is_still_learning(subject: Subject, run, tmp_path, monkeypatch) -> None:
    """They go on from the checkpoint's at the run's highest rate, and lie away from their average; the run stays."""
    before = {p: p.stat().st_mtime_ns for p in run.rglob("*")}
    last, average = continue_training(subject, 3)
    again, _ = continue_training(subject, 3)
    start = checkpoint.find_latest(run).read_tensors("model")
    for name, value in last.net.state_dict().items():
        assert torch.equal(value, again.net.state_dict()[name])
    moved = [(v - start[n]).abs().max() for n, v in last.net.state_dict().items()]
    rate = from_json(Recipe, read_json(run / "config.json")["plan"]["recipe"], "").training.lr
    assert rate < float(max(moved)) < 10 * rate  # of three steps of Adam
    apart = [(v - average.net.state_dict()[n]).abs().max() for n, v in last.net.state_dict().items()]
    assert float(max(apart)) > 0.1 * rate
    assert {p: p.stat().st_mtime_ns for p in run.rglob("*")} == before
    monkeypatch.setattr(lessons, "continue_training", lambda lesson_subject: continue_training(lesson_subject, 3))
    assert LESSONS["no-ema"].run(subject).rms_difference > 0


@pytest.mark.parametrize("kind", ["muon", "adam"])
def test_lessons_that_train_use_the_optimizer_of_the_run(
    subject: Subject, run: Path, tmp_path: Path, kind: str
) -> None:
    """Its first step: Muon moves a matrix as far in each direction, Adam every weight by the learning rate."""
    config = read_json(run / "config.json")
    training = config["plan"]["recipe"]["training"]
    training["optimizer"], rate = kind, training["lr"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "checkpoints").symlink_to(run / "checkpoints")
    last, _ = continue_training(replace(subject, run=tmp_path), 1)
    start, wide = checkpoint.find_latest(run).read_tensors("model"), {id(w) for w in find_matrices(last.net)}
    assert wide
    for name, weight in last.net.named_parameters():
        step = (weight - start[name]).flatten(1) if id(weight) in wide else weight - start[name]
        if kind == "muon" and id(weight) in wide:
            furthest = torch.linalg.matrix_norm(step, 2) / (rate * ADAM_UPDATE_RMS * max(step.shape) ** 0.5)
            assert 0.6 < float(furthest) < 1.3, name
        else:
            assert float(step.abs().max()) == pytest.approx(rate, rel=0.01), name


def test_both_rows_of_a_lesson_on_the_average_are_pictures(subject: Subject) -> None:
    """They lie near those that were trained on: before the lesson's steps 0.94 away, after them 0.37 to 0.41, by the
    seed; and 0.66 to 0.77 where the steps are Adam's, at Muon's rate."""
    known = subject.data.train.x0(torch.arange(len(subject.data.train)))
    found = LESSONS["no-ema"].run(subject)
    for row in (found.expected, found.actual):
        nearest = (row[:, None] - known[None]).square().mean((2, 3, 4)).amin(1)
        assert float(nearest.mean().sqrt()) < 0.53


@pytest.mark.parametrize("name", sorted(set(LESSONS) - {"no-ema"}))
def test_every_lesson_shows_its_failure(subject: Subject, name: str) -> None:
    page = render_lesson_page(subject, LESSONS[name])
    assert page.count("<img") == 16 and "Pixels differ by 0.000" not in page


def test_a_lesson_by_the_command(run, tmp_path, capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["explain", str(run), "--out", str(tmp_path / "a.html"), "--lesson", "wrong-index"])
    assert capsys.readouterr().err.splitlines() == ["Off-by-one time index"]  # no terminal: lines
    assert not stop.value.code and "Off-by-one time index" in (tmp_path / "a.html").read_text("utf-8")
    with pytest.raises(SystemExit) as stop:
        main(["explain", str(run), "--out", str(tmp_path / "b.html"), "--lesson", "no-tme"])
    assert stop.value.code == 2 and "did you mean 'no-time'" in capsys.readouterr().err
    assert not (tmp_path / "b.html").exists()


def test_all_lessons_on_one_page(bare: Subject) -> None:
    """A model without its run has no other weights, and the page says so."""
    with pytest.raises(InputError, match="needs the run folder"):
        LESSONS["no-ema"].run(bare)
    started: list[str] = []
    page = render_lessons_page(bare, started.append)
    assert [name for name in LESSONS if f'id="{name}"' not in page] == ["no-ema"]  # and no heading above nothing
    assert page.count("<figure") == page.count("<h2") == len(LESSONS) - 1
    assert "Left out: Raw weights instead of the EMA weights; no-ema needs the run folder" in page
    assert started == [lesson.title for lesson in LESSONS.values()]
    assert page.count("on the karras grid") == len(LESSONS) - 1
