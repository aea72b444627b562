"""Without gradients a convolution keeps its transformed weights: never longer than the weights stay the same."""

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noisette.nn import UNet, UNetConfig
from noisette.nn.conv import Conv3x3
from noisette.nn.kernels import library

pytestmark = pytest.mark.skipif(library.get_build().library is None, reason="there are no kernels here")


def copy_data(layer: Conv3x3, new: Tensor) -> None:
    layer.weight.data.copy_(new)


def assign_data(layer: Conv3x3, new: Tensor) -> None:
    layer.weight.data = new


def assign_transposed_data(layer: Conv3x3, new: Tensor) -> None:
    layer.weight.data = new.transpose(0, 1).contiguous().transpose(0, 1)


def assign_channels_last(layer: Conv3x3, new: Tensor) -> None:
    layer.weight.data = new.contiguous(memory_format=torch.channels_last)


def set_storage(layer: Conv3x3, new: Tensor) -> None:
    layer.weight.set_(new)  # type: ignore[call-overload]


def load_state(layer: Conv3x3, new: Tensor) -> None:
    layer.load_state_dict({"weight": new, "bias": layer.state_dict()["bias"]})


def assign_state(layer: Conv3x3, new: Tensor) -> None:
    layer.load_state_dict({"weight": new, "bias": layer.state_dict()["bias"]}, assign=True)


def swap_tensors(layer: Conv3x3, new: Tensor) -> None:
    torch.utils.swap_tensors(layer.weight, nn.Parameter(new))


def replace_parameter(layer: Conv3x3, new: Tensor) -> None:
    layer.weight = nn.Parameter(new)


def write_in_place(layer: Conv3x3, new: Tensor) -> None:
    layer.weight.copy_(new)


def write_through_numpy(layer: Conv3x3, new: Tensor) -> None:
    layer.weight.detach().numpy()[:] = new.numpy()


def swap_for_each(layer: Conv3x3, new: Tensor) -> None:
    torch._foreach_copy_([layer.weight.data], [new])


CHANGES = [
    copy_data,
    assign_data,
    assign_transposed_data,
    assign_channels_last,
    set_storage,
    load_state,
    assign_state,
    swap_tensors,
    replace_parameter,
    write_in_place,
    write_through_numpy,
    swap_for_each,
]


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_the_weights_counts(change: Callable[..., None], context: Callable[[], torch.no_grad]) -> None:
    layer, x = Conv3x3(32, 48), torch.randn(2, 32, 8, 8)
    for _ in range(3):  # the next change begins where the last one ended
        with torch.no_grad():
            layer(x)
        new = torch.randn(48, 32, 3, 3)
        with torch.no_grad():
            change(layer, new.clone())
        with context():
            y = layer(x)
            torch.testing.assert_close(y, F.conv2d(x, new, layer.bias, padding=1), rtol=1e-4, atol=1e-4)


def test_the_last_entry_counts() -> None:
    layer, x = Conv3x3(64, 64), torch.randn(1, 64, 8, 8)
    with torch.no_grad():
        before = layer(x)
        layer.weight.data[-1, -1, -1, -1] += 1
        after = layer(x)
    assert after[:, :-1].equal(before[:, :-1]) and not after[:, -1].equal(before[:, -1])


def test_unchanged_weights_are_transformed_once() -> None:
    layer, x = Conv3x3(16, 16), torch.randn(2, 16, 8, 8)
    for dense in (layer.weight.data, layer.weight.data.contiguous(memory_format=torch.channels_last)):
        layer.weight.data = dense
        with torch.no_grad():
            layer(x)
            assert layer._weight_cache is not None
            kept = layer._weight_cache[2]
            layer(x)
            assert layer._weight_cache[2] is kept


def test_ema_weights_swapped_in_through_data() -> None:
    """The usual swap: the average's values into the model, draw, and back."""
    cfg = UNetConfig(channels=(16, 32), attention=(False, True), groups=4, time_channels=8, blocks=1)
    model, x, label = UNet(cfg).eval(), torch.randn(2, 3, 8, 8), torch.rand(2)
    for p in model.parameters():
        nn.init.normal_(p, std=0.1)
    average = copy.deepcopy(model)
    for p in average.parameters():
        p.data.mul_(1.3)
    with torch.no_grad():
        own, expected = model(x, label), average(x, label)
        saved = [p.data.clone() for p in model.parameters()]
        for p, mean in zip(model.parameters(), average.parameters(), strict=True):
            p.data.copy_(mean.data)
        torch.testing.assert_close(model(x, label), expected, rtol=0, atol=0)
        for p, value in zip(model.parameters(), saved, strict=True):
            p.data.copy_(value)
        torch.testing.assert_close(model(x, label), own, rtol=0, atol=0)


@pytest.mark.parametrize("which", ["weight", "bias"])
def test_parameters_of_another_dtype_go_to_pytorch(which: str) -> None:
    """Under autocast a layer in bf16 is PyTorch's: the kernels read parameters as fp32."""
    cfg = UNetConfig(channels=(32,), attention=(True,), groups=4, time_channels=8, blocks=1)
    net, x, label = UNet(cfg).eval(), torch.randn(2, 3, 8, 8), torch.rand(2)
    for p in net.parameters():
        nn.init.normal_(p, std=0.1)
        p.data = p.data.bfloat16().float()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        expected = net(x, label)
        for name, p in net.named_parameters():
            if name.endswith(which) and "embed.time" not in name:
                p.data = p.data.bfloat16()
        try:
            found = net(x, label)
        except RuntimeError:  # PyTorch refuses some mixtures
            return
    torch.testing.assert_close(found, expected, rtol=0.1, atol=0.1 * expected.abs().max().item())
