"""Windows: every pixel is covered, a call has the size it should have, and the pictures have no seams."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from closed_forms import Correlated, gaussian
from noisette.diffusion.denoiser import Prediction
from noisette.diffusion.grid import karras
from noisette.diffusion.guidance import DenoiserWrapper
from noisette.diffusion.noise import Seeded
from noisette.diffusion.posterior import LearnedRange
from noisette.diffusion.sampler import DDIM, DDPM, DPMSolver2M, Heun, sample
from noisette.diffusion.schedule import Cosine
from noisette.diffusion.windows import Canvas, WindowedDenoiser
from noisette.errors import InputError

T = torch.tensor(0.4, dtype=torch.float64)
X = torch.zeros(1, 1, 8, 8)
SIZES = [(8, 8, 8, 8), (9, 12, 8, 8), (16, 31, 8, 8), (20, 33, 7, 16), (48, 8, 16, 8)]


@pytest.mark.parametrize("wraps", [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("size", SIZES)
def test_windows_cover_every_pixel_and_overlap_by_half(size, wraps) -> None:
    canvas = Canvas(*size, wrap_x=wraps[0], wrap_y=wraps[1])
    places, total, covered = canvas.places(T, X), torch.zeros(size[:2]), torch.zeros(size[:2])
    assert len(places) == canvas.num_windows
    for (rows, down), (columns, across) in places:
        assert len(set(rows.tolist())) == size[2] and len(set(columns.tolist())) == size[3]
        for pixels, side, wrap in ((rows, size[0], canvas.wrap_y), (columns, size[1], canvas.wrap_x)):
            assert wrap or torch.equal(pixels, torch.arange(int(pixels[0]), int(pixels[-1]) + 1))
            assert torch.equal(pixels, (pixels[0] + torch.arange(len(pixels))) % side)
        total[rows[:, None], columns] += down[:, None] * across
        covered[rows[:, None], columns] += 1
    torch.testing.assert_close(total, torch.ones_like(total))
    least = [1 if wrap is False else 2 for wrap in wraps]  # at a border that is one, a pixel has one window
    assert covered.min() >= least[0] * least[1]
    starts = sorted({int(columns[0]) for _, (columns, _) in places})
    assert all(b - a <= -(-size[3] // 2) for a, b in pairwise(starts))


def test_windows_across_an_edge_begin_elsewhere_at_every_time() -> None:
    canvas = Canvas(16, 32, 8, 8, wrap_x=True)
    first, second = (canvas.places(T * factor, X) for factor in (1, 0.9))
    assert [int(rows[0]) for (rows, _), _ in first] == [int(rows[0]) for (rows, _), _ in second]
    assert {int(columns[0]) for _, (columns, _) in first} != {int(columns[0]) for _, (columns, _) in second}
    again = canvas.places(torch.stack([T, T]), X.expand(2, -1, -1, -1))
    assert [int(columns[0]) for _, (columns, _) in first] == [int(columns[0]) for _, (columns, _) in again]


class Counted(DenoiserWrapper):
    """A denoiser that writes down how many pictures each call has, and tells a variance of its own."""

    calls: list[int] = []  # noqa: RUF012

    def __call__(self, x: Tensor, t: Tensor) -> Prediction:
        assert x.shape[2:] == (8, 8) and (t.ndim == 0 or len(t) == len(x))
        self.calls.append(len(x))
        return replace(self.denoiser(x, t), variance=2 * x)


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize("per_call", [1, 4, 7, 15])
def test_a_denoiser_of_pixels_predicts_large_pictures_like_small_ones(wrap, per_call) -> None:
    """Where pixels are independent, windows change nothing; all calls have the same size."""
    d, x = gaussian(Cosine()), torch.randn(2, 3, 13, 24, dtype=torch.float64)
    canvas = Canvas(13, 24, 8, 8, wrap, wrap)
    counted = Counted(d)
    counted.calls.clear()
    for t in (T, torch.stack([T, T / 2])):
        got, right = WindowedDenoiser(counted, canvas, per_call)(x, t), d(x, t)
        torch.testing.assert_close((got.x0, got.eps, got.variance), (right.x0, right.eps, 2 * x))
    assert set(counted.calls) == {2 * per_call}
    assert len(counted.calls) == 2 * -(-canvas.num_windows // per_call)


@pytest.mark.parametrize(("batch", "images"), [(16, 1), (16, 4), (1, 1), (256, 3), (40, 8)])
@pytest.mark.parametrize("size", SIZES)
def test_no_call_has_more_windows_than_the_batch(size, batch, images) -> None:
    canvas = Canvas(*size)
    number = canvas.windows_per_call(batch, images)
    assert 1 <= number <= canvas.num_windows and (number * images <= max(batch, images))
    wasted = -canvas.num_windows % number
    assert wasted < -(-canvas.num_windows // number), "fewer windows are predicted twice than there are calls"
    assert canvas.images_per_batch(batch) == max(1, batch // canvas.num_windows)


def test_a_learned_variance_is_used() -> None:
    d = WindowedDenoiser(Counted(gaussian(Cosine())), Canvas(8, 24, 8, 8, wrap_x=True))
    noise = Seeded([0, 1])
    drawn = sample(d, DDPM(LearnedRange()), karras(d.schedule, 4), noise(torch.empty(2, 3, 8, 24)), noise)
    assert drawn.shape == (2, 3, 8, 24) and drawn.isfinite().all()


def steps_at(x: Tensor) -> Tensor:
    """The mean step from each column to the next, around the torus; its mean is 1."""
    steps = (x - x.roll(-1, -1)).abs().mean((0, 1, 2))
    return steps / steps.mean()


@pytest.mark.parametrize("sampler", [DDIM(), DDPM(), Heun(), DPMSolver2M()])
def test_large_pictures_have_no_seams_inside_and_none_at_edges_that_wrap(sampler) -> None:
    """The best denoiser of 8×8 pictures draws 8×28 ones: no column differs from its neighbor more than others do."""
    place = torch.stack(torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij"), -1).reshape(-1, 2).double()
    d = Correlated(Cosine(), torch.exp(-torch.cdist(place, place) / 12))
    noise, n = Seeded(range(32)), 32
    z = noise(torch.empty(n, 1, 8, 28, dtype=torch.float64))
    drawn = {
        wrap: sample(
            WindowedDenoiser(d, Canvas(8, 28, 8, 8, wrap_x=wrap)), sampler, karras(d.schedule, 15), z, Seeded(range(n))
        )
        for wrap in (False, True)
    }
    for wrap, x in drawn.items():
        steps = steps_at(x)
        assert steps[:-1].max() < 1.5 * steps[:-1].min()
        assert (steps[-1] < 1.3) == wrap, steps[-1]
    # as rough as the small pictures that the denoiser knows
    small = sample(d, sampler, karras(d.schedule, 15), z[..., :8], Seeded(range(n)))
    assert drawn[True].diff(dim=-1).abs().mean() / small.diff(dim=-1).abs().mean() == pytest.approx(1, abs=0.35)


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="at least 8×16 pixels, the model's own size, got 40×15"):
        Canvas(15, 40, 16, 8)
    with pytest.raises(InputError, match="at most 4096 pixels a side, got 5000×16"):
        Canvas(16, 5000, 8, 8)
    with pytest.raises(InputError, match="at least 1 pixel a side"):
        Canvas(8, 8, 0, 8)
    with pytest.raises(InputError, match="the canvas has 16×8 pixels, and the picture 8×8"):
        WindowedDenoiser(gaussian(Cosine()), Canvas(8, 16, 8, 8))(torch.zeros(1, 3, 8, 8), T)
