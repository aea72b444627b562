"""How a walk is led: away from a label, from an earlier self, towards a colour; and what a picture says of it."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import noisette
from noisette.config import from_json, to_json
from noisette.denoiser import Denoiser
from noisette.edit.colour import colours, towards, written
from noisette.edit.generate import Guidance, Pull, ends, generate, steered
from noisette.edit.origin import Origin, again
from noisette.edit.steering import Aides, Steering, asked, early, guidance_of
from noisette.errors import InputError
from noisette.guidance import Clipped, GradientGuided, Guided
from noisette.pictures import Pictures
from noisette.sampler import DDIM
from tiny_models import judge_of, tiny

X = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(3))
T = torch.tensor(0.01, dtype=torch.float64)


def same(one: Denoiser, other: Denoiser) -> None:
    torch.testing.assert_close(one(X, T).x0, other(X, T).x0, rtol=1e-5, atol=1e-6)


def test_it_is_the_plain_composition() -> None:
    model, other = tiny(), tiny(seed=1)
    cond, negative = model.condition("sword", 2), model.condition("bread", 2)
    wanted, null, away = model.given(cond), model.given(cond.null()), other.given(cond)
    same(steered(model, cond, 2.0), Clipped(Guided(wanted, null, 2.0)))
    same(steered(model, cond, Guidance(2.0, rescale=0.7)), Clipped(Guided(wanted, null, 2.0, rescale=0.7)))
    same(steered(model, cond, Guidance(2.0, negative=negative)), Clipped(Guided(wanted, model.given(negative), 2.0)))
    same(steered(model, cond, Guidance(2.0, away=other)), Clipped(Guided(wanted, away, 2.0)))
    both = Guidance(2.0, negative=negative, away=other)
    same(steered(model, cond, both), Clipped(Guided(wanted, other.given(negative), 2.0)))
    red = towards(colours(["#ff0000"], model.pictures), model.pictures)
    same(
        steered(model, cond, Guidance(2.0, pulls=(Pull(lambda rows: red, 9.0),))),
        Clipped(GradientGuided(Guided(wanted, null, 2.0), red, 9.0)),
    )


def test_an_earlier_self_guides_a_model_without_labels() -> None:
    model, other = tiny(labels=()), tiny(labels=(), seed=1)
    same(steered(model, None, Guidance(2.0, away=other)), Clipped(Guided(model.given(), other.given(), 2.0)))


def test_each_image_is_led_to_its_own_label_in_any_batch() -> None:
    """By a classifier, and away from a label: a batch of two, or one after the other."""
    model, names = tiny(), ["sword", None, "bread"]
    aides = Aides(classifier=judge_of(model))
    how = guidance_of(
        model, names, 2.0, steering=Steering(negative="bread:1,sword:1", classifier_scale=3.0), aides=aides
    )
    grid, cond = model.grid(3), model.condition(names, 3)
    drawn = [ends(generate(model, [1, 2, 3], cond, DDIM(), grid, how, batch), grid) for batch in (3, 2, 1)]
    for other in drawn[1:]:
        torch.testing.assert_close(drawn[0], other, atol=1e-3, rtol=0)
    plain = guidance_of(model, names, 2.0, steering=Steering(negative="bread:1,sword:1"))
    without = ends(generate(model, [1, 2, 3], cond, DDIM(), grid, plain, 3), grid)
    moved = (without - drawn[0]).flatten(1).abs().amax(1)
    assert moved[1] < 1e-3 and moved[0] > 1e-2 and moved[2] > 1e-2  # what has no label is not led


def test_what_helps_must_understand_what_is_asked() -> None:
    model = tiny()
    with pytest.raises(InputError, match="must know the same labels"):
        guidance_of(model, ["sword"], 2.0, aides=Aides(away=tiny(labels=("x", "bread", "y"))))
    told = {"attributes": ("hue",), "means": (0.5,), "scales": (0.2,)}
    with pytest.raises(InputError, match="must know the same labels"):
        guidance_of(tiny(**told), ["sword"], 2.0, aides=Aides(away=tiny(**(told | {"means": (0.1,)}))))
    guidance_of(model, ["sword"], 2.0, aides=Aides(away=tiny(seed=1)))
    judge = judge_of(model, ("red", "bread"))
    assert asked(model, ["red", "sword", "bread", "bread:1,sword:1", None], judge) == (
        None, "sword", "bread", "bread:1,sword:1", None,
    )  # fmt: skip
    assert asked(model, ["red"], judge) is None and asked(tiny(labels=()), ["red", "red:1,bread:1"], judge) is None
    with pytest.raises(InputError, match="blue"):
        model.condition(asked(model, ["blue"], judge), 1)


def test_guidance_at_one_moment_is_drawn_again() -> None:
    """Where a share of the walk was asked for that is less than a step."""
    model = tiny()
    grid = model.grid()
    at = float(grid[1])
    origin = Origin(model.hash, 3, "sword", "ddim", "karras", 4, 3.0, 1, interval=(at, at))
    how = guidance_of(model, ["sword"], 3.0, (at, at))
    drawn = ends(generate(model, [3], model.condition("sword"), DDIM(), model.grid(4, "karras"), how), model.grid(4))
    assert torch.equal(again(model, origin), drawn)


def test_the_classifier_reads_a_mixture_by_its_weights() -> None:
    made = judge_of(tiny())
    told = made.log_prob(["bread:1,sword:3", None], 2)(X, X, T)
    logs = made(X, T).log_softmax(1)
    torch.testing.assert_close(told, torch.stack([0.25 * logs[0, 0] + 0.75 * logs[0, 2], torch.tensor(0.0)]))
    with pytest.raises(InputError, match="did you mean 'sword'"):
        made.log_prob("swrod")


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_a_wish_for_colours_is_greatest_where_it_is_fulfilled(mode) -> None:
    """A picture of the colour, or of the palette, half transparent where it may be, is at the top: 0 and no slope."""
    pictures = Pictures(mode, 8, 8)
    asked = colours(["#ff8000", "#0040c0"], pictures)
    assert asked.shape == (2, 1 if mode.startswith("L") else 3)
    for wanted in (asked[:1], asked):
        own = wanted[torch.arange(64) % len(wanted)].T.reshape(1, -1, 8, 8)
        alpha = torch.full((1, 1, 8, 8), 0.5)
        light = torch.cat([own * alpha, alpha], 1) if pictures.has_alpha else own
        wish, x0 = towards(wanted, pictures), (2 * light - 1).requires_grad_()
        value = wish(x0, x0, T)
        (slope,) = torch.autograd.grad(value.sum(), x0)
        assert value.item() == pytest.approx(0, abs=1e-9) and slope.abs().max() < 1e-6
        white = torch.ones(2, pictures.channels, 8, 8)
        assert (wish(white, white, T) < -0.01).all()


def test_a_palette_is_not_met_by_fading() -> None:
    """Off its colours, a picture is pulled towards them, and no pixel becomes more transparent."""
    pictures = Pictures("RGBA", 8, 8)
    wish = towards(colours(["#000000", "#ffffff"], pictures), pictures)
    x0 = torch.full((1, 4, 8, 8), 1.0)
    x0[:, 1:3] = -1  # red
    x0.requires_grad_()
    (slope,) = torch.autograd.grad(wish(x0, x0, T).sum(), x0)
    assert (slope[:, 3] == 0).all() and (slope[:, 0] < 0).all()  # towards black, the nearer of the two


def test_the_mean_of_what_shows_is_what_counts() -> None:
    """Clear pixels have no colour: the same disc on more of nothing is as red."""
    pictures, few = Pictures("RGBA", 8, 8), torch.full((1, 4, 8, 8), -1.0)
    few[0, 0, :2], few[0, 3, :2] = 1, 1
    assert towards(colours(["#ff0000"], pictures), pictures)(few, few, T).item() == pytest.approx(0)


def test_colours_as_people_write_them() -> None:
    assert written(torch.tensor([[255, 128, 0], [0, 0, 1], [255, 128, 0]]).float()) == ("#000001", "#ff8000")
    for text in ("red", "#ff80", "#ff80zz"):
        with pytest.raises(InputError, match="write it like #ff8000"):
            colours([text], Pictures())
    with pytest.raises(InputError, match="1 to 256 colours"):
        colours(["#000000"] * 257, Pictures())


def test_a_picture_is_drawn_again_with_the_models_that_helped(tmp_path: Path) -> None:
    """To the last bit; the early snapshot is found in the run folder, any other is to be given."""
    tiny().save_pretrained(tmp_path / "run" / "model")
    tiny(seed=1).save_pretrained(tmp_path / "run" / "early")
    model, away, reader = noisette.load(tmp_path / "run"), noisette.load(tmp_path / "run" / "early"), judge_of(tiny())
    assert (found := early(model)) is not None and found.hash == away.hash and early(tiny()) is None
    aides = Aides(away, reader)
    led = Steering(0.5, "bread", *aides.hashes, 2.0, ("#ff0000", "#00ff00"), 30.0)
    grid, labels = model.grid(2), ["sword"] * 2
    how = guidance_of(model, labels, 2.0, (0.001, 0.9), led, aides)
    drawn = ends(generate(model, [4, 5], model.condition(labels, 2), DDIM(), grid, how), grid)
    origin = Origin(model.hash, 5, "sword", "ddim", "karras", 2, 2.0, 2, interval=(0.001, 0.9), steering=led)
    origin = from_json(Origin, to_json(origin))
    assert torch.equal(again(model, origin, Aides(classifier=reader))[0], drawn[1])
    assert torch.equal(again(model, origin, aides)[0], drawn[1])
    plain = replace(origin, steering=Steering())
    for wrong, one, reason in (
        (Aides(away), origin, "with the classifier"),
        (Aides(tiny(seed=2), reader), origin, "with the model to go away from"),
        (aides, plain, "without a model to go away from"),
        (Aides(classifier=reader), plain, "without a classifier"),
    ):
        with pytest.raises(InputError, match=reason):
            again(model, one, wrong)


def test_what_does_not_go_together_is_refused() -> None:
    model = tiny()
    for aides, reason in (
        (Aides(tiny(height=16)), "of one mode and one size"),
        (Aides(classifier=judge_of(tiny(height=16, width=16))), "of one mode and one size"),
    ):
        with pytest.raises(InputError, match=reason):
            guidance_of(model, ["sword"], 2.0, aides=aides)
    for interval in ((0.5, 0.2), (-0.1, 0.5), (0.5, 1.5)):
        with pytest.raises(InputError, match="is never"):
            guidance_of(model, ["sword"], 2.0, interval)
