"""Each lesson breaks one thing, and it shows."""

import pytest
import torch

from noisette import checkpoint
from noisette.cli import main
from noisette.edit.explain.lessons import LESSONS, OneOff, lesson_page, mistaken
from noisette.edit.explain.subject import Subject, subject
from noisette.errors import InputError
from noisette.grid import karras
from noisette.guidance import tapped
from noisette.model import PictureModel
from noisette.noise import Seeded
from noisette.oracle import Gaussian
from noisette.pictures import Pictures
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


def test_the_weights_that_were_not_averaged_are_the_checkpoints(run) -> None:
    """Of the run as it was trained; its checkpoint holds both, and here they are not the same."""
    found = checkpoint.latest(run)
    folder = run.parent / "whole"
    if not folder.exists():
        model = PictureModel._from_checkpoint(found.folder)
        folder.mkdir()
        (folder / "checkpoints").symlink_to(run / "checkpoints")
        for name in ("data", "data.json", "config.json"):
            (folder / name).symlink_to(run / name)
        model.save_pretrained(folder / "model")
    raw, averaged = found.tensors("model"), found.tensors("ema")
    assert any(not torch.equal(raw[name], averaged[name]) for name in raw)
    assert LESSONS["no-ema"].broken(subject(folder)).off > 0


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


def test_a_bare_model_has_no_other_weights(bare: Subject) -> None:
    with pytest.raises(InputError, match="needs the run folder"):
        LESSONS["no-ema"].broken(bare)
