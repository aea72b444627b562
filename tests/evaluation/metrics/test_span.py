"""What lies outside of a set of pictures: nothing of its own, and of noise what its deviation says."""

import pytest
import torch

from noisette.diffusion.noise import make_generator
from noisette.evaluation.metrics.distribution import PCASubspace


def bars(n: int, seed: str) -> torch.Tensor:
    """Gray pictures that a plane of two directions holds: a brightness on the left, another on the right."""
    two = torch.randint(40, 216, (n, 1, 1, 2), generator=make_generator(seed), dtype=torch.uint8)
    return two.repeat_interleave(4, 3).expand(n, 1, 8, 8).contiguous()


def test_pictures_of_the_same_kind_lie_inside():
    span = PCASubspace.fit(bars(50, "one"))
    assert span.components.shape == (64, 2)
    assert span.residual_rms(bars(20, "other")) < 1e-9


def test_noise_has_a_residual_outside_the_subspace():
    span, clean = PCASubspace.fit(bars(50, "one")), bars(200, "other")
    noisy = (clean + 10 * torch.randn(clean.shape, generator=make_generator("noise"))).round().to(torch.uint8)
    assert span.residual_rms(noisy) == pytest.approx(10 / 255 * (62 / 64) ** 0.5, rel=0.03)


def test_fewer_pictures_than_pixels_and_pictures_that_are_all_alike():
    few = torch.randint(0, 256, (3, 4, 8, 8), generator=make_generator("few"), dtype=torch.uint8)
    assert PCASubspace.fit(few).residual_rms(few) < 0.05
    alike = few[:1].expand(5, -1, -1, -1)
    assert PCASubspace.fit(alike).residual_rms(alike) < 1e-9
