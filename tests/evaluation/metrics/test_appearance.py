"""The appearance of pictures: what the eye sees is counted, and what it does not see is not."""

import pytest
import torch

from noisette.data.pictures import Pictures
from noisette.diffusion.noise import make_generator
from noisette.evaluation.metrics.appearance import Appearance, alpha_shares

KIND = Pictures("RGBA", 16, 16)


def sprites(n: int, name: str) -> torch.Tensor:
    """Discs of one color on nothing, in model space."""
    g = make_generator(name)
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    center, radius = 7.5 + 2 * torch.randn(n, 2, 1, 1, generator=g), 3 + 3 * torch.rand(n, 1, 1, generator=g)
    alpha = (radius + 0.5 - ((x - center[:, 0]) ** 2 + (y - center[:, 1]) ** 2).sqrt()).clamp(0, 1)[:, None]
    color = 0.2 + 0.6 * torch.rand(n, 3, 1, 1, generator=g)
    return 2 * torch.cat([color * alpha, alpha], 1) - 1


@pytest.fixture(scope="module")
def reference() -> Appearance:
    return Appearance.of(KIND.decode(sprites(600, "train")), KIND.decode(sprites(200, "held out")))


def test_other_pictures_of_the_kind_are_within_tolerance(reference: Appearance) -> None:
    assert reference.distance(KIND.decode(sprites(600, "more"))).total < 1


@pytest.mark.parametrize(
    ("aspect", "spoil"),
    [
        ("alpha", lambda x: 0.97 * x),  # a cooled walk that stops short: nothing is clear, nothing opaque
        ("mean", lambda x: x + 0.1),
        ("contrast", lambda x: 0.8 * x),
        ("flat", lambda x: x + 0.03 * torch.randn(x.shape, generator=make_generator("grain"))),
        ("detail", lambda x: x + 0.2 * torch.randn(x.shape, generator=make_generator("noise"))),
        ("span", lambda x: x + 0.1 * torch.randn(x.shape, generator=make_generator("noise"))),
    ],
)
def test_each_kind_of_degradation_shows_in_its_aspect(reference: Appearance, aspect: str, spoil) -> None:
    good, bad = (reference.distance(KIND.decode(x)) for x in (sprites(600, "more"), spoil(sprites(600, "more"))))
    assert bad.aspects[aspect] > 1.5 > good.aspects[aspect] and bad.total > 2 * good.total
    assert f"{aspect} {bad.aspects[aspect]:.1f}" in str(bad)


def test_blur_does_not_count_as_detail(reference: Appearance) -> None:
    blurred = torch.nn.functional.avg_pool2d(sprites(600, "more"), 3, 1, 1)
    distance = reference.distance(KIND.decode(blurred))
    assert distance.aspects["detail"] == 0 and distance.aspects["alpha"] > 1


def test_shares_of_alpha() -> None:
    pixels = torch.tensor([0, 1, 8, 9, 246, 247, 254, 255], dtype=torch.uint8).reshape(1, 1, 2, 4)
    assert alpha_shares(torch.cat([pixels, pixels], 1)) == (1 / 8, 2 / 8, 2 / 8, 2 / 8, 1 / 8)


def test_opaque_pictures_have_no_alpha(reference: Appearance) -> None:
    opaque = KIND.decode(sprites(50, "more"))[:, :1]
    assert "alpha" not in Appearance.of(opaque, opaque).distance(opaque).aspects
