"""Each lesson breaks one thing, and it shows."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from noisette import checkpoint
from noisette.cli import main
from noisette.config import from_json
from noisette.edit.explain import lessons
from noisette.edit.explain.learning import still_learning
from noisette.edit.explain.lessons import LESSONS, OneOff, lesson_page, lessons_page, mistaken
from noisette.edit.explain.subject import Subject
from noisette.errors import InputError
from noisette.files import read_json
from noisette.grid import karras
from noisette.guidance import tapped
from noisette.nn.muon import LIKE_ADAM, matrices
from noisette.noise import Seeded
from noisette.oracle import Gaussian
from noisette.pictures import Pictures
from noisette.recipe import Recipe
from noisette.sampler import DDPM, Heun, sample
from noisette.schedule import VarianceExploding

EXACT = Gaussian(VarianceExploding(), torch.tensor(0.3), torch.tensor(0.5))


def drawn(denoise, grid, sampler) -> torch.Tensor:
    noise = Seeded(range(64))
    return sample(denoise, sampler, grid, 80 * noise(torch.empty(64, 1, 8, 8)), noise)


def test_an_index_wrong_by_one_leaves_noise_in() -> None:
    """Pictures N(0.3, 0.5²), everything known: right, they have that deviation; one step off, a larger one."""
    grid = karras(EXACT.schedule, 80)
    right, wrong = drawn(EXACT, grid, Heun()), drawn(OneOff(EXACT, grid), grid, Heun())
    assert float(right.std()) == pytest.approx(0.5, rel=0.03)
    assert float(wrong.std()) > 1.2 * float(right.std())


def test_a_chain_that_is_too_short_draws_another_distribution() -> None:
    long, short = (drawn(EXACT, karras(EXACT.schedule, n), DDPM()) for n in (200, 6))
    assert abs(float(short.std()) - 0.5) > 5 * abs(float(long.std()) - 0.5)


def test_what_is_not_brought_back_is_black() -> None:
    pixels = torch.randint(0, 256, (4, 1, 8, 8), dtype=torch.uint8)
    kind = Pictures("L", 8, 8)
    broken = kind.decode(mistaken(kind.encode(pixels)))
    assert bool((broken[pixels <= 127] == 0).all()) and bool((broken[pixels == 255] == 255).all())


def test_without_time_the_answer_does_not_depend_on_it(told: Subject) -> None:
    x, net = torch.randn(1, *told.model.pictures.shape), told.model.net
    early, late = torch.tensor([-1.0]), torch.tensor([1.0])
    assert not torch.equal(net(x, early), net(x, late))
    with tapped(net.embed.time, torch.zeros_like):
        assert torch.equal(net(x, early), net(x, late))
    assert LESSONS["no-time"].broken(told).off > 0
    assert all(not m._forward_hooks for m in told.model.net.modules())


def test_the_weights_of_a_model_that_is_still_learning(told: Subject, run, tmp_path, monkeypatch) -> None:
    """They go on from the checkpoint's at the run's highest rate, and lie away from their average; the run stays."""
    before = {p: p.stat().st_mtime_ns for p in run.rglob("*")}
    last, average = still_learning(told, 3)
    again, _ = still_learning(told, 3)
    start = checkpoint.latest(run).tensors("model")
    for name, value in last.net.state_dict().items():
        assert torch.equal(value, again.net.state_dict()[name])
    moved = [(v - start[n]).abs().max() for n, v in last.net.state_dict().items()]
    rate = from_json(Recipe, read_json(run / "config.json")["plan"]["recipe"], "").training.lr
    assert rate < float(max(moved)) < 10 * rate  # of three steps of Adam
    apart = [(v - average.net.state_dict()[n]).abs().max() for n, v in last.net.state_dict().items()]
    assert float(max(apart)) > 0.1 * rate
    assert {p: p.stat().st_mtime_ns for p in run.rglob("*")} == before
    monkeypatch.setattr(lessons, "still_learning", lambda subject: still_learning(subject, 3))
    assert LESSONS["no-ema"].broken(told).off > 0


@pytest.mark.parametrize("kind", ["muon", "adam"])
def test_they_go_on_with_the_optimiser_of_the_run(told: Subject, run: Path, tmp_path: Path, kind: str) -> None:
    """Its first step: Muon moves a matrix as far in each direction, Adam every weight by the learning rate."""
    settled = read_json(run / "config.json")
    training = settled["plan"]["recipe"]["training"]
    training["optimizer"], rate = kind, training["lr"]
    (tmp_path / "config.json").write_text(json.dumps(settled))
    (tmp_path / "checkpoints").symlink_to(run / "checkpoints")
    last, _ = still_learning(replace(told, run=tmp_path), 1)
    start, wide = checkpoint.latest(run).tensors("model"), {id(w) for w in matrices(last.net)}
    assert wide
    for name, weight in last.net.named_parameters():
        step = (weight - start[name]).flatten(1) if id(weight) in wide else weight - start[name]
        if kind == "muon" and id(weight) in wide:
            furthest = torch.linalg.matrix_norm(step, 2) / (rate * LIKE_ADAM * max(step.shape) ** 0.5)
            assert 0.6 < float(furthest) < 1.3, name
        else:
            assert float(step.abs().max()) == pytest.approx(rate, rel=0.01), name


def test_both_rows_of_a_lesson_on_the_average_are_pictures(told: Subject) -> None:
    """They lie near those that were trained on: before the lesson's steps 0.94 away, after them 0.37 to 0.41, by the
    seed; and 0.66 to 0.77 where the steps are Adam's, at Muon's rate."""
    known = told.data.train.x0(torch.arange(len(told.data.train)))
    found = LESSONS["no-ema"].broken(told)
    for row in (found.right, found.wrong):
        nearest = (row[:, None] - known[None]).square().mean((2, 3, 4)).amin(1)
        assert float(nearest.mean().sqrt()) < 0.53


@pytest.mark.parametrize("name", sorted(set(LESSONS) - {"no-ema"}))
def test_every_lesson_shows_its_failure(told: Subject, name: str) -> None:
    page = lesson_page(told, LESSONS[name])
    assert page.count("<img") == 16 and "Pixels differ by 0.000" not in page


def test_a_lesson_by_the_command(run, tmp_path, capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["explain", str(run), "--out", str(tmp_path / "a.html"), "--lesson", "wrong-index"])
    assert not stop.value.code and "wrong by one" in (tmp_path / "a.html").read_text("utf-8")
    with pytest.raises(SystemExit) as stop:
        main(["explain", str(run), "--out", str(tmp_path / "b.html"), "--lesson", "no-tme"])
    assert stop.value.code == 2 and "did you mean 'no-time'" in capsys.readouterr().err
    assert not (tmp_path / "b.html").exists()


def test_all_lessons_on_one_page(bare: Subject) -> None:
    """A model without its run has no other weights, and the page says so."""
    with pytest.raises(InputError, match="needs the run folder"):
        LESSONS["no-ema"].broken(bare)
    page = lessons_page(bare)
    assert all(f'id="{name}"' in page for name in LESSONS) and page.count("<figure") == len(LESSONS) - 1
    assert "no-ema needs the run folder" in page
