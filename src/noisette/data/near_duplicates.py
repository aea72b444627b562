"""Detection of near duplicates, and of sets that can be mirrored without harm.

Both use thumbnails: 8×8 averages of premultiplied color and alpha. Two pictures are near duplicates if the energy of
the difference of their thumbnails is less than 2.25 % of the contrast energy of each (a ratio of amplitudes of 0.15).
On Twemoji this joins the clock faces and the families but not the smileys; of the 1,797 digits it joins two. A picture
saved again as JPEG is still a near duplicate; its mirror image is not.
"""

import numpy as np
from jaxtyping import Float64, Int64

from ..errors import InputError
from .color_mode import convert_mode
from .entry import Pixels
from .resize import area_sums

THUMBNAIL_SIZE = 8  # pixels per side
NEAR_DUPLICATE_RATIO = 0.15  # maximum ratio of distance to contrast
MAX_HALVINGS = 3  # of this ratio in sets that it would make one group of
MAX_GROUP_SHARE = 0.5  # of the pictures of a set in one group, before the ratio is halved
MIN_CUT = 20  # in sets of fewer pictures the ratio is not halved
BLOCK_ROWS = 512  # thumbnails per block of the distance matrix
MAX_MIRROR_SAMPLES = 1500  # maximum number of pictures used by `measure_mirror_share`
MIN_MIRROR_SAMPLES = 8  # with fewer pictures it returns None

Thumbnails = Float64[np.ndarray, "n 256"]


def make_thumbnail(pixels: Pixels) -> Float64[np.ndarray, "256"]:
    """The thumbnail of a picture (h, w, c): premultiplied red, green, blue and alpha planes of 8×8, 0 to 255, flat."""
    rgba = convert_mode(pixels, "RGBA")
    sums = area_sums(rgba, THUMBNAIL_SIZE, THUMBNAIL_SIZE) / (rgba.shape[0] * rgba.shape[1])
    sums[:3] /= 255
    return sums.ravel()


def find_near_duplicates(thumbnails: Thumbnails, ratio: float | None = None) -> tuple[Int64[np.ndarray, "n"], float]:
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


def group_near_duplicates(thumbnails: Thumbnails, ratio: float = NEAR_DUPLICATE_RATIO) -> Int64[np.ndarray, "n"]:
    """The group number of each picture: the lowest index of its group. Near duplicates of one picture share a group.

    The result is exact, but not all pairs are compared: thumbnails are sorted by their projection on one direction,
    where the distance of two projections is at most that of the thumbnails.
    """
    groups = np.arange(len(thumbnails))
    if len(thumbnails) < 2:
        return groups
    x = thumbnails - thumbnails.mean(0)
    contrast = _contrast_energy(thumbnails)
    projected = x @ _principal_direction(x)
    order = np.argsort(projected, kind="stable")
    x, reach, projected = x[order], ratio**2 * contrast[order], projected[order]
    norms = (x**2).sum(1)
    for first in range(0, len(x), BLOCK_ROWS):
        rows = slice(first, min(first + BLOCK_ROWS, len(x)))
        end = int(np.searchsorted(projected, projected[rows].max() + reach[rows].max() ** 0.5, side="right"))
        for start in range(first, end, 16 * BLOCK_ROWS):
            cols = slice(start, min(start + 16 * BLOCK_ROWS, end))
            squared = norms[rows, None] + norms[None, cols] - 2 * x[rows] @ x[cols].T
            near = squared < np.minimum(reach[rows, None], reach[None, cols])
            for i in np.flatnonzero(near.any(1)):
                joined = groups[order[cols]][near[i]]
                target = groups[order[first + i]]
                if (joined != target).any():
                    groups[np.isin(groups, joined)] = target
    least = np.full(len(groups), len(groups))
    np.minimum.at(least, groups, np.arange(len(groups)))
    return least[groups]


def _principal_direction(x: Thumbnails) -> Float64[np.ndarray, "256"]:
    """A unit vector near the first principal component: four rounds of power iteration, starting from brightness."""
    direction = np.ones(x.shape[1])
    for _ in range(4):
        direction = x.T @ (x @ direction) + 1e-9
        direction /= np.linalg.norm(direction)
    return direction


def measure_mirror_share(thumbnails: Thumbnails, groups: Int64[np.ndarray, "n"]) -> float | None:
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
    x = thumbnails[representatives]
    mirrored = x.reshape(-1, 4, THUMBNAIL_SIZE, THUMBNAIL_SIZE)[..., ::-1].reshape(len(x), -1)
    norms = (x**2).sum(1)
    distances = norms[:, None] + norms[None, :] - 2 * x @ x.T
    np.fill_diagonal(distances, np.inf)
    mirrored_distances = norms[:, None] + norms[None, :] - 2 * mirrored @ x.T
    return float((mirrored_distances.min(1) <= distances.min(1) + 1e-6 * norms).mean())


def _contrast_energy(thumbnails: Thumbnails) -> Float64[np.ndarray, "n"]:
    """The sum of squares of each thumbnail after subtracting the mean of each channel."""
    planes = thumbnails.reshape(len(thumbnails), 4, -1)
    return ((planes - planes.mean(2, keepdims=True)) ** 2).sum((1, 2))
