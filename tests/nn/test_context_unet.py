"""The course's network: what it takes, and that the same call gives the same answer."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from noisette.diffusion.condition import Condition
from noisette.errors import InputError
from noisette.nn.context_unet import ContextUNet, ContextUNetConfig

TINY = ContextUNetConfig(features=8, height=16, width=16, classes=3)
T = torch.tensor([3.0, 400.0])


def net(**changes: Any) -> ContextUNet:
    torch.manual_seed(0)
    return ContextUNet(replace(TINY, **changes)).eval()


def images(height: int = 16, width: int = 16) -> Tensor:
    return torch.randn(2, 3, height, width)


def predict(model: ContextUNet, x: Tensor, label: Any) -> Tensor:
    return model(x, T, Condition(label=torch.tensor(label)))


def test_the_same_call_gives_the_same_answer() -> None:
    """In the course it does not: its way around the first block is drawn anew at every call."""
    model, x = net(), images()
    assert predict(model, x, [0, 1]).equal(predict(model, x, [0, 1]))
    assert model.conv_in.skip is not None and model.conv_in.skip.weight.requires_grad


def test_the_courses_size() -> None:
    """1.48 M parameters with 64 features and 5 classes, beside the way around that learns: 3 · 64 + 64 more."""
    model = ContextUNet(ContextUNetConfig(classes=5, norm="batch"))
    assert sum(p.numel() for p in model.parameters()) - 256 == pytest.approx(1.48e6, rel=0.005)


def test_condition_multiplies_and_time_adds() -> None:
    model, x = net(), images()
    plain = predict(model, x, [0, 1])
    assert not plain.allclose(predict(model, x, [2, 1])) and plain[1].allclose(predict(model, x, [2, 1])[1], atol=1e-6)
    torch.testing.assert_close(predict(model, x, [[1.0, 0, 0], [0, 1.0, 0]]), plain)
    nothing = torch.nan
    for null in ([-1, -1], [[0.0] * 3] * 2, [[nothing] * 3] * 2):
        torch.testing.assert_close(predict(model, x, null), model(x, T))
    assert not model(x, T).allclose(model(x, T + 50))
    assert model.time1(torch.ones(2, 1)).shape == (2, 16, 1, 1)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (13, 10), (32, 16)])
def test_sizes(height: int, width: int) -> None:
    model = net(height=height, width=width)
    assert predict(model, images(height, width), [0, 1]).shape == (2, 3, height, width)
    with pytest.raises(InputError, match=f"x must be {height}×{width} for this network, got "):
        model(images(20, 20), T)


def test_attributes_beside_labels() -> None:
    model, x = net(vector=2), images()
    both = Condition(label=torch.tensor([0, 1]), vector=torch.randn(2, 2))
    assert not model(x, T, both).allclose(model(x, T, replace(both, vector=None)))
    torch.testing.assert_close(model(x, T, both.null()), model(x, T))


def test_bottleneck_is_h_space() -> None:
    model, x, seen = net(), images(), []
    handle = model.mid.register_forward_hook(lambda module, inputs, h: seen.append(h.shape) or h + 1)
    edited = model(x, T)
    handle.remove()
    assert seen == [(2, 16, 4, 4)] and not edited.allclose(model(x, T))


def test_group_norm_does_not_depend_on_other_images() -> None:
    """The course's batch norm does, while it trains; so a batch in parts would be another step."""
    x = images()
    for norm, alone in (("group", True), ("batch", False)):
        model = net(norm=norm).train()
        assert model(x, T)[:1].allclose(model(x[:1], T[:1]), atol=1e-5) is alone


REFUSED: list[tuple[Condition, str]] = [
    (Condition(label=torch.tensor([0, 3])), "0 to 2"),
    (Condition(label=torch.zeros(2, 2)), "takes 3"),
    (Condition(vector=torch.zeros(2, 2)), "vector"),
    (Condition(tokens=torch.zeros(2, 2, 2)), "tokens"),
]


@pytest.mark.parametrize(("cond", "words"), REFUSED, ids=range(len(REFUSED)))
def test_refused(cond: Condition, words: str) -> None:
    with pytest.raises(InputError, match=words):
        net()(images(), T, cond)


@pytest.mark.parametrize(("change", "words"), [
    ({"features": 12}, "features is 12"), ({"height": 4}, "height is 4"), ({"dropout": 0.1}, "dropout"),
    ({"steps": 0}, "steps is 0"),
])  # fmt: skip
def test_wrong_configurations(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        replace(TINY, **change)


def test_every_parameter_learns() -> None:
    """Every parameter has a gradient."""
    model, x = net().train(), images()
    y = model(x, T, Condition(label=torch.tensor([0, 1])))
    (y - x).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())
