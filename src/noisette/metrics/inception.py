"""The feature net of published FIDs: Inception v3 (Szegedy et al. 2016) with the weights of Heusel et al. 2017.

Its weights come in no package: they are read from a file that a person has, `pt_inception-2015-12-05-6726825d.pth` as
pytorch-fid and others use it, a state dict, never a pickle of code. The net differs from torchvision's in three ways:
average pools leave the padding out, the last block pools by the maximum, and there are 1,008 classes (not used here).

FID and KID with these features may be compared with published ones if the pictures are RGB and are as many.
"""

import hashlib
import pickle
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import InputError
from ..shapes import Bytes, Images
from .features import Features, of_views

Size = int | tuple[int, int]


class Conv(nn.Module):
    """A convolution without bias, batch norm, ReLU."""

    def __init__(self, ins: int, outs: int, kernel: Size, stride: int = 1, padding: Size = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(ins, outs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outs, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


def average(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


def halved(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 3, 2)


class A(nn.Module):
    """35 × 35."""

    def __init__(self, ins: int, pool: int) -> None:
        super().__init__()
        self.branch1x1 = Conv(ins, 64, 1)
        self.branch5x5_1, self.branch5x5_2 = Conv(ins, 48, 1), Conv(48, 64, 5, padding=2)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Conv(ins, 64, 1), Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Conv(96, 96, 3, padding=1)
        self.branch_pool = Conv(ins, pool, 1)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        parts = [self.branch1x1(x), self.branch5x5_2(self.branch5x5_1(x)), double, self.branch_pool(average(x))]
        return torch.cat(parts, 1)


class B(nn.Module):
    """35 → 17."""

    def __init__(self, ins: int) -> None:
        super().__init__()
        self.branch3x3 = Conv(ins, 384, 3, stride=2)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Conv(ins, 64, 1), Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Conv(96, 96, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, halved(x)], 1)


def wide(ins: int, outs: int, side: int = 7) -> Conv:
    return Conv(ins, outs, (1, side), padding=(0, side // 2))


def tall(ins: int, outs: int, side: int = 7) -> Conv:
    return Conv(ins, outs, (side, 1), padding=(side // 2, 0))


class C(nn.Module):
    """17 × 17, with 7 × 7 in two."""

    def __init__(self, ins: int, c: int) -> None:
        super().__init__()
        self.branch1x1 = Conv(ins, 192, 1)
        self.branch7x7_1, self.branch7x7_2, self.branch7x7_3 = Conv(ins, c, 1), wide(c, c), tall(c, 192)
        self.branch7x7dbl_1, self.branch7x7dbl_2 = Conv(ins, c, 1), tall(c, c)
        self.branch7x7dbl_3, self.branch7x7dbl_4 = wide(c, c), tall(c, c)
        self.branch7x7dbl_5 = wide(c, 192)
        self.branch_pool = Conv(ins, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        single = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), single, double, self.branch_pool(average(x))], 1)


class D(nn.Module):
    """17 → 8."""

    def __init__(self, ins: int) -> None:
        super().__init__()
        self.branch3x3_1, self.branch3x3_2 = Conv(ins, 192, 1), Conv(192, 320, 3, stride=2)
        self.branch7x7x3_1, self.branch7x7x3_2 = Conv(ins, 192, 1), wide(192, 192)
        self.branch7x7x3_3, self.branch7x7x3_4 = tall(192, 192), Conv(192, 192, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        seven = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat([self.branch3x3_2(self.branch3x3_1(x)), seven, halved(x)], 1)


class E(nn.Module):
    """8 × 8; the last one pools by the maximum."""

    def __init__(self, ins: int, last: bool = False) -> None:
        super().__init__()
        self.last = last
        self.branch1x1, self.branch3x3_1 = Conv(ins, 320, 1), Conv(ins, 384, 1)
        self.branch3x3_2a, self.branch3x3_2b = wide(384, 384, 3), tall(384, 384, 3)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Conv(ins, 448, 1), Conv(448, 384, 3, padding=1)
        self.branch3x3dbl_3a, self.branch3x3dbl_3b = wide(384, 384, 3), tall(384, 384, 3)
        self.branch_pool = Conv(ins, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        single, double = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = F.max_pool2d(x, 3, 1, 1) if self.last else average(x)
        parts = [self.branch1x1(x), self.branch3x3_2a(single), self.branch3x3_2b(single)]
        parts += [self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double), self.branch_pool(pooled)]
        return torch.cat(parts, 1)


class Net(nn.Module):
    """Names as in the file."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3, self.Conv2d_2a_3x3 = Conv(3, 32, 3, stride=2), Conv(32, 32, 3)
        self.Conv2d_2b_3x3, self.Conv2d_3b_1x1 = Conv(32, 64, 3, padding=1), Conv(64, 80, 1)
        self.Conv2d_4a_3x3 = Conv(80, 192, 3)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = A(192, 32), A(256, 64), A(288, 64)
        self.Mixed_6a = B(288)
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = C(768, 128), C(768, 160), C(768, 160), C(768, 192)
        self.Mixed_7a, self.Mixed_7b, self.Mixed_7c = D(768), E(1280), E(2048, last=True)

    def forward(self, x: Float[Tensor, "b 3 299 299"]) -> Float[Tensor, "b 2048"]:
        x = halved(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))))
        x = halved(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        maps: Tensor = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        return maps.mean((2, 3))


class Inception:
    """2048 pooled features of a file of weights; twice that for pictures with alpha, over black and over white."""

    BATCH = 16
    RULE = "bilinear to 299 × 299; over black and white if alpha; 2x - 1; mean pool; 1"

    def __init__(self, file: str | Path) -> None:
        self._net, self._hash = _read(Path(file))

    @property
    def name(self) -> str:
        return "Inception v3 (FID), 299 px"

    @property
    def hash(self) -> str:
        return self._hash

    def __call__(self, pixels: Bytes) -> Features:
        return of_views(self._pooled, pixels, self.BATCH)

    def _pooled(self, view: Images) -> Features:
        x = F.interpolate(view, (299, 299), mode="bilinear", align_corners=False)
        features: Tensor = self._net(2 * x - 1)
        return features


def _read(file: Path) -> tuple[Net, str]:
    """The net with the weights of a file, and a hash of both."""
    if not file.is_file():
        raise InputError(f"there is no file {file}: give pt_inception-2015-12-05-6726825d.pth, as pytorch-fid uses it")
    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise InputError(f"{file} cannot be read as weights, and nothing else is read: {error}") from error
    net, known = Net(), {}
    if isinstance(found, dict):
        known = {k: v for k, v in found.items() if not str(k).startswith(("fc.", "AuxLogits."))}
    wanted = net.state_dict()
    wrong = [k for k, v in wanted.items() if k not in known and not k.endswith("num_batches_tracked")]
    wrong += [k for k, v in wanted.items() if k in known and tuple(known[k].shape) != tuple(v.shape)]
    if wrong:
        raise InputError(
            f"{file} is not the Inception of FID, {wrong[0]} is missing or of another shape: give "
            "pt_inception-2015-12-05-6726825d.pth, as pytorch-fid uses it"
        )
    net.load_state_dict({k: known.get(k, v) for k, v in wanted.items()})
    net.requires_grad_(False).eval()
    return net, hashlib.sha256(file.read_bytes() + Inception.RULE.encode()).hexdigest()[:16]
