"""The number of threads changes no bit of a training step in fp32, where the kernels are."""

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from noisette.nn.conv import Conv3x3, StridedConv3x3
from noisette.nn.kernels.library import get_build
from noisette.training.plan import TrainOptions, build_recipe
from noisette.training.trial_step import TrialStep

pytestmark = pytest.mark.skipif(get_build().library is None, reason="there are no kernels here")


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


LAYERS = {
    "3 to 32": (Conv3x3(3, 32), (9, 7)),
    "32 to 4": (Conv3x3(32, 4), (8, 8)),
    "stride 2": (StridedConv3x3(32, 32, padding=1), (8, 8)),
    "stride 2, odd size": (StridedConv3x3(16, 16, padding=1), (9, 7)),
    "stride 2, padded by the caller": (StridedConv3x3(20, 20, padding=0), (9, 9)),
}


@pytest.mark.parametrize(("layer", "size"), LAYERS.values(), ids=LAYERS.keys())
def test_gradients_of_convolutions_by_pytorch(layer: nn.Conv2d, size: tuple[int, int]) -> None:
    """Against float64, and with one thread, two and three.

    That of x is oneDNN's, which for some shapes and processors sums in another order with three: a run with as many is
    reported by `TrialStep.is_same_with`, and keeps its number of threads.
    """
    x = torch.randn(16, layer.in_channels, *size, requires_grad=True)
    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        y = layer(x)
        weights = torch.linspace(0, 1, y.numel()).view_as(y)
        found.append(torch.autograd.grad((y * weights).sum(), (x, layer.weight, layer.bias)))
    assert all(torch.equal(one, two) for one, two in zip(*found[:2], strict=True))
    assert all(torch.equal(one, three) for one, three in zip(found[0][1:], found[2][1:], strict=True))
    exact = [t.detach().double().requires_grad_() for t in (x, layer.weight, layer.bias)]
    y = F.conv2d(*exact, layer.stride, layer.padding)
    wanted = torch.autograd.grad((y * weights.double()).sum(), exact)
    for ours, theirs in zip(found[0], wanted, strict=True):
        assert (ours - theirs).norm() <= 1e-5 * theirs.norm()


@pytest.mark.parametrize("preset", ["tiny", "base"])
def test_a_training_step_has_the_same_gradients_with_any_number_of_threads(sprites, tmp_path, preset: str) -> None:
    from noisette.data import prepare

    recipe = build_recipe(preset, prepare(sprites, tmp_path / "data"), TrainOptions(preset=preset, images=8))
    step = TrialStep(recipe, "fp32", torch.device("cpu"), 8)
    assert step.is_same_with((1, 2, 3))
