"""What a task makes of pictures, and what it says to who gives it none."""

import pytest
import torch

from noisette.condition import Condition
from noisette.config import from_json, to_json
from noisette.errors import InputError
from noisette.noise import Seeded, Shared, keyed
from noisette.operator import AveragePool
from noisette.pictures import Pictures
from noisette.presets import PRESETS
from noisette.recipe import Recipe, tasked
from noisette.task import Draw, Segment, Task, Upscale, like

RGBA = Pictures("RGBA", 8, 12, ("a", "b"))
X = torch.rand(5, 4, 8, 12) * 2 - 1
KNOWN = Condition(label=torch.tensor([0, 1, 0, 1, -1]))


def test_drawing_changes_nothing() -> None:
    x0, cond = Draw().pose(X, KNOWN, Seeded(range(5)))
    assert x0 is X and cond is KNOWN
    assert Draw().stack(None, RGBA) is None and Draw().stacked(RGBA) == 0


@pytest.mark.parametrize("factor", [2, 4])
def test_what_lies_under_is_the_small_picture_and_how_noisy_it_is(factor: int) -> None:
    task = Upscale(factor)
    x0, cond = task.pose(X, KNOWN)
    assert x0 is X and cond.label is KNOWN.label and cond.image is not None
    assert cond.image.shape == (5, task.stacked(RGBA), 8, 12)
    torch.testing.assert_close(AveragePool(factor)(cond.image[:, :4]), AveragePool(factor)(X))
    assert (cond.image[:, 4] == -1).all()
    assert torch.equal(cond.image, task.stack(AveragePool(factor)(X), RGBA))


def test_in_training_its_noise_is_what_it_says() -> None:
    task, many = Upscale(2, augment=0.4), torch.zeros(4000, 4, 8, 8)
    image = task.pose(many, Condition(), Shared(keyed(0), 4000))[1].image
    assert image is not None
    levels = (image[:, 4, 0, 0] + 1) / 2 * 0.4
    assert levels.min() >= 0 and levels.max() <= 0.4
    assert levels.quantile(0.5) == pytest.approx(0.1, abs=0.01)  # u², u uniform
    small = AveragePool(2)(image[:, :4])
    z = small / levels[:, None, None, None]
    assert z.std() == pytest.approx(1.0, abs=0.01) and z.mean().abs() < 0.01


def test_the_noise_of_a_batch_does_not_depend_on_how_it_is_shared() -> None:
    task = Upscale(2)
    whole = task.pose(X, KNOWN, Shared(keyed(3), 5))[1].image
    parts = [task.pose(X[s], KNOWN[s], Shared(keyed(3), 5, s))[1].image for s in (slice(0, 2), slice(2, 5))]
    assert whole is not None and torch.equal(torch.cat([p for p in parts if p is not None]), whole)


def test_a_mask_is_learned_and_its_picture_told() -> None:
    task = Segment().of(RGBA)
    layers = torch.cat([X, torch.full((5, 1, 8, 12), 1.0)], 1)
    x0, cond = task.pose(layers, KNOWN, Seeded(range(5)))
    assert torch.equal(x0, layers[:, 4:]) and cond.image is not None and torch.equal(cond.image, X)
    assert cond.label is None
    assert task.drawn(RGBA) == Pictures("L", 8, 12) and task.stacked(task.drawn(RGBA)) == 4
    assert task.given.labels == ()


def test_an_image_is_never_forgotten() -> None:
    cond = Upscale(2).pose(X, KNOWN)[1]
    gone = cond.null()
    assert (gone.label == -1).all() and torch.equal(gone.image, cond.image)


def test_what_was_enlarged_is_as_far_off_as_its_blocks_are() -> None:
    task, x = Upscale(2), torch.rand(3, 4, 8, 8) * 1.6 - 0.8
    image = task.image(AveragePool(2)(x))
    assert task.off(image, x) < 1e-6
    assert task.off(image, x + 0.1) == pytest.approx(0.1, rel=1e-5)
    turned = torch.tensor([[0.1, -0.1], [-0.1, 0.1]]).repeat(4, 4)  # the mean of a block stays
    assert task.off(image, x + turned) < 1e-6
    assert Segment().off(image, x) is None and Draw().off(image, x) is None


def test_runs_show_what_was_given_what_was_drawn_and_the_truth() -> None:
    small = Pictures("RGBA", 8, 12)
    seen = Upscale(2).shown(small, X, torch.zeros_like(X))
    assert seen.shape == (5, 4, 8, 36) and torch.equal(seen[..., 24:], small.decode(X))
    task = Segment().of(RGBA)
    layers = torch.cat([X, torch.ones(5, 1, 8, 12)], 1)
    seen = task.shown(task.drawn(RGBA), layers, -torch.ones(5, 1, 8, 12))
    assert seen.shape == (5, 4, 8, 36)
    assert (
        (seen[:, :3, :, 12:24] == 0).all() and (seen[:, :, :, 24:] == 255).all() and (seen[:, 3, :, 12:] == 255).all()
    )
    assert like(torch.zeros(1, 1, 8, 8, dtype=torch.uint8), Pictures("L", 8, 8)).shape == (1, 1, 8, 8)


@pytest.mark.parametrize("task", [Draw(), Upscale(4, 0.2), Segment(Pictures("LA", 9, 8))])
def test_tasks_are_kept_as_json(task: Task) -> None:
    assert from_json(Task, to_json(task)) == task


def test_a_recipe_makes_room_for_what_lies_under() -> None:
    plain = PRESETS["tiny"](RGBA, 0.5)
    recipe = tasked(plain, Upscale(2))
    assert recipe.model.net.in_channels == 9 and from_json(Recipe, to_json(recipe)) == recipe
    old = to_json(plain)
    del old["model"]["task"]  # as runs wrote it before there were tasks
    assert from_json(Recipe, old) == plain
    data = to_json(recipe)
    data["model"]["net"]["in_channels"] = 4
    with pytest.raises(InputError, match="Upscale needs a network of 9 input channels, and this one has 4"):
        from_json(Recipe, data)


def test_masks_are_learned_where_x_t_does_not_show_them() -> None:
    """A disc of 3 pixels is seen through noise of σ = 1: a network that is asked there learns nothing of pictures."""
    for name in ("tiny", "base"):
        plain = PRESETS[name](RGBA, 0.5)
        masks, larger, schedule = tasked(plain, Segment().of(RGBA)), tasked(plain, Upscale(2)), plain.model.schedule
        noisy = [
            (schedule.ratio(recipe.training.times(schedule, 2000, torch.Generator().manual_seed(0))) > 3).float().mean()
            for recipe in (plain, larger, masks)
        ]
        assert noisy[0] < 0.06 < noisy[1] < 0.2 and noisy[2] > 0.8
        assert tasked(plain, Draw()).training == plain.training
    paper = PRESETS["ddpm-cifar10"](RGBA, 0.5)
    assert tasked(paper, Segment().of(RGBA)).training.times == paper.training.times


@pytest.mark.parametrize(
    ("task", "given", "said"),
    [
        (Draw(), X, "give it no picture"),
        (Upscale(2), None, "6×4 2 times as large and needs one: noisette edit upscale MODEL PICTURE"),
        (Upscale(2), X, "RGBA pictures of 6×4, and this one has 4 channels and 12×8 pixels"),
        (Segment(), None, "noisette edit segment MODEL PICTURE"),
        (Segment(), X, "RGB pictures of 12×8"),
    ],
)
def test_what_it_says_to_the_wrong_picture(task: Task, given: torch.Tensor | None, said: str) -> None:
    with pytest.raises(InputError, match=said.replace("(", r"\(")):
        task.stack(given, RGBA)


def test_tasks_that_cannot_be() -> None:
    with pytest.raises(InputError, match="factor is 2 or more"):
        Upscale(1)
    with pytest.raises(InputError, match="give above 0"):
        Upscale(2, 0.0)
    with pytest.raises(InputError, match="--size 10x8"):
        Upscale(2).of(Pictures("RGB", 9, 11))
    with pytest.raises(InputError, match="more than this model knows"):
        Upscale(2).image(X, 0.6)
