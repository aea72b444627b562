"""Area averaging is exact, and pixel art invents nothing."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from noisette.data.resize import (
    area_sums,
    coverage_matrix,
    integer_factor,
    is_lossless_shrink,
    pad,
    resize_and_pad,
    resize_area,
    size_within,
)
from noisette.errors import InputError

from .build import noise

sides = st.integers(1, 24)
targets = st.integers(8, 24)


@st.composite
def pictures(draw: st.DrawFn) -> np.ndarray:
    c = draw(st.integers(1, 4))
    pixels = draw(arrays(np.uint8, (draw(sides), draw(sides), c)))
    if c in (2, 4):
        pixels[pixels[..., -1] == 0] = 0
    return pixels


@settings(deadline=None)
@given(sides, sides)
def test_every_old_pixel_is_used_up_and_every_new_one_filled(old: int, new: int) -> None:
    cover = coverage_matrix(old, new)
    assert (cover.sum(1) == old).all() and (cover.sum(0) == new).all() and (cover >= 0).all()


@settings(deadline=None)
@given(pictures(), sides, sides)
def test_the_mean_of_a_picture_is_kept(pixels: np.ndarray, height: int, width: int) -> None:
    light = pixels.astype(np.int64)
    if pixels.shape[2] in (2, 4):
        light[..., :-1] *= light[..., -1:]
    sums = area_sums(pixels, height, width)
    assert (sums.sum((1, 2)) == height * width * light.sum((0, 1))).all()  # exactly, in whole numbers


@settings(deadline=None)
@given(pictures(), sides, sides)
def test_it_equals_exact_fractions(pixels: np.ndarray, height: int, width: int) -> None:
    """One new pixel, by the definition, in rational numbers."""
    h, w, channels = pixels.shape
    i, j = height // 2, width // 3
    has_alpha = channels in (2, 4)

    def shared(a: int, old: int, b: int, new: int) -> Fraction:
        return max(
            Fraction(0), min(Fraction(a + 1, old), Fraction(b + 1, new)) - max(Fraction(a, old), Fraction(b, new))
        )

    totals, everything = [Fraction(0)] * channels, Fraction(0)
    for y in range(h):
        for x in range(w):
            if part := shared(y, h, i, height) * shared(x, w, j, width):
                pixel = [int(v) for v in pixels[y, x]]
                alpha = pixel[-1] if has_alpha else 1
                values = [v * alpha for v in pixel[:-1]] + [alpha] if has_alpha else pixel
                totals = [t + part * v for t, v in zip(totals, values, strict=True)]
                everything += part
    if has_alpha:
        opacity = totals[-1]
        expected = [t / opacity if opacity else Fraction(0) for t in totals[:-1]] + [opacity / everything]
    else:
        expected = [t / everything for t in totals]
    rounded = [int(v + Fraction(1, 2)) for v in expected]
    if has_alpha and rounded[-1] == 0:
        rounded = [0] * channels
    assert resize_area(pixels, height, width)[i, j].tolist() == rounded


@settings(deadline=None)
@given(st.lists(st.integers(0, 255), min_size=1, max_size=4), sides, sides, sides, sides)
def test_one_color_stays_that_color(color: list[int], h: int, w: int, height: int, width: int) -> None:
    if len(color) in (2, 4) and color[-1] == 0:
        color = [0] * len(color)
    pixels = np.broadcast_to(np.array(color, np.uint8), (h, w, len(color)))
    assert (resize_area(pixels, height, width) == color).all()


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**32), st.sampled_from([1, 3]))
def test_a_whole_factor_is_the_mean_of_blocks(k: int, m: int, seed: int, channels: int) -> None:
    pixels = noise(seed, 4 * k, 3 * m, channels)
    blocks = pixels.reshape(4, k, 3, m, channels).astype(np.int64).sum((1, 3))
    assert (resize_area(pixels, 4, 3) == (2 * blocks + k * m) // (2 * k * m)).all()


def test_a_hidden_color_does_not_leak() -> None:
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:, ::2] = (10, 200, 30, 255)  # the others are clear black
    small = resize_area(pixels, 4, 4)
    assert (small == (10, 200, 30, 128)).all()  # no darkening: half covered, full color


def test_no_halo_around_a_disc() -> None:
    y, x = np.mgrid[:72, :72]
    pixels = np.zeros((72, 72, 4), np.uint8)
    pixels[np.hypot(y - 35.5, x - 35.5) < 30] = (250, 240, 230, 255)
    small = resize_area(pixels, 16, 16)
    assert (small[small[..., 3] > 0][:, :3] == (250, 240, 230)).all()
    assert 0 < ((small[..., 3] > 0) & (small[..., 3] < 255)).sum() < 80


def test_large_pictures_are_taken_in_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = noise(1, 100, 70, 4)
    whole = resize_area(pixels, 16, 16)
    monkeypatch.setattr("noisette.data.resize.BAND_PIXELS", 7 * 70)
    assert (resize_area(pixels, 16, 16) == whole).all()


@settings(deadline=None)
@given(sides, sides, targets, targets)
def test_proportions_are_kept_to_half_a_pixel(h: int, w: int, height: int, width: int) -> None:
    a, b = size_within(h, w, height, width)
    assert 1 <= a <= height and 1 <= b <= width and (a == height or b == width)
    scale = min(Fraction(height, h), Fraction(width, w))
    assert abs(a - max(1, h * scale)) <= Fraction(1, 2) and abs(b - max(1, w * scale)) <= Fraction(1, 2)


@settings(deadline=None)
@given(pictures(), targets, targets, st.booleans())
def test_resize_and_pad_gives_the_requested_size(pixels: np.ndarray, height: int, width: int, art: bool) -> None:
    h, w, channels = pixels.shape
    if art and not integer_factor(h, w, height, width):
        with pytest.raises(InputError, match="by a whole factor"):
            resize_and_pad(pixels, height, width, pixel_art=True)
        return
    new = resize_and_pad(pixels, height, width, pixel_art=art)
    assert new.shape == (height, width, channels) and new.dtype == np.uint8


def colors(pixels: np.ndarray) -> set[tuple[int, ...]]:
    return {tuple(c) for c in pixels.reshape(-1, pixels.shape[2]).tolist()}


@settings(deadline=None)
@given(pictures(), targets, targets)
def test_pixel_art_resizing_keeps_to_the_colors_of_the_picture(pixels: np.ndarray, height: int, width: int) -> None:
    h, w, channels = pixels.shape
    if not integer_factor(h, w, height, width):
        return
    new = resize_and_pad(pixels, height, width, pixel_art=True)
    clear = {(0,) * channels} if channels in (2, 4) else set()
    assert colors(new) <= colors(pixels) | clear


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(0, 2**32))
def test_pixel_art_there_and_back(k: int, seed: int) -> None:
    pixels = noise(seed, 8, 10, 4)
    pixels[..., 3] |= 1
    large = resize_and_pad(pixels, 8 * k, 10 * k, pixel_art=True)
    assert (large == pixels.repeat(k, 0).repeat(k, 1)).all()
    assert is_lossless_shrink(large, 8, 10) and (resize_and_pad(large, 8, 10, pixel_art=True) == pixels).all()
    assert k == 1 or not is_lossless_shrink(noise(seed, 8 * k, 10 * k), 8, 10)


def test_pixel_art_is_centered_and_refused_in_words() -> None:
    pixels = np.full((5, 7, 4), 255, np.uint8)
    new = resize_and_pad(pixels, 16, 16, pixel_art=True)  # twice as large, 10 × 14, in the middle
    assert (new[3:13, 1:15] == 255).all() and new.astype(int).sum() == 10 * 14 * 4 * 255
    with pytest.raises(InputError, match=r"72×48 cannot become pixel art of 16×16.*use 72×48 or 36×24"):
        resize_and_pad(np.zeros((48, 72, 3), np.uint8), 16, 16, pixel_art=True)


def test_padding() -> None:
    assert (pad(np.full((2, 4, 4), 9, np.uint8), 4, 4)[[0, 3]] == 0).all()  # transparent
    opaque = np.array([[[1], [2]], [[3], [4]]], np.uint8)
    assert pad(opaque, 4, 4)[..., 0].tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
