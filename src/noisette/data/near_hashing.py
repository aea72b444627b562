"""Pairs of thumbnails that may be near duplicates, by locality-sensitive hashing, for sets too large to compare all.

Each thumbnail gets BITS bits: on which side of the set's median it lies in a random direction (Charikar 2002), after
the mean of each of its channels is subtracted. Near duplicates lie within an angle of asin(0.15) of each other, so that
a bit differs in at most 5 % of pairs. A band is a sample of BAND_BITS of the bits (Indyk and Motwani 1998); pictures
that agree in all bits of a band are candidates. BANDS bands leave out one in a thousand pairs at the limit, and fewer
of nearer ones. In a band, pictures are sorted by their bits, and each is paired with up to NEIGHBORS that follow it
with the same bits, so that the cost grows with n log n whatever the set.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8

from .thumbnails import VALUES, ThumbnailRows, Thumbnails, in_blocks

BITS = 256
BAND_BITS = 24
BANDS = 20
NEIGHBORS = 32
MAX_DIFFERENT = 0.25  # share of the bits in which a candidate pair may differ
SAMPLE_ROWS = 4096  # thumbnails of which the medians are taken
SEED = 0x6E6F6973
BIT_COUNTS = np.array([bin(byte).count("1") for byte in range(256)], np.uint8)

Codes = UInt8[np.ndarray, "n 32"]
Pairs = tuple[Int64[np.ndarray, "k"], Int64[np.ndarray, "k"]]


def find_candidates(thumbnails: ThumbnailRows, usable: Bool[np.ndarray, "n"]) -> Iterator[Pairs]:
    """Pairs of usable thumbnails that agree in a band and in most of all bits."""
    codes, rng = hash_thumbnails(thumbnails), np.random.default_rng(SEED + 1)
    rows = np.flatnonzero(usable)
    bits = [rng.choice(BITS, BAND_BITS, replace=False) for _ in range(BANDS)]
    for band in bits:
        keys = _band_keys(codes, band)[rows]
        rest = codes[rows][:, rng.integers(0, codes.shape[1], 4)].copy().view(np.uint32)[:, 0]
        order = np.argsort(keys.astype(np.uint64) << np.uint64(32) | rest, kind="stable")
        keys, sorted_rows = keys[order], rows[order]
        for step in range(1, NEIGHBORS + 1):
            same = np.flatnonzero(keys[step:] == keys[:-step])
            if not len(same):
                break
            first, second = sorted_rows[same], sorted_rows[same + step]
            different = BIT_COUNTS[codes[first] ^ codes[second]].sum(1, dtype=np.uint16)
            near = different <= MAX_DIFFERENT * BITS
            yield first[near], second[near]


def hash_thumbnails(thumbnails: ThumbnailRows) -> Codes:
    """The bits of each thumbnail."""
    directions = np.random.default_rng(SEED).standard_normal((VALUES, BITS)).astype(np.float32)
    n = len(thumbnails)
    sample = thumbnails[np.unique(np.linspace(0, n - 1, min(n, SAMPLE_ROWS)).astype(np.int64))]
    medians = np.median(_center(sample) @ directions, axis=0)
    return np.concatenate(
        [np.packbits(_center(block) @ directions > medians, axis=1) for _, block in in_blocks(thumbnails)]
    )


def _center(thumbnails: Thumbnails) -> Float32[np.ndarray, "n 256"]:
    """The thumbnails without the mean of each channel."""
    planes = thumbnails.reshape(len(thumbnails), 4, -1)
    return (planes - planes.mean(2, keepdims=True)).reshape(len(thumbnails), -1).astype(np.float32)


def _band_keys(codes: Codes, band: Int64[np.ndarray, "b"]) -> Int64[np.ndarray, "n"]:
    """The bits of a band as one number per picture."""
    keys = np.zeros(len(codes), np.int64)
    for bit in band.tolist():
        keys = keys << 1 | (codes[:, bit // 8] >> (7 - bit % 8) & 1)
    return keys
