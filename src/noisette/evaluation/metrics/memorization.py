"""Memorization: the distances of samples to their nearest training pictures, in pixel space."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from ...errors import InputError
from ...shapes import UInt8Images
from .features import premultiply, require_uint8
from .interval import ConfidenceInterval, wilson_interval

COPY_RATIO = 1 / 3
BLOCK_ROWS = 4096  # training pictures at a time, so that 50,000 fit into memory


@dataclass(frozen=True)
class Memorization:
    """How close each sample is to the training pictures.

    Distances are root mean square differences of premultiplied values, from 0 to 1.
    """

    share: ConfidenceInterval  # of samples that are copies, d1 / d2 ≤ 1/3, with its Wilson interval
    is_copy: Bool[Tensor, "b"]
    nearest: Int[Tensor, "b"]  # index of the nearest training picture
    distance: Float[Tensor, "b"]  # d1, to the nearest
    second_distance: Float[Tensor, "b"]  # d2, to the second nearest, another picture
    distinct_count: int  # distinct training pictures


def measure_memorization(
    samples: UInt8Images, training: UInt8[Tensor, "n _ _ _"], *, flips: bool = False, max_shift: int = 0
) -> Memorization:
    """Measure which samples are copies of training pictures (Carlini et al. 2023; Yoon et al. 2023).

    samples, training: uint8 (b, c, h, w) and (n, c, h, w), straight alpha, of one mode and size.
    flips, max_shift: a mirrored training picture, or one shifted by up to max_shift pixels, counts as that picture.

    A sample is a copy if it is at least three times as close to one training picture as to any other. Training pictures
    that repeat are counted once; otherwise their copies would be as near to the second as to the first. Near duplicates
    that are not equal hide copies of them: compare the share with that of held-out pictures.
    Raises InputError for pictures that are not uint8 or differ in mode or size, for no sample, and for fewer than 2
    different training pictures.
    """
    require_uint8(samples, training)
    if samples.shape[1:] != training.shape[1:]:
        raise InputError(
            f"samples of (C, H, W) {tuple(samples.shape[1:])} cannot be compared with training pictures of "
            f"{tuple(training.shape[1:])}: bring both to one mode and size"
        )
    kept = find_distinct(training, flips=flips, max_shift=max_shift)
    if len(samples) == 0 or len(kept) < 2:
        raise InputError(
            f"a search for copies needs at least 1 sample and 2 different training pictures, got {len(samples)} and "
            f"{len(kept)}"
        )
    flat = premultiply(samples).flatten(1).double()
    squared = torch.full((len(samples), len(kept)), torch.inf, dtype=torch.float64)
    for part in torch.arange(len(kept)).split(BLOCK_ROWS):
        for view in _augmented_views(training[kept[part]], flips, max_shift):
            squared[:, part] = torch.minimum(
                squared[:, part], _squared_distances(flat, premultiply(view).flatten(1).double())
            )
    distances, order = squared.div(flat.shape[1]).sqrt().topk(2, largest=False)
    first, second = distances.unbind(1)
    is_copy = first <= second * COPY_RATIO
    return Memorization(
        wilson_interval(int(is_copy.sum()), len(is_copy)), is_copy, kept[order[:, 0]], first, second, len(kept)
    )


def closeness_p_value(samples: Float[Tensor, "b"], held_out: Float[Tensor, "n"]) -> float:
    """p-value of the one-sided rank-sum test (Mann & Whitney 1947): small if samples lie closer to the training
    pictures than held-out pictures do.

    samples, held_out: the distance of each to its nearest training picture, (b,) and (n,). Normal approximation with
    the correction for ties. Samples of a good model are as far from the training pictures as new pictures are.
    """
    n, m = len(samples), len(held_out)
    if min(n, m) < 1:
        raise InputError("at least one distance of samples and one of held-out pictures are needed")
    _, group, counts = torch.cat([samples, held_out]).double().unique(return_inverse=True, return_counts=True)
    counts = counts.double()
    ranks = (counts.cumsum(0) - (counts - 1) / 2)[group]
    wins = ranks[:n].sum().item() - n * (n + 1) / 2  # pairs in which the sample lies farther away
    ties = ((counts**3 - counts).sum() / ((n + m) * (n + m - 1))).item() if n + m > 1 else 0.0
    variance = n * m / 12 * (n + m + 1 - ties)
    if variance <= 0:
        return 1.0
    return NormalDist().cdf((wins - n * m / 2 + 0.5) / math.sqrt(variance))


def find_distinct(pixels: UInt8Images, *, flips: bool = False, max_shift: int = 0) -> Int[Tensor, "kept"]:
    """Indices of the pictures that are not an earlier one, mirrored or moved; colors under alpha 0 are ignored."""
    require_uint8(pixels)
    views = [_clear_hidden_colors(view) for view in _augmented_views(pixels, flips, max_shift)]
    seen: set[bytes] = set()
    kept = []
    for i, picture in enumerate(_clear_hidden_colors(pixels)):
        if seen.isdisjoint(view[i].numpy().tobytes() for view in views):
            kept.append(i)
            seen.add(picture.numpy().tobytes())
    return torch.tensor(kept, dtype=torch.int64)


def _clear_hidden_colors(pixels: UInt8Images) -> UInt8Images:
    if pixels.shape[1] in (1, 3):
        return pixels
    return torch.where(pixels[:, -1:] > 0, pixels, 0)


def _augmented_views(pixels: UInt8Images, flips: bool, max_shift: int) -> Iterator[UInt8Images]:
    """The pictures, moved by every offset up to `max_shift` pixels each way, and with `flips` also mirrored.

    Pixels from outside are transparent or, without alpha, repeat the border.
    """
    h, w = pixels.shape[-2:]
    padding = "constant" if pixels.shape[1] in (2, 4) else "replicate"
    for side in (pixels, pixels.flip(-1)) if flips else (pixels,):
        padded = F.pad(side.float(), (max_shift,) * 4, mode=padding).to(torch.uint8)
        for dy in range(2 * max_shift + 1):
            for dx in range(2 * max_shift + 1):
                yield padded[..., dy : dy + h, dx : dx + w]


def _squared_distances(x: Float[Tensor, "b d"], y: Float[Tensor, "n d"]) -> Float[Tensor, "b n"]:
    """Squared Euclidean distances; in float64, so that the distance of an exact copy is practically zero."""
    return (x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T).clamp(min=0)
