"""Detection of near duplicates, and of sets that can be mirrored without harm.

Both use thumbnails. Two pictures are near duplicates if the energy of the difference of their thumbnails is less than
2.25 % of the contrast energy of each (a ratio of amplitudes of 0.15). On Twemoji this joins the clock faces and the
families but not the smileys; of the 1,797 digits it joins two. A picture saved again as JPEG is still a near duplicate;
its mirror image is not.

Up to MAX_COMPARED pictures the search is exact. Of more, pairs are found by locality-sensitive hashing (see
`near_hashing`), and then compared exactly.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float64, Int64

from ..errors import InputError
from .near_hashing import find_candidates
from .thumbnails import THUMBNAIL_SIZE, ThumbnailRows, Thumbnails, in_blocks

MAX_COMPARED = 100_000  # pictures that are searched exactly
NEAR_DUPLICATE_RATIO = 0.15  # maximum ratio of distance to contrast
MAX_HALVINGS = 3  # of this ratio in sets that it would make one group of
MAX_GROUP_SHARE = 0.5  # of the pictures of a set in one group, before the ratio is halved
MIN_CUT = 20  # in sets of fewer pictures the ratio is not halved
BLOCK_ROWS = 512  # thumbnails per block of the distance matrix
BLOCK_PAIRS = 8192  # pairs that are compared at a time
DIRECTIONS = 16  # in which distances are compared first
COVARIANCE_ROWS = 4096  # thumbnails whose principal directions are taken
MAX_MIRROR_SAMPLES = 1500  # maximum number of pictures used by `measure_mirror_share`
MIN_MIRROR_SAMPLES = 8  # with fewer pictures it returns None

Pairs = tuple[Int64[np.ndarray, "k"], Int64[np.ndarray, "k"]]


def find_near_duplicates(thumbnails: ThumbnailRows, ratio: float | None = None) -> tuple[Int64[np.ndarray, "n"], float]:
    """The group number of each picture, and the ratio of distance to contrast below which two are near duplicates.

    ratio: 0 to 1; 0 groups nothing. None: NEAR_DUPLICATE_RATIO or, where chains of near duplicates link most pictures
    of a set to one group (the frames of a film), the first half, quarter or eighth of it that does not. Raises
    InputError for a ratio outside of its range.
    """
    if ratio is not None:
        if not 0 <= ratio <= 1:
            raise InputError(f"near duplicates must be between 0 and 1, got {ratio}")
        return group_near_duplicates(thumbnails, ratio), ratio
    ratio = NEAR_DUPLICATE_RATIO
    for _ in range(MAX_HALVINGS):
        groups = group_near_duplicates(thumbnails, ratio)
        if len(groups) < MIN_CUT or int(np.bincount(groups).max()) <= MAX_GROUP_SHARE * len(groups):
            return groups, ratio
        ratio /= 2
    return group_near_duplicates(thumbnails, ratio), ratio


def group_near_duplicates(
    thumbnails: ThumbnailRows, ratio: float = NEAR_DUPLICATE_RATIO, exact: bool | None = None
) -> Int64[np.ndarray, "n"]:
    """The group number of each picture: the lowest index of its group. Near duplicates of one picture share a group.

    exact: whether all pairs count; None: up to MAX_COMPARED pictures.
    """
    n = len(thumbnails)
    if n < 2 or ratio == 0:
        return np.arange(n)
    groups = _Groups(n)
    exact = n <= MAX_COMPARED if exact is None else exact
    contrast = np.concatenate([_contrast_energy(block) for _, block in in_blocks(thumbnails)])
    candidates = _find_pairs(thumbnails, ratio**2 * contrast) if exact else find_candidates(thumbnails, contrast > 0)
    for first, second in candidates:
        for start in range(0, len(first), BLOCK_PAIRS):
            one, other = first[start : start + BLOCK_PAIRS], second[start : start + BLOCK_PAIRS]
            apart = groups.labels[one] != groups.labels[other]
            one, other = one[apart], other[apart]
            if len(one):
                difference = thumbnails[one].astype(np.float64) - thumbnails[other]
                limit = ratio**2 * np.minimum(contrast[one], contrast[other])
                near = np.einsum("ij,ij->i", difference, difference) < limit
                groups.join(one[near], other[near])
    return groups.labels


class _Groups:
    """Groups of pictures that are joined by pairs."""

    def __init__(self, n: int) -> None:
        self.labels = np.arange(n)  # the lowest index of the group of each picture

    def join(self, first: Int64[np.ndarray, "k"], second: Int64[np.ndarray, "k"]) -> None:
        """Join the groups of the pictures of each pair."""
        parents: dict[int, int] = {}

        def find(label: int) -> int:
            while (parent := parents.get(label, label)) != label:
                parents[label] = label = parents.get(parent, parent)
            return label

        for one, other in zip(self.labels[first].tolist(), self.labels[second].tolist(), strict=True):
            low, high = sorted((find(one), find(other)))
            if low != high:
                parents[high] = low
        if parents:
            old = np.array([*parents])
            names = np.arange(len(self.labels))
            names[old] = [find(label) for label in old.tolist()]
            self.labels = names[self.labels]


def _find_pairs(thumbnails: ThumbnailRows, reach: Float64[np.ndarray, "n"]) -> Iterator[Pairs]:
    """Pairs that contain all whose squared distance is below the reach of each; not all pairs are looked at.

    In the first principal directions no distance is longer than it is, so what is far there is left out: first by the
    order along the first direction, then in all DIRECTIONS.
    """
    mean, directions = _principal_directions(thumbnails)
    placed = np.concatenate([(block - mean) @ directions for _, block in in_blocks(thumbnails)])
    order = np.argsort(placed[:, 0], kind="stable")
    placed, reach = placed[order], reach[order]
    norms = (placed**2).sum(1)
    slack = 1e-5 * float(norms.max())  # more than rounding to single precision changes a squared distance
    # |a - b|² < reach of b + slack, as one product: [a, 1, |a|²] · [2b, reach - |b|² + slack, -1] > 0
    ones = np.ones(len(placed))
    left = np.column_stack([placed, ones, norms]).astype(np.float32)
    right = np.column_stack([2 * placed, reach - norms + slack, -ones]).astype(np.float32)
    for first in range(0, len(placed), BLOCK_ROWS):
        rows = slice(first, min(first + BLOCK_ROWS, len(placed)))
        span = (float(reach[rows].max()) + slack) ** 0.5
        end = int(np.searchsorted(placed[:, 0], placed[rows, 0].max() + span, side="right"))
        for start in range(first, end, 16 * BLOCK_ROWS):
            near = left[rows] @ right[start : min(start + 16 * BLOCK_ROWS, end)].T > 0
            found = np.flatnonzero(near)
            one, other = first + found // near.shape[1], start + found % near.shape[1]
            is_pair = one < other
            yield order[one[is_pair]], order[other[is_pair]]


def _principal_directions(thumbnails: ThumbnailRows) -> tuple[Float64[np.ndarray, "256"], Float64[np.ndarray, "256 d"]]:
    """The mean of some thumbnails spread over the set, and their first DIRECTIONS principal directions: unit vectors
    at right angles."""
    n = len(thumbnails)
    sample = thumbnails[np.unique(np.linspace(0, n - 1, min(n, COVARIANCE_ROWS)).astype(np.int64))].astype(np.float64)
    mean = sample.mean(0)
    sample = sample - mean
    return mean, np.linalg.eigh(sample.T @ sample)[1][:, ::-1][:, :DIRECTIONS]


def measure_mirror_share(thumbnails: ThumbnailRows, groups: Int64[np.ndarray, "n"]) -> float | None:
    """The share of pictures whose mirror image is at least as near to the set as the picture's nearest neighbor.

    If left and right have no meaning in the set, a mirrored picture is like one more picture of it, and the share is
    about a half or more. If all pictures face one way, it is near 0. Each group of near duplicates counts once.
    Returns None for fewer than MIN_MIRROR_SAMPLES pictures.
    """
    representatives = np.flatnonzero(groups == np.arange(len(groups)))
    if len(representatives) < MIN_MIRROR_SAMPLES:
        return None
    if len(representatives) > MAX_MIRROR_SAMPLES:
        representatives = representatives[np.linspace(0, len(representatives) - 1, MAX_MIRROR_SAMPLES).astype(np.int64)]
    x = thumbnails[representatives].astype(np.float64)
    mirrored = x.reshape(-1, 4, THUMBNAIL_SIZE, THUMBNAIL_SIZE)[..., ::-1].reshape(len(x), -1)
    norms = (x**2).sum(1)
    distances = norms[:, None] + norms[None, :] - 2 * x @ x.T
    np.fill_diagonal(distances, np.inf)
    mirrored_distances = norms[:, None] + norms[None, :] - 2 * mirrored @ x.T
    return float((mirrored_distances.min(1) <= distances.min(1) + 1e-6 * norms).mean())


def _contrast_energy(thumbnails: Thumbnails) -> Float64[np.ndarray, "n"]:
    """The sum of squares of each thumbnail after subtracting the mean of each channel."""
    planes = thumbnails.astype(np.float64).reshape(len(thumbnails), 4, -1)
    return ((planes - planes.mean(2, keepdims=True)) ** 2).sum((1, 2))
