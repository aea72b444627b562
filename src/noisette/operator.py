"""Linear losses of information: y = A x, and a way back, A⁺.

A A⁺ A = A: what A kept of a picture comes back as it was, and x + A⁺ (y − A x) is the picture nearest to x of which A
keeps y. Pictures are in model space, colours premultiplied; y is in the same range.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from .errors import InputError
from .shapes import Images

LUMA = (0.299, 0.587, 0.114)  # Rec. 601


@runtime_checkable
class Operator(Protocol):
    """y = A x, and its Moore–Penrose inverse."""

    def __call__(self, x: Tensor) -> Tensor: ...

    def pinv(self, y: Tensor) -> Tensor: ...


@dataclass(frozen=True, eq=False)
class Mask:
    """Keep some pixels, put 0 elsewhere. 1 where a pixel is known; broadcasts against (B, C, H, W)."""

    known: Float[Tensor, "#b #c h w"]

    def __post_init__(self) -> None:
        if not ((self.known == 0) | (self.known == 1)).all():
            raise InputError("a mask is 1 where a pixel is known and 0 where it is not, with nothing between")

    def __call__(self, x: Images) -> Images:
        return self.known.to(x) * x

    def pinv(self, y: Images) -> Images:
        return self.known.to(y) * y


@dataclass(frozen=True)
class AveragePool:
    """The mean of each block of factor × factor pixels: a picture shrunk as light blends."""

    factor: int

    def __post_init__(self) -> None:
        if self.factor < 1:
            raise InputError(f"a picture is not shrunk {self.factor} times: the factor is at least 1")

    def __call__(self, x: Images) -> Float[Tensor, "b c h2 w2"]:
        if x.shape[2] % self.factor or x.shape[3] % self.factor:
            raise InputError(f"{x.shape[3]}×{x.shape[2]} pixels are not whole blocks of {self.factor}×{self.factor}")
        return F.avg_pool2d(x, self.factor)

    def pinv(self, y: Float[Tensor, "b c h2 w2"]) -> Images:
        return y.repeat_interleave(self.factor, 2).repeat_interleave(self.factor, 3)


@dataclass(frozen=True)
class Grayscale:
    """Rec. 601 luma of red, green and blue, beside alpha where the picture has it: 3 channels to 1, or 4 to 2."""

    @cached_property
    def matrix(self) -> Tensor:
        return torch.tensor([[*LUMA, 0], [0, 0, 0, 1]], dtype=torch.float64)

    def __call__(self, x: Images) -> Float[Tensor, "b c2 h w"]:
        if x.shape[1] not in (3, 4):
            raise InputError(f"a picture of {x.shape[1]} channels has no colour to lose: 3 or 4 have")
        return torch.einsum("dc,bchw->bdhw", self._of(x.shape[1]).to(x), x)

    def pinv(self, y: Float[Tensor, "b c2 h w"]) -> Images:
        back = torch.linalg.pinv(self._of(3 if y.shape[1] == 1 else 4))
        return torch.einsum("cd,bdhw->bchw", back.to(y), y)

    def _of(self, channels: int) -> Tensor:
        return self.matrix if channels == 4 else self.matrix[:1, :3]
