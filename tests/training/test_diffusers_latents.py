"""Latent models on the latents of an autoencoder that diffusers wrote."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny

import noisette
from commands import SMALL
from data.build import put
from noisette.data import Dataset
from noisette.data.pictures import LatentSpace, Pictures
from noisette.errors import InputError
from noisette.models.codec import from_mode, make_codec, to_mode
from noisette.models.config import Origin
from noisette.models.diffusers_autoencoder import open_folder
from noisette.models.picture_autoencoder import PictureAutoencoder
from noisette.models.picture_model import RUN_AUTOENCODER
from noisette.training import TrainOptions, train

SIDE = 30  # padded to 32 inside
OPTIONS = TrainOptions(preset="tiny", images=16, batch=8, precision="fp32", recipe=SMALL, size=(SIDE, SIDE))


@pytest.fixture(scope="module")
def vae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of an AutoencoderTiny with a factor of 4."""
    folder = tmp_path_factory.mktemp("diffusers") / "vae"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = AutoencoderTiny(
            encoder_block_out_channels=(8,) * 3, decoder_block_out_channels=(8,) * 3,
            num_encoder_blocks=(1, 1, 1), num_decoder_blocks=(1, 1, 1),
        )  # fmt: skip
    net.save_pretrained(folder)
    return folder


def pictures(folder: Path, channels: int) -> Path:
    """Flat colors; each with a square."""
    for i in range(20):
        draw = np.random.default_rng(i)
        image = np.full((SIDE, SIDE, channels), draw.integers(0, 256, channels), np.uint8)
        image[5:20, 8:20] = draw.integers(0, 256, channels)
        put(folder / f"{i:02}.png", image)
    return folder


@pytest.mark.parametrize("channels", [3, 1])
def test_a_run_on_its_latents_needs_no_other_folder(channels: int, vae: Path, tmp_path: Path) -> None:
    """The run's copy has the scale of the latents of its own training pictures."""
    source = pictures(tmp_path / "pictures", channels)
    train(source, tmp_path / "run", replace(OPTIONS, autoencoder=str(vae)))
    copy = PictureAutoencoder.from_pretrained(tmp_path / "run" / RUN_AUTOENCODER)
    model, data, original = noisette.load(tmp_path / "run"), Dataset.open(tmp_path / "run"), open_folder(vae)
    assert original.config.scale == () and len(copy.config.scale) == 4
    assert copy.config.origin == Origin("vae", original.hash, "RGB, factor 4, 4 channels")
    state = original.net.state_dict()
    for net in (copy.net, model.autoencoder.net):
        assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())

    pixels = data.train.pixels(torch.arange(len(data.train)))
    x = data.train.x0(torch.arange(len(data.train)))
    assert x.shape[1:] == (4, 8, 8) and x.std().item() == pytest.approx(copy.config.sigma_data, rel=0.05)
    assert x.abs().max() == pytest.approx(1, abs=1e-3) and (x.abs() > 0.999).float().mean() < 0.005
    assert x.mean((0, 2, 3)).abs().max() < 0.01
    with torch.no_grad():
        color = data.pictures.encode(pixels).expand(-1, 3, -1, -1)
        raw = original.net.decode(original.net.encode(original.pad(color))[0])[:, :, :SIDE, :SIDE].clamp(-1, 1)
        expected = raw if channels == 3 else raw.mean(1, keepdim=True)
        # but for the few values outside the scale, and for half precision
        assert (model.codec.to_images(x) - expected).abs().mean() < 5e-3
    assert noisette.draw(model, 2, steps=2).pixels.shape == (2, channels, SIDE, SIDE)


def test_pictures_with_alpha_are_refused(vae: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"have an alpha channel \(RGBA\), and the autoencoder is for RGB pictures"):
        train(pictures(tmp_path / "pictures", 4), tmp_path / "run", replace(OPTIONS, autoencoder=str(vae)))
    assert not (tmp_path / "run" / RUN_AUTOENCODER).exists() and not (tmp_path / "run" / "config.json").exists()
    with pytest.raises(InputError, match="give --size 32"):
        train(pictures(tmp_path / "pictures", 4), tmp_path / "x", replace(OPTIONS, autoencoder=str(vae), size=(16, 16)))
    assert not (tmp_path / "x").exists()


def test_modes_that_an_autoencoder_takes(vae: Path) -> None:
    rgb = Pictures("RGB", 16, 16, latent=LatentSpace(4, 4))
    gray = replace(rgb, mode="L")
    images = gray.encode(torch.randint(0, 256, (2, 1, 16, 16), dtype=torch.uint8))
    assert torch.equal(to_mode(images, gray, "RGB"), images.expand(-1, 3, -1, -1))
    assert torch.allclose(from_mode(to_mode(images, gray, "RGB"), gray, "RGB"), images)
    color = images.expand(-1, 3, -1, -1)
    assert torch.equal(to_mode(color, rgb, "RGB"), color) and to_mode(color, rgb, "RGBA")[:, 3].eq(1).all()
    autoencoder = open_folder(vae)
    assert make_codec(gray, autoencoder).autoencoder is autoencoder
    with pytest.raises(InputError, match="have an alpha channel"):
        make_codec(replace(rgb, mode="LA"), autoencoder)
