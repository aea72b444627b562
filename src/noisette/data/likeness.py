"""Which pictures are nearly the same, and whether a set would look the same in a mirror.

Both are judged on thumbnails: 8 × 8 averages of premultiplied colour and alpha. Two pictures are near duplicates when
what tells their thumbnails apart has less than 2 % of the energy of either one's own contrast (a ratio of 0.15). On
Twemoji that joins the clock faces and the families, and leaves the smileys apart; of 1,797 digits it joins two. Saved
again as JPEG, a picture stays within it. Mirrored pictures are not near duplicates.
"""

import numpy as np
from jaxtyping import Float64, Int64

from .entry import Pixels
from .modes import as_mode
from .resize import area_sums

SIDE = 8  # of a thumbnail
NEAR = 0.15  # the ratio of distance to contrast below which two pictures are near duplicates
BLOCK = 512  # rows that are compared at a time
MIRRORED = 1500  # pictures that the mirror is tried on
TELLING = 8  # with fewer pictures the mirror tells nothing

Thumbnails = Float64[np.ndarray, "n 256"]


def thumbnail(pixels: Pixels) -> Float64[np.ndarray, "256"]:
    """Red, green, blue and alpha in 8 × 8, premultiplied, each 0 to 255; flat."""
    rgba = as_mode(pixels, "RGBA")
    sums = area_sums(rgba, SIDE, SIDE) / (rgba.shape[0] * rgba.shape[1])
    sums[:3] /= 255
    return sums.ravel()


def near_groups(thumbnails: Thumbnails) -> Int64[np.ndarray, "n"]:
    """The number of each picture's group of near duplicates: the least index in it. Groups are joined by chains.

    Exact, and yet not every pair is looked at: in the order of one projection, a near duplicate is never far.
    """
    groups = np.arange(len(thumbnails))
    if len(thumbnails) < 2:
        return groups
    x = thumbnails - thumbnails.mean(0)
    contrast = _contrast(thumbnails)
    projected = x @ _widest(x)
    order = np.argsort(projected, kind="stable")
    x, reach, projected = x[order], NEAR**2 * contrast[order], projected[order]
    norms = (x**2).sum(1)
    for first in range(0, len(x), BLOCK):
        rows = slice(first, min(first + BLOCK, len(x)))
        end = int(np.searchsorted(projected, projected[rows].max() + reach[rows].max() ** 0.5, side="right"))
        for start in range(first, end, 16 * BLOCK):
            cols = slice(start, min(start + 16 * BLOCK, end))
            squared = norms[rows, None] + norms[None, cols] - 2 * x[rows] @ x[cols].T
            near = squared < np.minimum(reach[rows, None], reach[None, cols])
            for i in np.flatnonzero(near.any(1)):
                joined = groups[order[cols]][near[i]]
                own = groups[order[first + i]]
                if (joined != own).any():
                    groups[np.isin(groups, joined)] = own
    least = np.full(len(groups), len(groups))
    np.minimum.at(least, groups, np.arange(len(groups)))
    return least[groups]


def _widest(x: Thumbnails) -> Float64[np.ndarray, "256"]:
    """A direction of length 1 in which they lie far apart: a few rounds of power iteration from plain brightness."""
    direction = np.ones(x.shape[1])
    for _ in range(4):
        direction = x.T @ (x @ direction) + 1e-9
        direction /= np.linalg.norm(direction)
    return direction


def mirror_share(thumbnails: Thumbnails, groups: Int64[np.ndarray, "n"]) -> float | None:
    """How often a mirrored picture is at least as near to the set as the picture's own nearest neighbour is.

    Where left and right mean nothing, a mirrored picture is one more picture of the set (or the same one again), so
    it is as near as others are: half of the time or more. Where all look one way it is hardly ever so. None: too few
    pictures to tell. Near duplicates count once.
    """
    one_each = np.flatnonzero(groups == np.arange(len(groups)))
    if len(one_each) < TELLING:
        return None
    if len(one_each) > MIRRORED:
        one_each = one_each[np.linspace(0, len(one_each) - 1, MIRRORED).astype(np.int64)]
    x = thumbnails[one_each]
    mirrored = x.reshape(-1, 4, SIDE, SIDE)[..., ::-1].reshape(len(x), -1)
    norms = (x**2).sum(1)
    apart = norms[:, None] + norms[None, :] - 2 * x @ x.T
    np.fill_diagonal(apart, np.inf)
    across = norms[:, None] + norms[None, :] - 2 * mirrored @ x.T
    return float((across.min(1) <= apart.min(1) + 1e-6 * norms).mean())


def _contrast(thumbnails: Thumbnails) -> Float64[np.ndarray, "n"]:
    """The energy that is left of each thumbnail when every channel's mean is taken away."""
    planes = thumbnails.reshape(len(thumbnails), 4, -1)
    return ((planes - planes.mean(2, keepdims=True)) ** 2).sum((1, 2))
