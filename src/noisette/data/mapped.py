"""Arrays that are mapped into memory: giving back what was read of them."""

import mmap

import numpy as np


def release(array: np.ndarray) -> None:
    """Let the system take back the memory of the pages that were read of a mapped file; they are read again when they
    are needed. Nothing happens for other arrays."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(base, "madvise"):
        base.madvise(mmap.MADV_DONTNEED)
