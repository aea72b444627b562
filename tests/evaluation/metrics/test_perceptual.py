"""The distance of feature maps."""

import pytest
import torch

from noisette.data.pictures import Pictures
from noisette.evaluation.metrics.perceptual import PerceptualDistance

pytest.importorskip("efficientnet_lite_pytorch")


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_blur_costs_more_than_a_change_of_brightness(mode) -> None:
    """Of the same mean squared error: what LPIPS was made for."""
    pictures = Pictures(mode, 32, 32)
    y, x = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    checks = (((x // 2 + y // 2) % 2).float() - 0.5).expand(1, pictures.channels, -1, -1).clone()
    if pictures.has_alpha:
        checks[:, -1] = 1
    distance = PerceptualDistance(pictures)
    flat = torch.nn.functional.avg_pool2d(checks, 5, stride=1, padding=2, count_include_pad=False)
    shift = (flat - checks).square().mean().sqrt()
    brighter = checks.clone()
    brighter[:, : pictures.channels - pictures.has_alpha] += shift
    assert distance(checks, checks).item() == 0
    assert distance(checks, flat).item() > 2 * distance(checks, brighter).item() > 0


def test_it_is_differentiable_and_learns_nothing() -> None:
    distance, a = PerceptualDistance(Pictures("RGB", 16, 16)), torch.zeros(2, 3, 16, 16, requires_grad=True)
    distance(a, torch.rand(2, 3, 16, 16)).backward()
    assert a.grad is not None and a.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in distance.parameters())
