from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from closed_forms import Correlated, gaussian
from noisette.data.seams import measure_seams, seam_ratio
from noisette.diffusion.denoiser import Denoiser, Prediction
from noisette.diffusion.grid import karras
from noisette.diffusion.guidance import DenoiserWrapper
from noisette.diffusion.noise import Seeded
from noisette.diffusion.posterior import LearnedRange
from noisette.diffusion.sampler import DDIM, DDPM, DPMSolver2M, Heun, sample
from noisette.diffusion.schedule import Cosine, RectifiedFlow
from noisette.edit.tile import OutpaintDenoiser, SeamlessDenoiser, border_mask, window_starts
from noisette.errors import InputError


def grain(size: int = 8, width: int = 8, reach: float = 12.0) -> torch.Tensor:
    """Smooth pictures whose left and right, top and bottom know nothing of each other: the covariance of pixels."""
    place = torch.stack(torch.meshgrid(torch.arange(size), torch.arange(width), indexing="ij"), -1).reshape(-1, 2)
    return torch.exp(-torch.cdist(place.double(), place.double()) / reach)


def test_the_seam_score_is_about_one_where_there_is_no_seam() -> None:
    wave = torch.sin(torch.arange(16) * 2 * torch.pi / 16).expand(1, 1, 16, 16)
    ramp = torch.linspace(-1, 1, 16).expand(1, 1, 16, 16)
    assert seam_ratio(wave, -1) == pytest.approx(1, abs=0.7)
    assert seam_ratio(ramp, -1) > 10
    assert seam_ratio(ramp, -2) == 1  # even in y
    assert seam_ratio(torch.zeros(3, 4, 8, 8), -1).tolist() == [1, 1, 1]
    assert torch.equal(seam_ratio(ramp.transpose(2, 3), -2), seam_ratio(ramp, -1))
    pixels = (127.5 * (ramp + 1)).round().to(torch.uint8)
    assert measure_seams(pixels) == {"seam_x": pytest.approx(14.6, abs=0.2), "seam_y": 1}


@pytest.mark.parametrize("sampler", [DDIM(), DDPM(), Heun(), DPMSolver2M()])
@pytest.mark.parametrize(("x", "y"), [(True, False), (False, True), (True, True)])
def test_samples_of_a_seamless_denoiser_have_no_seam(sampler, x, y) -> None:
    """The optimal denoiser of pictures with seams generates pictures without, in the requested axes."""
    d = Correlated(Cosine(), grain())
    grid, z = karras(d.schedule, 30), torch.randn(64, 1, 8, 8, dtype=torch.float64)
    assert isinstance(SeamlessDenoiser(d), Denoiser)
    plain = sample(d, sampler, grid, z, Seeded(range(64)))
    tiled = sample(SeamlessDenoiser(d, x, y), sampler, grid, z, Seeded(range(64)))
    for axis, seamless in ((-1, x), (-2, y)):
        before, after = seam_ratio(plain, axis).mean(), seam_ratio(tiled, axis).mean()
        assert before > 1.8
        assert (after < 1.3) == seamless, (axis, before, after)


def test_rolling_is_no_change_where_there_are_no_edges() -> None:
    d, x = gaussian(RectifiedFlow()), torch.randn(2, 3, 8, 8, dtype=torch.float64)
    t = torch.tensor(0.3, dtype=torch.float64)
    torch.testing.assert_close(SeamlessDenoiser(d)(x, t).eps, d(x, t).eps)


@pytest.mark.parametrize(("size", "window"), [(8, 8), (9, 8), (12, 8), (16, 8), (31, 8), (20, 7)])
def test_windows_cover_everything_and_overlap_by_half(size, window) -> None:
    found = window_starts(size, window)
    assert found[0] == 0 and found[-1] == size - window
    assert all(b - a <= -(-window // 2) for a, b in pairwise(found))


def test_a_windowed_denoiser_predicts_large_pictures_like_small_ones() -> None:
    d, t = gaussian(Cosine()), torch.tensor(0.4, dtype=torch.float64)
    x = torch.randn(2, 3, 13, 21, dtype=torch.float64)
    got, right = OutpaintDenoiser(d, 8, 8)(x, t), d(x, t)
    torch.testing.assert_close((got.x0, got.eps), (right.x0, right.eps))
    with pytest.raises(InputError, match="must be at least 8 pixels a side, the model's size, got 6"):
        OutpaintDenoiser(d, 8, 8)(x[..., :6], t)


class Learned(DenoiserWrapper):
    """A denoiser that tells a variance of its own: where a pixel is, as a number."""

    def __call__(self, x: torch.Tensor, t: torch.Tensor) -> Prediction:
        return replace(self.denoiser(x, t), variance=2 * x)


def test_a_learned_variance_is_passed_on() -> None:
    d, t = Learned(gaussian(Cosine())), torch.tensor(0.4, dtype=torch.float64)
    x = torch.randn(2, 3, 13, 21, dtype=torch.float64)
    for around in (SeamlessDenoiser(d), OutpaintDenoiser(d, 8, 8)):
        found = around(x, t).variance
        assert found is not None
        torch.testing.assert_close(found, 2 * x)
    drawn = sample(
        SeamlessDenoiser(d), DDPM(LearnedRange()), karras(d.schedule, 4), torch.randn(2, 3, 8, 8), Seeded([0, 1])
    )
    assert drawn.isfinite().all()


def test_a_border_is_what_is_drawn_anew() -> None:
    known = border_mask(8, 12, 2, wrap_x=True, wrap_y=False)
    assert known.sum() == 8 * 8 and known[0, 0, :, 2:10].all()
    assert border_mask(8, 12, 2).sum() == 4 * 8
    for band in (0, 4, 9):
        with pytest.raises(InputError, match="border width must be at least 1 and leave part of the"):
            border_mask(8, 12, band)
