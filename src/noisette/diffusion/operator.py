"""Linear measurements y = A x of pictures, and their Moore–Penrose inverse A⁺.

x + A⁺ (y − A x) is the picture nearest to x whose measurement is y. Pictures are in model space, [-1, 1], with
premultiplied colors; y has the same range.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError
from ..shapes import Images


@runtime_checkable
class Operator(Protocol):
    """A linear measurement y = A x, and its Moore–Penrose inverse. One of your own implements both methods."""

    def __call__(self, x: Tensor) -> Tensor:
        """A x, of pictures (B, C, H, W)."""
        ...

    def pinv(self, y: Tensor) -> Tensor:
        """A⁺ y: pictures (B, C, H, W)."""
        ...


@dataclass(frozen=True, eq=False)
class Mask:
    """Keep the pixels where `known` is 1 and set the others, where it is 0, to 0 (inpainting).

    known: (B or 1, C or 1, H, W); `InputError` for other values than 0 and 1.
    """

    known: Float[Tensor, "#b #c h w"]

    def __post_init__(self) -> None:
        if not ((self.known == 0) | (self.known == 1)).all():
            raise InputError("a mask must be 1 where a pixel is known and 0 elsewhere, with no other values")

    def __call__(self, x: Images) -> Images:
        return self.known.to(x) * x

    def pinv(self, y: Images) -> Images:
        return self.known.to(y) * y


@dataclass(frozen=True)
class AveragePool:
    """The mean of each block of factor × factor pixels (upscaling).

    (B, C, H, W) to (B, C, H/factor, W/factor); `InputError` if H or W is not a multiple of `factor`.
    """

    factor: int

    def __post_init__(self) -> None:
        if self.factor < 1:
            raise InputError(f"the factor of AveragePool must be at least 1, got {self.factor}")

    def __call__(self, x: Images) -> Float[Tensor, "b c h2 w2"]:
        if x.shape[2] % self.factor or x.shape[3] % self.factor:
            raise InputError(
                f"{x.shape[3]}×{x.shape[2]} pixels cannot be divided into whole blocks of {self.factor}×{self.factor}"
            )
        return F.avg_pool2d(x, self.factor)

    def pinv(self, y: Float[Tensor, "b c h2 w2"]) -> Images:
        return y.repeat_interleave(self.factor, 2).repeat_interleave(self.factor, 3)
