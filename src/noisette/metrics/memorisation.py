"""Are the samples new? Distances to the nearest training pictures, in pixels."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from ..errors import InputError
from ..shapes import Bytes
from .features import light
from .interval import Interval, wilson

THRESHOLD = 1 / 3
BLOCK = 4096  # training pictures a time, so that 50,000 fit


@dataclass(frozen=True)
class Memorisation:
    """How close each sample comes to the training pictures. Distances are root mean squares, premultiplied, 0 … 1."""

    share: Interval  # of samples that are copies: d1 / d2 < 1/3
    copied: Bool[Tensor, "b"]
    nearest: Int[Tensor, "b"]  # index of the nearest training picture
    distance: Float[Tensor, "b"]  # d1, to the nearest
    second: Float[Tensor, "b"]  # d2, to the second nearest, another picture
    bank: int  # distinct training pictures


def memorisation(
    samples: Bytes, training: UInt8[Tensor, "n _ _ _"], *, flips: bool = False, shifts: int = 0
) -> Memorisation:
    """Measure which samples are copies of training pictures (Carlini et al. 2023; Yoon et al. 2023).

    A sample counts as a copy if it is three times as close to one training picture as to any other. Training pictures
    that repeat are counted once, or their copies would be as near to the second as to the first. With `flips` and
    `shifts` a mirrored training picture, or one moved by up to that many pixels each way, is still that picture.
    Near-duplicates that are not equal hide copies of them: read the share next to that of held-out pictures.
    """
    if samples.shape[1:] != training.shape[1:]:
        raise InputError(
            f"samples of (C, H, W) {tuple(samples.shape[1:])} cannot be compared with training pictures of "
            f"{tuple(training.shape[1:])}: bring both to one mode and size"
        )
    kept = distinct(training, flips=flips, shifts=shifts)
    if len(samples) == 0 or len(kept) < 2:
        raise InputError(
            f"{len(samples)} samples cannot be told from {len(kept)} distinct training pictures: "
            "give samples, and at least 2 different pictures"
        )
    drawn, squared = light(samples).flatten(1).double(), torch.full((len(samples), len(kept)), torch.inf).double()
    for part in torch.arange(len(kept)).split(BLOCK):
        for view in _views(training[kept[part]], flips, shifts):
            squared[:, part] = torch.minimum(squared[:, part], _squared(drawn, light(view).flatten(1).double()))
    distances, order = squared.div(drawn.shape[1]).sqrt().topk(2, largest=False)
    first, second = distances.unbind(1)
    copied = first <= second * THRESHOLD
    return Memorisation(wilson(int(copied.sum()), len(copied)), copied, kept[order[:, 0]], first, second, len(kept))


def closer(samples: Float[Tensor, "b"], held_out: Float[Tensor, "n"]) -> float:
    """One-sided p-value of the rank-sum test (Mann & Whitney 1947) that samples lie no closer to the training pictures
    than held-out pictures do, given the distances of both to their nearest. Small: they lie closer.

    Normal approximation with the correction for ties. A good model draws pictures as far from the training pictures as
    new ones are; one that redraws them comes closer.
    """
    n, m = len(samples), len(held_out)
    if min(n, m) < 1:
        raise InputError("distances of samples and of held-out pictures are compared: give at least one of each")
    _, group, counts = torch.cat([samples, held_out]).double().unique(return_inverse=True, return_counts=True)
    counts = counts.double()
    ranks = (counts.cumsum(0) - (counts - 1) / 2)[group]
    wins = ranks[:n].sum().item() - n * (n + 1) / 2  # pairs in which the sample lies farther away
    ties = ((counts**3 - counts).sum() / ((n + m) * (n + m - 1))).item() if n + m > 1 else 0.0
    variance = n * m / 12 * (n + m + 1 - ties)
    if variance <= 0:
        return 1.0
    return NormalDist().cdf((wins - n * m / 2 + 0.5) / math.sqrt(variance))


def distinct(pixels: Bytes, *, flips: bool = False, shifts: int = 0) -> Int[Tensor, "kept"]:
    """Indices of the pictures that are not, up to mirroring and moving, an earlier one. Hidden colours do not count."""
    views = [_visible(view) for view in _views(pixels, flips, shifts)]
    seen: set[bytes] = set()
    kept = []
    for i, picture in enumerate(_visible(pixels)):
        if seen.isdisjoint(view[i].numpy().tobytes() for view in views):
            kept.append(i)
            seen.add(picture.numpy().tobytes())
    return torch.tensor(kept, dtype=torch.int64)


def _visible(pixels: Bytes) -> Bytes:
    if pixels.shape[1] in (1, 3):
        return pixels
    return torch.where(pixels[:, -1:] > 0, pixels, 0)


def _views(pixels: Bytes, flips: bool, shifts: int) -> Iterator[Bytes]:
    """The pictures themselves, mirrored if asked for, moved by up to `shifts` pixels each way.

    What moves in from outside is transparent, or, where there is no alpha, the border repeated.
    """
    h, w = pixels.shape[-2:]
    how = "constant" if pixels.shape[1] in (2, 4) else "replicate"
    for side in (pixels, pixels.flip(-1)) if flips else (pixels,):
        padded = F.pad(side.float(), (shifts,) * 4, mode=how).to(torch.uint8)
        for dy in range(2 * shifts + 1):
            for dx in range(2 * shifts + 1):
                yield padded[..., dy : dy + h, dx : dx + w]


def _squared(x: Float[Tensor, "b d"], y: Float[Tensor, "n d"]) -> Float[Tensor, "b n"]:
    """Squared Euclidean distances; float64 keeps an exact copy at zero for all practical purposes."""
    return (x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T).clamp(min=0)
