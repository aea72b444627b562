"""Pictures larger than a denoiser's own, and pictures that wrap around: one denoiser, called for overlapping windows.

MultiDiffusion (Bar-Tal et al. 2023, arXiv:2302.08113): at every call the noisy picture is cut into windows, the
denoiser predicts all of them, and the prediction of a pixel is the weighted mean of those of its windows.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..errors import InputError
from ..shapes import MAX_SIDE, Images, Time
from .denoiser import Prediction
from .guidance import DenoiserWrapper
from .noise import derive_seed

Place = tuple[Int[Tensor, "_"], Float[Tensor, "_"]]  # pixels of a window along one axis, and their weights


@dataclass(frozen=True)
class Canvas:
    """A picture of height × width pixels that is covered by windows of window_height × window_width.

    Neighboring windows overlap by half or more. With wrap_x, the left and the right edge are neighbors, and windows go
    across them; with wrap_y, the top and the bottom. Raises InputError for a picture smaller than its windows, or of
    more than 4096 pixels a side.
    """

    height: int
    width: int
    window_height: int
    window_width: int
    wrap_x: bool = False
    wrap_y: bool = False

    def __post_init__(self) -> None:
        window = f"{self.window_width}×{self.window_height}"
        if min(self.window_height, self.window_width) < 1:
            raise InputError(f"the windows of a canvas must be at least 1 pixel a side, got {window}")
        if self.height < self.window_height or self.width < self.window_width:
            raise InputError(
                f"the picture must be at least {window} pixels, the model's own size, got {self.width}×{self.height}"
            )
        if max(self.height, self.width) > MAX_SIDE:
            raise InputError(f"a picture may have at most {MAX_SIDE} pixels a side, got {self.width}×{self.height}")

    @property
    def num_windows(self) -> int:
        """How many windows cover the picture."""
        down = _count_windows(self.height, self.window_height, self.wrap_y)
        return down * _count_windows(self.width, self.window_width, self.wrap_x)

    def images_per_batch(self, batch: int) -> int:
        """How many pictures are drawn at once, if at most `batch` windows are predicted at once: at least 1."""
        return max(1, batch // self.num_windows)

    def windows_per_call(self, batch: int, images: int) -> int:
        """How many windows of each of `images` pictures are predicted by one call: at most `batch` in all, and so that
        all calls of a step are about equally large."""
        calls = -(-self.num_windows // max(1, batch // images))
        return -(-self.num_windows // calls)

    def places(self, t: Time, like: Images) -> list[tuple[Place, Place]]:
        """The windows at time t, each as its place in y and in x, on the device and with the dtype of `like`. The
        weights of all windows of a pixel add up to 1.

        In a direction that wraps, the windows begin at another pixel at every time, so that no pixel is always at an
        edge.
        """
        rows = list(_cover(self.height, self.window_height, self.wrap_y, _shift(t, "y"), like))
        columns = list(_cover(self.width, self.window_width, self.wrap_x, _shift(t, "x"), like))
        return [(row, column) for row in rows for column in columns]


@dataclass(frozen=True)
class WindowedDenoiser(DenoiserWrapper):
    """A denoiser of pictures of a canvas' size, made of one of its windows' size.

    windows_per_call: how many windows of each picture are predicted at once. The inner denoiser is called with
    (windows_per_call · B, C, window_height, window_width), first one window of each picture, then the next one, and
    must have a condition for each: those of the B pictures, repeated so often.
    """

    canvas: Canvas
    windows_per_call: int = 1

    def __call__(self, x: Images, t: Time) -> Prediction:
        canvas, number, total = self.canvas, self.windows_per_call, _Total()
        if x.shape[2:] != (canvas.height, canvas.width):
            raise InputError(
                f"the canvas has {canvas.width}×{canvas.height} pixels, and the picture {x.shape[3]}×{x.shape[2]}"
            )
        places = canvas.places(t, x)
        times = t.repeat(number) if t.ndim else t
        for first in range(0, len(places), number):
            part = places[first : first + number]
            filled = (part + places)[:number]  # a last call that lacks windows predicts others again
            windows = torch.cat([x[..., rows[:, None], columns] for (rows, _), (columns, _) in filled])
            total.add(x, part, self.denoiser(windows, times))
        return total.prediction()


class _Total:
    """Predictions of windows, added up to one of the whole picture."""

    def __init__(self) -> None:
        self.sums: list[Images] = []

    def add(self, x: Images, places: list[tuple[Place, Place]], pred: Prediction) -> None:
        """Add windows of the picture x, one of each image after the other."""
        parts = [pred.x0, pred.eps, *([] if pred.variance is None else [pred.variance])]
        self.sums = self.sums or [torch.zeros_like(x) for _ in parts]
        for total, part in zip(self.sums, parts, strict=True):
            for ((rows, down), (columns, across)), window in zip(places, part.split(len(x)), strict=False):
                total[..., rows[:, None], columns] += down[:, None] * across * window

    def prediction(self) -> Prediction:
        return Prediction(*self.sums)


def _count_windows(size: int, window: int, wraps: bool) -> int:
    """Of windows that cover `size` pixels in a direction, with steps of at most half a window."""
    step = max(1, window // 2)
    return -(-size // step) if wraps else 1 - (-(size - window) // step)


def _cover(size: int, window: int, wraps: bool, shift: int, like: Images) -> Iterator[Place]:
    """The places of the windows in one direction, with smooth weights: nearly 0 at the ends of a window."""
    count = _count_windows(size, window, wraps)
    if wraps:
        starts = [(shift + i * size // count) % size for i in range(count)]
    else:
        starts = [round(i * (size - window) / max(1, count - 1)) for i in range(count)]
    bump = (math.pi * (torch.arange(window, dtype=torch.float64, device="cpu") + 0.5) / window).sin() ** 2
    pixels = [(start + torch.arange(window, device="cpu")) % size for start in starts]
    total = torch.zeros(size, dtype=torch.float64, device="cpu")
    for place in pixels:
        total[place] += bump
    for place in pixels:
        yield place.to(like.device), (bump / total[place]).to(like)


def _shift(t: Time, axis: str) -> int:
    """A number of pixels that depends on the time."""
    return derive_seed("roll", axis, float(t.flatten()[0]).hex())
