"""Which pictures of a list are no near duplicates of earlier ones.

The criterion is that of noisette.data.near_duplicates. There, all that is near to each other becomes one group, however
long the chain; here a picture stays unless it is near to one that stayed before it, so more of a set of many variants
is kept, and the order decides which.
"""

import numpy as np

from noisette.data.near_duplicates import NEAR_DUPLICATE_RATIO

BLOCK_ROWS = 1024


def keep_distinct(thumbnails: np.ndarray, always: int) -> np.ndarray:
    """Which of the thumbnails (n, 256), float32, to keep, (n,): the first `always`, and those near to none kept."""
    planes = thumbnails.reshape(len(thumbnails), 4, -1)
    contrast = ((planes - planes.mean(2, keepdims=True)) ** 2).sum((1, 2))
    reach = NEAR_DUPLICATE_RATIO**2 * contrast
    x = thumbnails - thumbnails.mean(0)
    norms = (x**2).sum(1)
    kept = np.zeros(len(x), bool)
    for start in range(0, len(x), BLOCK_ROWS):
        end = min(start + BLOCK_ROWS, len(x))
        squared = norms[start:end, None] + norms[None, :end] - 2 * x[start:end] @ x[:end].T
        near = squared < np.minimum(reach[start:end, None], reach[None, :end])
        for i in range(start, end):
            kept[i] = i < always or not (near[i - start, :i] & kept[:i]).any()
    return kept
