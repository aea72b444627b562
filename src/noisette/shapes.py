"""Shapes, named once.

Legend: b batch, c channels, h × w pixels, d features.
The tests execute these annotations (jaxtyping + beartype); elsewhere they cost nothing.
"""

from jaxtyping import Float, Int, UInt8
from torch import Tensor

Images = Float[Tensor, "b c h w"]  # model space unless said otherwise: [-1, 1]
Time = Float[Tensor, ""] | Float[Tensor, "b"]  # one time for all, or one each; t ∈ [0, 1]
Grid = Float[Tensor, "times"]  # float64, decreasing
PerImage = Float[Tensor, "b"]
Labels = Int[Tensor, "b"]
Bytes = UInt8[Tensor, "b c h w"]  # 8-bit pictures
