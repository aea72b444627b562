"""How different two pictures look: a distance of feature maps, as a loss (after LPIPS, Zhang et al. 2018).

The network is that of `EfficientNetExtractor`, whose weights come with the extra `metrics`. LPIPS weights the channels
by judgments of people; here all channels count alike, so its numbers are not those of LPIPS.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...data.pictures import Pictures
from ...shapes import Images
from ...team import torch_defaults
from .efficientnet import fuse_efficientnet
from .features import load_efficientnet_lite0

STAGES = (3, 5, 7)  # after how many modules of the network features are compared: 1/2, 1/4 and 1/8 of the size
GROUND = 0.5  # gray, 0 to 1, that pictures with alpha are laid over
ENLARGED = 2  # times: small pictures have few pixels for a network that halves them


class PerceptualDistance(nn.Module):
    """The distance of two batches in [-1, 1], premultiplied; differentiable. Its weights do not learn.

    Raises InputError where the packages of its weights are not installed.
    """

    def __init__(self, pictures: Pictures) -> None:
        super().__init__()
        self.pictures = pictures
        with torch_defaults(), torch.random.fork_rng(devices=[]):  # of the initial weights
            theirs, _ = load_efficientnet_lite0()
            self.layers = nn.ModuleList(list(fuse_efficientnet(theirs))[: STAGES[-1]])

    def forward(self, a: Images, b: Images) -> Float[Tensor, ""]:
        """Mean over pixels and pictures of the squared difference of the features, each pixel's of length 1."""
        x, total = torch.cat([self.prepare(a), self.prepare(b)]), a.new_zeros(())
        for number, module in enumerate(self.layers, 1):
            x = module(x)
            if number in STAGES:
                one, other = F.normalize(x, dim=1, eps=1e-3).chunk(2)
                total = total + (one - other).square().sum(1).mean()
        return total / len(STAGES)

    def prepare(self, x: Images) -> Float[Tensor, "b 3 h2 w2"]:
        """Pictures as the network takes them: RGB over gray, enlarged, in its own range."""
        values = (x + 1) / 2
        color = values[:, : values.shape[1] - self.pictures.has_alpha].expand(-1, 3, -1, -1)
        if self.pictures.has_alpha:
            color = color + (1 - values[:, -1:]) * GROUND
        color = F.interpolate(color, scale_factor=ENLARGED, mode="bilinear", align_corners=False)
        return (color * 255 - 127) / 128
