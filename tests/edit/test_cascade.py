"""Base, then upscalers: right sizes, one seed one picture, and told of its noise."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from noisette.edit.cascade import Cascade, drawn
from noisette.edit.generate import ends, generate
from noisette.errors import InputError
from noisette.model import PictureModel
from noisette.task import Draw, Task, Upscale
from tiny_models import LABELS, tiny


def posed(task: Task, side: int, seed: int = 0, labels: tuple[str, ...] = LABELS) -> PictureModel:
    """A model of random weights that is given what the task gives."""
    config = tiny("RGBA", labels, side, side).config
    extra = task.stacked(config.pictures)
    config = replace(config, task=task, net=replace(config.net, in_channels=4 + extra))
    model = PictureModel(config)
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2, generator=generator)
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def models() -> tuple[PictureModel, PictureModel, PictureModel]:
    return posed(Draw(), 8), posed(Upscale(2), 16, 1), posed(Upscale(2), 32, 2)


def test_it_ends_at_the_last_size(models) -> None:
    base, up, last = models
    for then, side in (((), 8), ((up,), 16), ((up, last), 32)):
        pixels = drawn(base, then, range(2), "sword")
        assert pixels.shape == (2, 4, side, side) and pixels.dtype == torch.uint8


def test_a_picture_depends_on_its_seed_alone(models) -> None:
    base, up, _ = models
    together = drawn(base, [up], range(3))
    alone = torch.cat([drawn(base, [up], [seed]) for seed in range(3)])
    assert (together.int() - alone.int()).abs().max() <= 1
    assert not torch.equal(together[0], together[1])


def test_what_is_drawn_depends_on_what_was_drawn_before_and_on_its_noise(models) -> None:
    base, up, _ = models
    plain = drawn(base, [up], [0])
    assert not torch.equal(drawn(base, [up], [0], level=0.4), plain)
    other = posed(Draw(), 8, seed=9)
    assert not torch.equal(drawn(other, [up], [0]), plain)
    assert torch.equal(drawn(base, [up], [0]), plain)


def test_labels_are_passed_on_to_who_knows_them(models) -> None:
    base, up, _ = models
    grid = base.grid()
    x = ends(generate(base, [0], base.condition("sword"), base.sampler(), grid), grid)
    asked, not_asked = (Cascade((up,)).enlarged(base, x, [0], [label]) for label in ("sword", None))
    assert not torch.equal(asked, not_asked)
    without = posed(Upscale(2), 16, 1, labels=())
    a, b = (Cascade((without,)).enlarged(base, x, [0], [label]) for label in ("sword", None))
    assert torch.equal(a, b)
    unlabelled = posed(Draw(), 8, labels=())  # a label that a classifier alone knows
    Cascade((without,)).enlarged(unlabelled, x, [0], ["sword"])


def test_models_that_do_not_follow_each_other(models) -> None:
    base, up, last = models
    for then, level, said in (
        ((last,), 0.1, "enlarges RGBA pictures of 16×16 cannot follow one that draws RGBA pictures of 8×8"),
        ((up, base), 0.1, "a Draw model does not"),
        ((up,), 0.7, "more than a model knows: give 0 to 0.5"),
    ):
        with pytest.raises(InputError, match=said):
            Cascade(then, level).check(base)


def test_an_upscaler_has_a_card_without_samples(models, tmp_path: Path) -> None:
    models[1].save_with_card(tmp_path / "up")
    text = (tmp_path / "up" / "README.md").read_text("utf8")
    assert "noisette edit upscale FOLDER PICTURE --out large" in text and "samples.png" not in text
    assert PictureModel.from_pretrained(tmp_path / "up").config.task == Upscale(2)
