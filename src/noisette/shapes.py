"""Tensor shapes for type annotations.

Dimensions: b batch, c channels, h × w pixels, d features. The tests check these annotations at run time (jaxtyping and
beartype); otherwise they have no effect.
"""

from jaxtyping import Float, Int, UInt8
from torch import Tensor

MAX_SIDE = 4096  # height and width of a model's pictures, in pixels

Images = Float[Tensor, "b c h w"]  # model space, [-1, 1], unless documented otherwise
ModelSpace = Float[Tensor, "b c2 h2 w2"]  # what a diffusion process runs in: pictures, or their latents
Time = Float[Tensor, ""] | Float[Tensor, "b"]  # one time for all images, or one per image; t ∈ [0, 1]
Grid = Float[Tensor, "times"]  # float64, decreasing
PerImage = Float[Tensor, "b"]
Labels = Int[Tensor, "b"]
UInt8Images = UInt8[Tensor, "b c h w"]  # 8-bit pictures
Recolored = UInt8[Tensor, "b c2 h w"]  # the same pictures, perhaps in another mode
