"""How a walk is led: away from a label, from an earlier self, towards a color; and what a picture says of it."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import noisette
from noisette.data.pictures import Pictures
from noisette.diffusion.denoiser import Denoiser
from noisette.diffusion.guidance import Clipped, GradientGuided, Guided
from noisette.diffusion.sampler import DDIM
from noisette.errors import InputError
from noisette.models.codec import Codec
from noisette.models.config import from_json, to_json
from noisette.sampling.color import color_log_prob, parse_colors
from noisette.sampling.generate import GradientTerm, Guidance, build_denoiser, final_samples, generate
from noisette.sampling.record import SampleRecord
from noisette.sampling.request import make_request
from noisette.sampling.run import reproduce
from noisette.sampling.steering import (
    GuidanceModels,
    Steering,
    build_guidance,
    load_autoguidance_snapshot,
    select_model_labels,
)
from tiny_models import make_classifier, tiny

X = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(3))
T = torch.tensor(0.01, dtype=torch.float64)


def same(one: Denoiser, other: Denoiser) -> None:
    torch.testing.assert_close(one(X, T).x0, other(X, T).x0, rtol=1e-5, atol=1e-6)


def test_it_is_the_plain_composition() -> None:
    model, other = tiny(), tiny(seed=1)
    cond, negative = model.condition("sword", 2), model.condition("bread", 2)
    wanted, null, away = model.given(cond), model.given(cond.null()), other.given(cond)
    same(build_denoiser(model, cond, 2.0), Clipped(Guided(wanted, null, 2.0)))
    same(build_denoiser(model, cond, Guidance(2.0, rescale=0.7)), Clipped(Guided(wanted, null, 2.0, rescale=0.7)))
    same(
        build_denoiser(model, cond, Guidance(2.0, negative=negative)),
        Clipped(Guided(wanted, model.given(negative), 2.0)),
    )
    same(build_denoiser(model, cond, Guidance(2.0, guide_model=other)), Clipped(Guided(wanted, away, 2.0)))
    both = Guidance(2.0, negative=negative, guide_model=other)
    same(build_denoiser(model, cond, both), Clipped(Guided(wanted, other.given(negative), 2.0)))
    red = color_log_prob(parse_colors(["#ff0000"], model.pictures), model.codec)
    same(
        build_denoiser(model, cond, Guidance(2.0, gradient_terms=(GradientTerm(lambda rows: red, 9.0),))),
        Clipped(GradientGuided(Guided(wanted, null, 2.0), red, 9.0)),
    )


def test_an_early_snapshot_guides_a_model_without_labels() -> None:
    model, other = tiny(labels=()), tiny(labels=(), seed=1)
    same(
        build_denoiser(model, None, Guidance(2.0, guide_model=other)),
        Clipped(Guided(model.given(), other.given(), 2.0)),
    )


def test_each_image_is_guided_to_its_own_label_in_any_batch() -> None:
    """By a classifier, and away from a label: a batch of two, or one after the other."""
    model, names = tiny(), ["sword", None, "bread"]
    guides = GuidanceModels(classifier=make_classifier(model))
    how = build_guidance(
        model, names, 2.0, steering=Steering(negative="bread:1,sword:1", classifier_scale=3.0), models=guides
    )
    grid, cond = model.grid(3), model.condition(names, 3)
    drawn = [final_samples(generate(model, [1, 2, 3], cond, DDIM(), grid, how, batch), grid) for batch in (3, 2, 1)]
    for other in drawn[1:]:
        torch.testing.assert_close(drawn[0], other, atol=1e-3, rtol=0)
    plain = build_guidance(model, names, 2.0, steering=Steering(negative="bread:1,sword:1"))
    without = final_samples(generate(model, [1, 2, 3], cond, DDIM(), grid, plain, 3), grid)
    moved = (without - drawn[0]).flatten(1).abs().amax(1)
    assert moved[1] < 1e-3 and moved[0] > 1e-2 and moved[2] > 1e-2  # what has no label is not led


def test_guidance_models_must_have_the_requested_labels() -> None:
    model = tiny()
    with pytest.raises(InputError, match="must have the model's labels"):
        build_guidance(model, ["sword"], 2.0, models=GuidanceModels(guide_model=tiny(labels=("x", "bread", "y"))))
    config = {"attributes": ("hue",), "means": (0.5,), "scales": (0.2,)}
    with pytest.raises(InputError, match="must have the model's labels"):
        build_guidance(
            tiny(**config), ["sword"], 2.0, models=GuidanceModels(guide_model=tiny(**(config | {"means": (0.1,)})))
        )
    build_guidance(model, ["sword"], 2.0, models=GuidanceModels(guide_model=tiny(seed=1)))
    classifier = make_classifier(model, ("red", "bread"))
    assert select_model_labels(model, ["red", "sword", "bread", "bread:1,sword:1", None], classifier) == (
        None, "sword", "bread", "bread:1,sword:1", None,
    )  # fmt: skip
    assert (
        select_model_labels(model, ["red"], classifier) is None
        and select_model_labels(tiny(labels=()), ["red", "red:1,bread:1"], classifier) is None
    )
    with pytest.raises(InputError, match="blue"):
        model.condition(select_model_labels(model, ["blue"], classifier), 1)


def test_guidance_at_a_single_time_is_reproduced() -> None:
    """If the requested part of the trajectory is shorter than a step."""
    model = tiny()
    grid = model.grid()
    at = float(grid[1])
    origin = SampleRecord(
        model=model.hash,
        seed=3,
        label="sword",
        sampler="ddim",
        grid="karras",
        steps=4,
        guidance=3.0,
        batch=1,
        interval=(at, at),
    )
    how = build_guidance(model, ["sword"], 3.0, (at, at))
    drawn = final_samples(
        generate(model, [3], model.condition("sword"), DDIM(), model.grid(4, "karras"), how), model.grid(4)
    )
    assert torch.equal(reproduce(model, origin), drawn)


def test_the_classifier_reads_a_mixture_by_its_weights() -> None:
    made = make_classifier(tiny())
    values = made.log_prob(["bread:1,sword:3", None], 2)(X, X, T)
    logs = made(X, T).log_softmax(1)
    torch.testing.assert_close(values, torch.stack([0.25 * logs[0, 0] + 0.75 * logs[0, 2], torch.tensor(0.0)]))
    with pytest.raises(InputError, match="did you mean 'sword'"):
        made.log_prob("swrod")


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_color_log_prob_is_greatest_at_the_target(mode) -> None:
    """A picture of the color, or of the palette, half transparent where it may be, is at the top: 0 and no slope."""
    pictures = Pictures(mode, 8, 8)
    colors = parse_colors(["#ff8000", "#0040c0"], pictures)
    assert colors.shape == (2, 1 if mode.startswith("L") else 3)
    for wanted in (colors[:1], colors):
        own = wanted[torch.arange(64) % len(wanted)].T.reshape(1, -1, 8, 8)
        alpha = torch.full((1, 1, 8, 8), 0.5)
        light = torch.cat([own * alpha, alpha], 1) if pictures.has_alpha else own
        log_prob, x0 = color_log_prob(wanted, Codec(pictures)), (2 * light - 1).requires_grad_()
        value = log_prob(x0, x0, T)
        (slope,) = torch.autograd.grad(value.sum(), x0)
        assert value.item() == pytest.approx(0, abs=1e-9) and slope.abs().max() < 1e-6
        white = torch.ones(2, pictures.channels, 8, 8)
        assert (log_prob(white, white, T) < -0.01).all()


def test_a_palette_is_not_matched_by_lowering_alpha() -> None:
    """Off its colors, a picture is pulled towards them, and no pixel becomes more transparent."""
    pictures = Pictures("RGBA", 8, 8)
    log_prob = color_log_prob(parse_colors(["#000000", "#ffffff"], pictures), Codec(pictures))
    x0 = torch.full((1, 4, 8, 8), 1.0)
    x0[:, 1:3] = -1  # red
    x0.requires_grad_()
    (slope,) = torch.autograd.grad(log_prob(x0, x0, T).sum(), x0)
    assert (slope[:, 3] == 0).all() and (slope[:, 0] < 0).all()  # towards black, the nearer of the two


def test_the_mean_of_what_shows_is_what_counts() -> None:
    """Clear pixels have no color: the same disc on more of nothing is as red."""
    pictures, few = Pictures("RGBA", 8, 8), torch.full((1, 4, 8, 8), -1.0)
    few[0, 0, :2], few[0, 3, :2] = 1, 1
    assert color_log_prob(parse_colors(["#ff0000"], pictures), Codec(pictures))(few, few, T).item() == pytest.approx(0)


def test_colors_as_people_write_them() -> None:
    for text in ("red", "#ff80", "#ff80zz"):
        with pytest.raises(InputError, match="write it like #ff8000"):
            parse_colors([text], Pictures())
    with pytest.raises(InputError, match="1 to 256 colors, got 257"):
        parse_colors(["#000000"] * 257, Pictures())


def test_a_picture_is_drawn_again_with_the_models_that_helped(tmp_path: Path) -> None:
    """To the last bit; the early snapshot is found in the run folder, any other is to be given."""
    tiny().save_pretrained(tmp_path / "run" / "model")
    tiny(seed=1).save_pretrained(tmp_path / "run" / "early")
    model, away, reader = (
        noisette.load(tmp_path / "run"),
        noisette.load(tmp_path / "run" / "early"),
        make_classifier(tiny()),
    )
    assert (
        (found := load_autoguidance_snapshot(model)) is not None
        and found.hash == away.hash
        and load_autoguidance_snapshot(tiny()) is None
    )
    guides = GuidanceModels(away, reader)
    led = Steering(0.5, "bread", *guides.hashes, 2.0, ("#ff0000", "#00ff00"), 30.0)
    grid, labels = model.grid(2), ["sword"] * 2
    how = build_guidance(model, labels, 2.0, (0.001, 0.9), led, guides)
    drawn = final_samples(generate(model, [4, 5], model.condition(labels, 2), DDIM(), grid, how), grid)
    origin = SampleRecord(
        model=model.hash,
        seed=5,
        label="sword",
        sampler="ddim",
        grid="karras",
        steps=2,
        guidance=2.0,
        batch=2,
        interval=(0.001, 0.9),
        steering=led,
    )
    origin = from_json(SampleRecord, to_json(origin))
    assert torch.equal(reproduce(model, origin, GuidanceModels(classifier=reader))[0], drawn[1])
    assert torch.equal(reproduce(model, origin, guides)[0], drawn[1])
    plain = replace(origin, steering=Steering())
    for wrong, one, reason in (
        (GuidanceModels(away), origin, "with the classifier"),
        (GuidanceModels(tiny(seed=2), reader), origin, "with the guide model"),
        (guides, plain, "without a guide model"),
        (GuidanceModels(classifier=reader), plain, "without a classifier"),
    ):
        with pytest.raises(InputError, match=reason):
            reproduce(model, one, wrong)


def test_what_does_not_go_together_is_refused() -> None:
    model = tiny()
    for guides, reason in (
        (GuidanceModels(tiny(height=16)), "of the model's mode and size"),
        (GuidanceModels(classifier=make_classifier(tiny(height=16, width=16))), "of the model's mode and size"),
    ):
        with pytest.raises(InputError, match=reason):
            build_guidance(model, ["sword"], 2.0, models=guides)
    for interval in ((0.5, 0.2), (-0.1, 0.5), (0.5, 1.5)):
        with pytest.raises(InputError, match="0 ≤ A ≤ B ≤ 1"):
            make_request(model, 1, "sword", guidance=2.0, guidance_interval=interval)
