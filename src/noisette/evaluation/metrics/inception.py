"""The feature network of published FIDs: Inception v3 (Szegedy et al. 2016) with the weights of Heusel et al. 2017.

No package has its weights. They are read from `pt_inception-2015-12-05-6726825d.pth`, the file that pytorch-fid uses: a
state dict, loaded with weights_only=True. The network differs from torchvision's in three ways: average pools leave
the padding out, the last block pools by the maximum, and there are 1,008 classes (not used here).

FID and KID with these features can be compared with published ones if the pictures are RGB and equally many.
"""

import hashlib
import pickle
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...errors import InputError
from ...shapes import Images, UInt8Images
from ...team import best_device, torch_defaults
from .features import Features, batch_size, extract_features

KernelSize = int | tuple[int, int]


class ConvBNReLU(nn.Module):
    """A convolution without bias, batch norm, ReLU."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: KernelSize, stride: int = 1, padding: KernelSize = 0
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


def avg_pool_3x3(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


def max_pool_stride2(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 3, 2)


class InceptionA(nn.Module):
    """35 × 35."""

    def __init__(self, in_channels: int, pool_channels: int) -> None:
        super().__init__()
        self.branch1x1 = ConvBNReLU(in_channels, 64, 1)
        self.branch5x5_1, self.branch5x5_2 = ConvBNReLU(in_channels, 48, 1), ConvBNReLU(48, 64, 5, padding=2)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = ConvBNReLU(in_channels, 64, 1), ConvBNReLU(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = ConvBNReLU(96, 96, 3, padding=1)
        self.branch_pool = ConvBNReLU(in_channels, pool_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        parts = [self.branch1x1(x), self.branch5x5_2(self.branch5x5_1(x)), double, self.branch_pool(avg_pool_3x3(x))]
        return torch.cat(parts, 1)


class InceptionB(nn.Module):
    """35 → 17."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch3x3 = ConvBNReLU(in_channels, 384, 3, stride=2)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = ConvBNReLU(in_channels, 64, 1), ConvBNReLU(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = ConvBNReLU(96, 96, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, max_pool_stride2(x)], 1)


def conv_1xk(in_channels: int, out_channels: int, kernel: int = 7) -> ConvBNReLU:
    return ConvBNReLU(in_channels, out_channels, (1, kernel), padding=(0, kernel // 2))


def conv_kx1(in_channels: int, out_channels: int, kernel: int = 7) -> ConvBNReLU:
    return ConvBNReLU(in_channels, out_channels, (kernel, 1), padding=(kernel // 2, 0))


class InceptionC(nn.Module):
    """17 × 17, with 7 × 7 in two."""

    def __init__(self, in_channels: int, mid_channels: int) -> None:
        super().__init__()
        self.branch1x1 = ConvBNReLU(in_channels, 192, 1)
        self.branch7x7_1, self.branch7x7_2, self.branch7x7_3 = (
            ConvBNReLU(in_channels, mid_channels, 1),
            conv_1xk(mid_channels, mid_channels),
            conv_kx1(mid_channels, 192),
        )
        self.branch7x7dbl_1, self.branch7x7dbl_2 = (
            ConvBNReLU(in_channels, mid_channels, 1),
            conv_kx1(mid_channels, mid_channels),
        )
        self.branch7x7dbl_3, self.branch7x7dbl_4 = (
            conv_1xk(mid_channels, mid_channels),
            conv_kx1(mid_channels, mid_channels),
        )
        self.branch7x7dbl_5 = conv_1xk(mid_channels, 192)
        self.branch_pool = ConvBNReLU(in_channels, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        single = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), single, double, self.branch_pool(avg_pool_3x3(x))], 1)


class InceptionD(nn.Module):
    """17 → 8."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch3x3_1, self.branch3x3_2 = ConvBNReLU(in_channels, 192, 1), ConvBNReLU(192, 320, 3, stride=2)
        self.branch7x7x3_1, self.branch7x7x3_2 = ConvBNReLU(in_channels, 192, 1), conv_1xk(192, 192)
        self.branch7x7x3_3, self.branch7x7x3_4 = conv_kx1(192, 192), ConvBNReLU(192, 192, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        seven = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat([self.branch3x3_2(self.branch3x3_1(x)), seven, max_pool_stride2(x)], 1)


class InceptionE(nn.Module):
    """8 × 8; the last one pools by the maximum."""

    def __init__(self, in_channels: int, use_max_pool: bool = False) -> None:
        super().__init__()
        self.use_max_pool = use_max_pool
        self.branch1x1, self.branch3x3_1 = ConvBNReLU(in_channels, 320, 1), ConvBNReLU(in_channels, 384, 1)
        self.branch3x3_2a, self.branch3x3_2b = conv_1xk(384, 384, 3), conv_kx1(384, 384, 3)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = ConvBNReLU(in_channels, 448, 1), ConvBNReLU(448, 384, 3, padding=1)
        self.branch3x3dbl_3a, self.branch3x3dbl_3b = conv_1xk(384, 384, 3), conv_kx1(384, 384, 3)
        self.branch_pool = ConvBNReLU(in_channels, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        single, double = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = F.max_pool2d(x, 3, 1, 1) if self.use_max_pool else avg_pool_3x3(x)
        parts = [self.branch1x1(x), self.branch3x3_2a(single), self.branch3x3_2b(single)]
        parts += [self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double), self.branch_pool(pooled)]
        return torch.cat(parts, 1)


class InceptionV3(nn.Module):
    """Names as in the file."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3, self.Conv2d_2a_3x3 = ConvBNReLU(3, 32, 3, stride=2), ConvBNReLU(32, 32, 3)
        self.Conv2d_2b_3x3, self.Conv2d_3b_1x1 = ConvBNReLU(32, 64, 3, padding=1), ConvBNReLU(64, 80, 1)
        self.Conv2d_4a_3x3 = ConvBNReLU(80, 192, 3)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = InceptionA(192, 32), InceptionA(256, 64), InceptionA(288, 64)
        self.Mixed_6a = InceptionB(288)
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = (
            InceptionC(768, 128),
            InceptionC(768, 160),
            InceptionC(768, 160),
            InceptionC(768, 192),
        )
        self.Mixed_7a, self.Mixed_7b, self.Mixed_7c = (
            InceptionD(768),
            InceptionE(1280),
            InceptionE(2048, use_max_pool=True),
        )

    def forward(self, x: Float[Tensor, "b 3 299 299"]) -> Float[Tensor, "b 2048"]:
        x = max_pool_stride2(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))))
        x = max_pool_stride2(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        maps: Tensor = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        return maps.mean((2, 3))


class InceptionExtractor:
    """2048 pooled features of Inception v3; twice that for pictures with alpha, over black and over white.

    path: the file of weights. device: by default the accelerator if there is one, else the CPU.
    Raises InputError for a file that is missing, damaged, or of another network.
    """

    BATCH_SIZE = 16
    PREPROCESSING = "bilinear to 299 × 299; over black and white if alpha; 2x - 1; mean pool; 1"

    def __init__(self, path: str | Path, device: torch.device | str | None = None) -> None:
        self.device = best_device() if device is None else torch.device(device)
        self._net, self._hash = _load_weights(Path(path))
        self._net.to(self.device)

    @property
    def name(self) -> str:
        return "Inception v3 (FID), 299 px"

    @property
    def hash(self) -> str:
        return self._hash

    def __call__(self, pixels: UInt8Images) -> Features:
        return extract_features(self._pooled_features, pixels, batch_size(self.device, self.BATCH_SIZE))

    def _pooled_features(self, view: Images) -> Features:
        x = F.interpolate(view, (299, 299), mode="bilinear", align_corners=False)
        features: Tensor = self._net((2 * x - 1).to(self.device))
        return features.cpu()


def _load_weights(path: Path) -> tuple[InceptionV3, str]:
    """The net with the weights of a file, and a hash of both."""
    if not path.is_file():
        raise InputError(f"there is no file {path}: give pt_inception-2015-12-05-6726825d.pth, as pytorch-fid uses it")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a PyTorch file of tensors: {error}") from error
    with torch_defaults(), torch.random.fork_rng(devices=[]):  # of the initial weights
        net = InceptionV3()
    known = {}
    if isinstance(found, dict):
        known = {k: v for k, v in found.items() if not str(k).startswith(("fc.", "AuxLogits."))}
    wanted = net.state_dict()
    wrong = [k for k, v in wanted.items() if k not in known and not k.endswith("num_batches_tracked")]
    wrong += [k for k, v in wanted.items() if k in known and tuple(known[k].shape) != tuple(v.shape)]
    if wrong:
        raise InputError(
            f"{path} is not the Inception of FID, {wrong[0]} is missing or of another shape: give "
            "pt_inception-2015-12-05-6726825d.pth, as pytorch-fid uses it"
        )
    net.load_state_dict({k: known.get(k, v) for k, v in wanted.items()})
    net.requires_grad_(False).eval()
    return net, hashlib.sha256(path.read_bytes() + InceptionExtractor.PREPROCESSING.encode()).hexdigest()[:16]
