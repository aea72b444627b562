"""The same weights give the same answer, and the same gradient, as in diffusers and in guided-diffusion."""

from typing import Any

import pytest
import torch

from noisette.diffusion.condition import Condition
from noisette.nn.kernels.library import without_kernels

from .diffusers_oracle import convert, pair

CONFIGS: list[dict[str, Any]] = [
    {},
    {"downsample_padding": 0, "freq_shift": 1, "flip_sin_to_cos": False, "attention_head_dim": None, "norm_eps": 1e-6},
    {"num_class_embeds": 10},
    {
        "downsample_type": "resnet",
        "upsample_type": "resnet",
        "down_block_types": ("AttnDownBlock2D",) * 3,
        "up_block_types": ("AttnUpBlock2D",) * 3,
    },
    {"resnet_time_scale_shift": "scale_shift", "attn_norm_num_groups": 8},
    {"layers_per_block": 1, "add_attention": False},
]
NAMES = ["plain", "end padding", "classes", "resampling blocks", "scale and shift", "one block"]


@pytest.mark.parametrize("kw", CONFIGS, ids=NAMES)
def test_diffusers(kw: dict[str, Any]) -> None:
    theirs, ours = pair(**kw)
    x, t = torch.randn(2, 3, 16, 24), torch.tensor([3.0, 700.0])
    label = torch.tensor([1, 4]) if ours.cfg.classes else None
    expected = theirs(x, t, class_labels=label).sample
    seen = ours(x, t, Condition(label=label))
    torch.testing.assert_close(seen, expected, rtol=1e-4, atol=1e-5)

    weight = torch.randn_like(expected)
    (expected * weight).sum().backward()
    (seen * weight).sum().backward()
    gradients = convert({name: p.grad for name, p in theirs.named_parameters()})
    for name, parameter in ours.named_parameters():
        size = gradients[name].abs().max().item()
        torch.testing.assert_close(
            parameter.grad, gradients[name], rtol=1e-3, atol=1e-4 * size + 1e-5, msg=lambda m, n=name: f"{n}: {m}"
        )


def test_diffusers_at_the_size_of_the_benchmark() -> None:
    """The network that benchmarks/step_time.py times: equal to 1e-4, with and without the functions in C."""
    theirs, ours = pair(
        sample_size=32,
        block_out_channels=(64, 128, 128, 128),
        norm_num_groups=32,
        attention_head_dim=None,
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
    )
    x, t = torch.randn(2, 3, 32, 32), torch.tensor([3.0, 700.0])
    with torch.no_grad():
        expected = theirs(x, t).sample
        torch.testing.assert_close(ours(x, t), expected, rtol=1e-4, atol=1e-4)
        with without_kernels():
            torch.testing.assert_close(ours(x, t), expected, rtol=1e-4, atol=1e-4)
