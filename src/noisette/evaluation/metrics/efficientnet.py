"""EfficientNet-Lite0 for fast inference: the same function as its package's network, within rounding.

Each batch norm is folded into the convolution before it, symmetric padding into the convolution itself, and ReLU6 works
in place. That is 1.8 times as fast on a CPU.
"""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ...shapes import Images


class InvertedResidual(nn.Module):
    """An inverted residual block (Sandler et al. 2018): expand, depthwise, project, and a skip where shapes agree."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        args, parts = block._block_args, []
        if args.expand_ratio != 1:
            parts += [_fuse_conv_bn(block._expand_conv, block._bn0), nn.ReLU6(inplace=True)]
        parts += [_fuse_conv_bn(block._depthwise_conv, block._bn1), nn.ReLU6(inplace=True)]
        self.layers = nn.Sequential(*parts, _fuse_conv_bn(block._project_conv, block._bn2))
        self.residual = args.id_skip and args.stride in (1, [1]) and args.input_filters == args.output_filters

    def forward(self, x: Images) -> Float[Tensor, "b out h2 w2"]:
        y: Tensor = self.layers(x)
        return y + x if self.residual else y


def fuse_efficientnet(net: Any) -> nn.Sequential:
    """The package network's `extract_features` for inference: (b, 3, h, w) → (b, 1280, h/32, w/32)."""
    first = _fuse_conv_bn(net._conv_stem, net._bn0), nn.ReLU6(inplace=True)
    last = _fuse_conv_bn(net._conv_head, net._bn1), nn.ReLU6(inplace=True)
    return nn.Sequential(*first, *map(InvertedResidual, net._blocks), *last).requires_grad_(False).eval()


def _fuse_conv_bn(conv: Any, norm: nn.BatchNorm2d) -> nn.Module:
    """A padding convolution and the batch norm after it as one module."""
    pad = conv.static_padding
    left, right, top, bottom = getattr(pad, "padding", (0, 0, 0, 0))
    even = left == right and top == bottom
    plain = nn.Conv2d(
        conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride,
        (top, left) if even else 0, groups=conv.groups, bias=False,
    )  # fmt: skip
    plain.weight = conv.weight
    fused = fuse_conv_bn_eval(plain.eval(), norm)
    return fused if even else nn.Sequential(pad, fused)
