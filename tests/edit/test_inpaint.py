import pytest
import torch

from closed_forms import Correlated, gaussian
from noisette.data.pictures import Pictures
from noisette.diffusion.grid import karras, trailing
from noisette.diffusion.noise import Seeded
from noisette.diffusion.sampler import DDIM, DDPM, Heun, UniPC
from noisette.diffusion.schedule import Cosine, VarianceExploding
from noisette.edit.inpaint import inpaint_ddnm, inpaint_repaint, pad_canvas, restore_known
from noisette.edit.tile import OutpaintDenoiser
from noisette.errors import InputError

KNOWN = (torch.arange(64).reshape(1, 1, 8, 8) % 5 > 0).float()


@pytest.mark.parametrize("way", [inpaint_repaint, inpaint_ddnm])
@pytest.mark.parametrize("sampler", [DDIM(1.0), Heun(), UniPC(2)])
def test_known_pixels_stay_and_the_others_differ_by_seed(way, sampler) -> None:
    d = gaussian(VarianceExploding(80.0))
    photo = torch.rand(1, 3, 8, 8).expand(4, -1, -1, -1) * 2 - 1
    drawn = way(d, sampler, karras(d.schedule, 6), photo, KNOWN, Seeded(range(4)), 2)
    known = KNOWN.expand_as(drawn) > 0
    torch.testing.assert_close(drawn[known], photo[known], rtol=0, atol=1e-6)
    assert drawn[~known].reshape(4, -1).std(0).min() > 0.02


@pytest.mark.parametrize(("way", "rounds"), [(inpaint_repaint, 10), (inpaint_ddnm, 10)])
def test_inpainted_pixels_have_the_conditional_distribution(way, rounds) -> None:
    """A row of pixels, each like its neighbor: the two in the gap are drawn from what the known ones leave open."""
    place = torch.arange(6.0, dtype=torch.float64)
    cov = torch.exp(-(place[:, None] - place).abs() / 8)
    known = torch.tensor([1.0, 1, 0, 0, 1, 1]).reshape(1, 1, 1, 6)
    photo = torch.tensor([0.5, 0.8, 0, 0, 1.4, 1.5], dtype=torch.float64).reshape(1, 1, 1, 6)
    d = Correlated(Cosine(), cov)
    drawn = way(d, DDPM(), trailing(25), photo.expand(2000, -1, -1, -1), known, torch.randn_like, rounds).flatten(1)
    is_known = known.flatten() > 0
    back = torch.linalg.solve(cov[is_known][:, is_known], cov[is_known][:, ~is_known])
    torch.testing.assert_close(drawn[:, ~is_known].mean(0), photo.flatten()[is_known] @ back, rtol=0, atol=0.08)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_what_is_kept_is_kept_to_the_byte(mode) -> None:
    """Whatever alpha it has and whatever color hides there."""
    pictures = Pictures(mode, 8, 8, binary_alpha=mode.endswith("A"))
    pixels = torch.randint(0, 256, (1, *pictures.shape), dtype=torch.uint8)
    drawn = pictures.decode(pictures.encode(pixels) * 0.5)
    result = restore_known(pixels, KNOWN, drawn)
    known = KNOWN.expand_as(pixels) > 0
    assert torch.equal(result[known], pixels[known]) and torch.equal(result[~known], drawn[~known])


def test_outpainting_is_inpainting_of_a_larger_canvas() -> None:
    """With a denoiser of the model's own size, evaluated window by window."""
    pictures, pixels = Pictures("RGB", 8, 8), torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    larger, known = pad_canvas(pixels, torch.ones(1, 1, 8, 8), 4)
    assert larger.shape == (2, 3, 16, 16) and torch.equal(larger[:, :, 4:12, 4:12], pixels)
    assert known.sum() == 64 and known[0, 0, 4:12, 4:12].all()
    d, photo = OutpaintDenoiser(gaussian(Cosine()), 8, 8), pictures.encode(larger)
    drawn = inpaint_repaint(d, DDIM(), trailing(4), photo, known, Seeded([0, 1]), 2)
    assert torch.equal(drawn[:, :, 4:12, 4:12], photo[:, :, 4:12, 4:12]) and drawn[:, :, 12:].std() > 0.1
    with pytest.raises(InputError, match="margin must be at least 1, got 0"):
        pad_canvas(pixels, known[:, :, 4:12, 4:12], 0)
