"""Cascades: sizes, one picture per seed, labels, and the stated noise level."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from noisette.errors import InputError
from noisette.models.picture_model import PictureModel
from noisette.models.task import Draw, Task, Upscale
from noisette.report.card import save_with_card
from noisette.sampling.cascade import Cascade
from noisette.sampling.generate import final_samples, generate
from noisette.sampling.lineage import NoiseLineage
from noisette.sampling.request import Helpers, make_request
from noisette.sampling.run import draw_request
from tiny_models import LABELS, tiny


def posed(task: Task, side: int, seed: int = 0, labels: tuple[str, ...] = LABELS) -> PictureModel:
    """A model of random weights that is given what the task gives."""
    config = tiny("RGBA", labels, side, side).config
    extra = task.cond_channels(config.pictures)
    config = replace(config, task=task, net=replace(config.net, in_channels=4 + extra))
    model = PictureModel(config)
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2, generator=generator)
    return model.eval().requires_grad_(False)


def sample_cascade(base, upscalers, seeds, label=None, noise_aug=None) -> torch.Tensor:
    helpers, lineages = Helpers(upscalers=tuple(upscalers)), [NoiseLineage(seed) for seed in seeds]
    request = make_request(base, label=[label], lineages=lineages, noise_aug=noise_aug, helpers=helpers)
    return draw_request(base, request, helpers)


@pytest.fixture(scope="module")
def models() -> tuple[PictureModel, PictureModel, PictureModel]:
    return posed(Draw(), 8), posed(Upscale(2), 16, 1), posed(Upscale(2), 32, 2)


def test_it_ends_at_the_last_size(models) -> None:
    base, up, last = models
    for then, side in (((), 8), ((up,), 16), ((up, last), 32)):
        pixels = sample_cascade(base, then, range(2), "sword")
        assert pixels.shape == (2, 4, side, side) and pixels.dtype == torch.uint8


def test_a_picture_depends_on_its_seed_alone(models) -> None:
    base, up, _ = models
    together = sample_cascade(base, [up], range(3))
    alone = torch.cat([sample_cascade(base, [up], [seed]) for seed in range(3)])
    assert (together.int() - alone.int()).abs().max() <= 1
    assert not torch.equal(together[0], together[1])


def test_an_upscaled_sample_depends_on_the_base_sample_and_its_noise(models) -> None:
    base, up, _ = models
    plain = sample_cascade(base, [up], [0])
    assert not torch.equal(sample_cascade(base, [up], [0], noise_aug=0.4), plain)
    other = posed(Draw(), 8, seed=9)
    assert not torch.equal(sample_cascade(other, [up], [0]), plain)
    assert torch.equal(sample_cascade(base, [up], [0]), plain)


def test_labels_are_passed_to_upscalers_with_the_same_labels(models) -> None:
    base, up, _ = models
    grid = base.grid()
    x = final_samples(generate(base, [0], base.condition("sword"), base.sampler(), grid), grid)
    with_label, without_label = (Cascade((up,)).upscale(base, x, [0], [label]) for label in ("sword", None))
    assert not torch.equal(with_label, without_label)
    without = posed(Upscale(2), 16, 1, labels=())
    a, b = (Cascade((without,)).upscale(base, x, [0], [label]) for label in ("sword", None))
    assert torch.equal(a, b)
    unlabeled = posed(Draw(), 8, labels=())  # a label that a classifier alone knows
    Cascade((without,)).upscale(unlabeled, x, [0], ["sword"])


def test_models_that_do_not_follow_each_other(models) -> None:
    base, up, last = models
    for then, level, message in (
        ((last,), 0.1, "of RGBA pictures of 16×16 cannot follow a model of RGBA pictures of 8×8"),
        ((up, base), 0.1, "got one of task Draw"),
        ((up,), 0.7, "noise_aug must be between 0 and 0.5, which the upscaler was trained with, got 0.7"),
    ):
        with pytest.raises(InputError, match=message):
            Cascade(then, level).validate(base)


def test_an_upscaler_has_a_card_without_samples(models, tmp_path: Path) -> None:
    save_with_card(models[1], tmp_path / "up")
    text = (tmp_path / "up" / "README.md").read_text("utf8")
    assert "noisette edit upscale FOLDER PICTURE --out large" in text and "samples.png" not in text
    assert PictureModel.from_pretrained(tmp_path / "up").config.task == Upscale(2)
