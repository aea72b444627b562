"""Who computes convolutions (3 × 3 with padding 1, and 1 × 1) on a processor, and in which precision.

Legend: b batch, c channels in, o channels out, h × w pixels. All pictures are channels last and contiguous.
"""

from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor

from .kernels.library import serves, tiles
from .layout import NHWC, pooled, rows
from .tiles import Tiles
from .winograd import Winograd


@runtime_checkable
class Engine(Protocol):
    """Convolves pictures of its type with weights in a layout of its own, made of fp32 ones."""

    dtype: torch.dtype

    def fits(self, ins: int, outs: int, pixels: int) -> bool:
        """Whether it is made for so many channels and pixels of the answer, and gains by it.

        The size of one image decides, not the batch's: an image's answer does not depend on its neighbours.
        """
        ...

    def transform(self, weight: Tensor, back: bool) -> Tensor:
        """The weights (o, c, 3, 3) as `convolve` takes them; with `back`, for the gradient of x."""
        ...

    def convolve(
        self, x: Tensor, u: Tensor, outs: int, bias: Tensor | None = None, onto: Tensor | None = None, up: bool = False
    ) -> Tensor:
        """The convolution, plus bias, plus `onto`. `up` takes each pixel of x four times."""
        ...

    def back(self, dy: Tensor, u: Tensor, ins: int, up: bool = False) -> Tensor:
        """The gradient of x; u made with `back`."""
        ...

    def gradients(self, x: Tensor, dy: Tensor, up: bool = False) -> tuple[Tensor, Tensor]:
        """Of the weights and of the bias, in fp32."""
        ...

    def mix(self, x: tuple[Tensor, ...], weight: Tensor, bias: Tensor) -> Tensor:
        """The 1 × 1 convolution of x, whose channels follow each other, with the weights (o, c, 1, 1)."""
        ...

    def mix_back(self, x: tuple[Tensor, ...], weight: Tensor, dy: Tensor, dx: tuple[Tensor, ...]) -> Tensor:
        """The gradient of its weight; that of x is added to dx."""
        ...


class Plain:
    """bf16, where there are no tiles: PyTorch's convolution and matrix product."""

    dtype = torch.bfloat16

    def fits(self, ins: int, outs: int, pixels: int) -> bool:
        return True

    def transform(self, weight: Tensor, back: bool) -> Tensor:
        return weight.detach().to(self.dtype, memory_format=NHWC)

    def convolve(
        self, x: Tensor, u: Tensor, outs: int, bias: Tensor | None = None, onto: Tensor | None = None, up: bool = False
    ) -> Tensor:
        y = F.conv2d(_grown(x, up), u, None if bias is None else bias.to(self.dtype), padding=1)
        return y if onto is None else y.add_(onto)

    def back(self, dy: Tensor, u: Tensor, ins: int, up: bool = False) -> Tensor:
        like = dy.new_empty(()).expand(len(dy), ins, *dy.shape[2:])
        return pooled(_convolution_backward(dy, like, u, (True, False, False))[0], up)

    def gradients(self, x: Tensor, dy: Tensor, up: bool = False) -> tuple[Tensor, Tensor]:
        weight = dy.new_empty(()).expand(dy.shape[1], x.shape[1], 3, 3)
        _, dweight, dbias = _convolution_backward(dy, _grown(x, up), weight, (False, True, True))
        return dweight.float().contiguous(), dbias.float()

    def mix(self, x: tuple[Tensor, ...], weight: Tensor, bias: Tensor) -> Tensor:
        dtype, (b, _, h, w) = x[0].dtype, x[0].shape
        weights = weight.flatten(1).to(dtype).split([t.shape[1] for t in x], dim=1)
        y = torch.addmm(bias.to(dtype), rows(x[0]), weights[0].T)
        for t, part in zip(x[1:], weights[1:], strict=True):
            y.addmm_(rows(t), part.T)
        return y.view(b, h, w, -1).permute(0, 3, 1, 2)

    def mix_back(self, x: tuple[Tensor, ...], weight: Tensor, dy: Tensor, dx: tuple[Tensor, ...]) -> Tensor:
        back, dweight, widths = rows(dy), torch.empty_like(weight), [t.shape[1] for t in x]
        weights, dweights = weight.flatten(1).to(dy.dtype).split(widths, dim=1), dweight.flatten(1).split(widths, dim=1)
        for t, dt, part, dpart in zip(x, dx, weights, dweights, strict=True):
            rows(dt).addmm_(back, part)
            dpart.copy_(back.T @ rows(t))
        return dweight


def _convolution_backward(dy: Tensor, x: Tensor, weight: Tensor, wanted: tuple[bool, bool, bool]) -> Any:
    """Of x, of the weight and of the bias, where wanted."""
    geometry = ([1, 1], [1, 1], [1, 1], False, [0, 0], 1)
    return torch.ops.aten.convolution_backward(dy, x, weight, [len(weight)], *geometry, list(wanted))


def _grown(x: Tensor, up: bool) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest") if up else x


WINOGRAD, TILES, PLAIN = Winograd(), Tiles(), Plain()


def engine(*tensors: Tensor | None) -> Engine | None:
    """The one for these tensors, here and now; None: leave it all to PyTorch."""
    dtype = serves(*tensors)
    if dtype is None:
        return None
    return WINOGRAD if dtype is torch.float32 else TILES if tiles() else PLAIN
