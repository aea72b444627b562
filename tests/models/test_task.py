"""Tasks: training examples, condition images, previews, JSON, and the errors for a wrong input picture."""

import pytest
import torch

from noisette.data.pictures import Pictures
from noisette.diffusion.condition import Condition
from noisette.diffusion.noise import Seeded, ShardedNoise, make_generator
from noisette.diffusion.operator import AveragePool
from noisette.errors import InputError
from noisette.models.config import from_json, to_json
from noisette.models.task import Draw, Segment, Task, Upscale, mask_as_picture
from noisette.training.recipes.presets import PRESETS
from noisette.training.recipes.recipe import Recipe, adapt_to_task

RGBA = Pictures("RGBA", 8, 12, ("a", "b"))
X = torch.rand(5, 4, 8, 12) * 2 - 1
LABELS = Condition(label=torch.tensor([0, 1, 0, 1, -1]))


def test_draw_keeps_pictures_and_condition() -> None:
    x0, cond = Draw().make_example(X, LABELS, Seeded(range(5)))
    assert x0 is X and cond is LABELS
    assert Draw().encode_cond_image(None, RGBA) is None and Draw().cond_channels(RGBA) == 0


@pytest.mark.parametrize("factor", [2, 4])
def test_upscale_condition_is_the_small_picture_and_its_noise_level(factor: int) -> None:
    task = Upscale(factor)
    x0, cond = task.make_example(X, LABELS)
    assert x0 is X and cond.label is LABELS.label and cond.image is not None
    assert cond.image.shape == (5, task.cond_channels(RGBA), 8, 12)
    torch.testing.assert_close(AveragePool(factor)(cond.image[:, :4]), AveragePool(factor)(X))
    assert (cond.image[:, 4] == -1).all()
    assert torch.equal(cond.image, task.encode_cond_image(AveragePool(factor)(X), RGBA))


def test_upscale_training_noise_has_the_stated_level() -> None:
    task, many = Upscale(2, augment=0.4), torch.zeros(4000, 4, 8, 8)
    image = task.make_example(many, Condition(), ShardedNoise(make_generator(0), 4000))[1].image
    assert image is not None
    levels = (image[:, 4, 0, 0] + 1) / 2 * 0.4
    assert levels.min() >= 0 and levels.max() <= 0.4
    assert levels.quantile(0.5) == pytest.approx(0.1, abs=0.01)  # u², u uniform
    small = AveragePool(2)(image[:, :4])
    z = small / levels[:, None, None, None]
    assert z.std() == pytest.approx(1.0, abs=0.01) and z.mean().abs() < 0.01


def test_training_noise_does_not_depend_on_how_a_batch_is_split() -> None:
    task = Upscale(2)
    whole = task.make_example(X, LABELS, ShardedNoise(make_generator(3), 5))[1].image
    parts = [
        task.make_example(X[s], LABELS[s], ShardedNoise(make_generator(3), 5, s))[1].image
        for s in (slice(0, 2), slice(2, 5))
    ]
    assert whole is not None and torch.equal(torch.cat([p for p in parts if p is not None]), whole)


def test_segment_target_is_the_mask_and_condition_the_picture() -> None:
    task = Segment().adapt_to_data(RGBA)
    layers = torch.cat([X, torch.full((5, 1, 8, 12), 1.0)], 1)
    x0, cond = task.make_example(layers, LABELS, Seeded(range(5)))
    assert torch.equal(x0, layers[:, 4:]) and cond.image is not None and torch.equal(cond.image, X)
    assert cond.label is None
    assert task.output_spec(RGBA) == Pictures("L", 8, 12) and task.cond_channels(task.output_spec(RGBA)) == 4
    assert task.given.labels == ()


def test_null_condition_keeps_the_image() -> None:
    cond = Upscale(2).make_example(X, LABELS)[1]
    gone = cond.null()
    assert (gone.label == -1).all() and torch.equal(gone.image, cond.image)


def test_consistency_error_compares_block_means() -> None:
    task, x = Upscale(2), torch.rand(3, 4, 8, 8) * 1.6 - 0.8
    image = task.encode_input(AveragePool(2)(x))
    assert task.consistency_error(image, x) < 1e-6
    assert task.consistency_error(image, x + 0.1) == pytest.approx(0.1, rel=1e-5)
    zero_mean = torch.tensor([[0.1, -0.1], [-0.1, 0.1]]).repeat(4, 4)  # in every block
    assert task.consistency_error(image, x + zero_mean) < 1e-6
    assert Segment().consistency_error(image, x) is None and Draw().consistency_error(image, x) is None


def test_previews_show_input_sample_and_truth() -> None:
    small = Pictures("RGBA", 8, 12)
    seen = Upscale(2).make_preview(small, X, torch.zeros_like(X))
    assert seen.shape == (5, 4, 8, 36) and torch.equal(seen[..., 24:], small.decode(X))
    task = Segment().adapt_to_data(RGBA)
    layers = torch.cat([X, torch.ones(5, 1, 8, 12)], 1)
    seen = task.make_preview(task.output_spec(RGBA), layers, -torch.ones(5, 1, 8, 12))
    assert seen.shape == (5, 4, 8, 36)
    assert (
        (seen[:, :3, :, 12:24] == 0).all() and (seen[:, :, :, 24:] == 255).all() and (seen[:, 3, :, 12:] == 255).all()
    )
    assert mask_as_picture(torch.zeros(1, 1, 8, 8, dtype=torch.uint8), Pictures("L", 8, 8)).shape == (1, 1, 8, 8)


@pytest.mark.parametrize("task", [Draw(), Upscale(4, 0.2), Segment(Pictures("LA", 9, 8))])
def test_json_round_trip(task: Task) -> None:
    assert from_json(Task, to_json(task)) == task


def test_a_recipe_has_input_channels_for_the_condition_image() -> None:
    plain = PRESETS["tiny"](RGBA, 0.5)
    recipe = adapt_to_task(plain, Upscale(2))
    assert recipe.model.net.in_channels == 9 and from_json(Recipe, to_json(recipe)) == recipe
    old = to_json(plain)
    del old["model"]["task"]  # as runs wrote it before there were tasks
    assert from_json(Recipe, old) == plain
    data = to_json(recipe)
    data["model"]["net"]["in_channels"] = 4
    with pytest.raises(InputError, match="Upscale needs a network with 9 input channels, got 4"):
        from_json(Recipe, data)


def test_segmentation_trains_at_noise_that_hides_the_mask() -> None:
    """A disc of 3 pixels can be seen at σ = 1: trained there, a network does not learn to use the input picture."""
    for name in ("tiny", "base"):
        plain = PRESETS[name](RGBA, 0.5)
        masks, larger, schedule = (
            adapt_to_task(plain, Segment().adapt_to_data(RGBA)),
            adapt_to_task(plain, Upscale(2)),
            plain.model.schedule,
        )
        noisy = [
            (schedule.ratio(recipe.training.times(schedule, 2000, torch.Generator().manual_seed(0))) > 3).float().mean()
            for recipe in (plain, larger, masks)
        ]
        assert noisy[0] < 0.06 < noisy[1] < 0.2 and noisy[2] > 0.8
        assert adapt_to_task(plain, Draw()).training == plain.training
    paper = PRESETS["ddpm-cifar10"](RGBA, 0.5)
    assert adapt_to_task(paper, Segment().adapt_to_data(RGBA)).training.times == paper.training.times


@pytest.mark.parametrize(
    ("task", "image", "message"),
    [
        (Draw(), X, "give it no input picture"),
        (Upscale(2), None, "6×4 2 times and needs one as input: noisette edit upscale MODEL PICTURE"),
        (Upscale(2), X, "RGBA pictures of 6×4 as input, got 4 channels and 12×8 pixels"),
        (Segment(), None, "noisette edit segment MODEL PICTURE"),
        (Segment(), X, "RGB pictures of 12×8"),
    ],
)
def test_wrong_input_pictures_are_refused(task: Task, image: torch.Tensor | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        task.encode_cond_image(image, RGBA)


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(InputError, match="factor must be 2 to 64, got 1"):
        Upscale(1)
    with pytest.raises(InputError, match="augment must be above 0"):
        Upscale(2, 0.0)
    with pytest.raises(InputError, match="--size 10x8"):
        Upscale(2).adapt_to_data(Pictures("RGB", 9, 11))
    with pytest.raises(InputError, match=r"noise_aug must be between 0 and 0\.5, got 0\.6"):
        Upscale(2).encode_input(X, 0.6)
