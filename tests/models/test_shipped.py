"""Models that come with the package."""

from dataclasses import replace
from pathlib import Path

import pytest

import noisette
from noisette.data import prepare
from noisette.data.builtin import open_emoji
from noisette.errors import InputError
from noisette.evaluation.held_out import all_pixels
from noisette.models import shipped
from noisette.models.picture_autoencoder import PictureAutoencoder, reconstruct
from noisette.training.autoencoder import measure_psnr
from tiny_models import tiny


def test_a_model_is_opened_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless there is a folder of that name."""
    monkeypatch.setattr(shipped, "ROOT", tmp_path / "home")
    monkeypatch.chdir(tmp_path)
    assert shipped.list_names() == () and shipped.find_folder("small") is None
    tiny().save_pretrained(tmp_path / "home" / "small")
    assert shipped.list_names() == ("small",)
    assert noisette.load("small").folder == tmp_path / "home" / "small"
    tiny(seed=5).save_pretrained(tmp_path / "small")
    assert noisette.load("small").folder == Path("small")
    for name in ("other", "../home/small/x", ""):
        assert shipped.find_folder(name) is None
    with pytest.raises(InputError):
        noisette.load("other")


@pytest.mark.parametrize(("side", "minutes"), [(16, "10m"), (32, "1h")])
def test_the_emoji_are_drawn_at_once(side: int, minutes: str) -> None:
    """By name, without training, as the README says; and a card says where the model is from."""
    model = noisette.load(f"emoji-{side}")
    drawn = noisette.draw(model, 2, "Flags", seed=3)
    assert model.pictures.shape == (4, side, side) and len(model.pictures.labels) == 9
    assert drawn.pixels.shape == (2, 4, side, side) and drawn.pixels[:, 3].float().mean() > 40
    card = (shipped.ROOT / f"emoji-{side}" / "README.md").read_text("utf8")
    assert f"noisette train emoji --size {side} --for {minutes}" in card and "CC-BY 4.0" in card and "cc-by-4.0" in card


def test_the_shipped_autoencoder_keeps_pictures_that_it_has_not_seen(tmp_path: Path) -> None:
    """Emoji, which the pool does not hold, at 64 pixels: the bar is 28 dB."""
    made = PictureAutoencoder.from_pretrained("art-f4")
    assert made.latent_shape(64, 64) == (4, 16, 16) and "art-f4" not in shipped.list_names()
    emoji = open_emoji()
    data = prepare(replace(emoji, entries=emoji.entries[::40]), tmp_path, size=64)
    pixels = all_pixels(data.train)
    assert len(pixels) > 30
    assert measure_psnr(data.pictures, reconstruct(made, data.pictures, pixels), pixels).mean() > 28
    assert (shipped.ROOT / "art-f4" / "model.safetensors").stat().st_size < 700_000


def test_shipped_models_are_small() -> None:
    assert sum(path.stat().st_size for path in shipped.ROOT.rglob("*") if path.is_file()) < 24e6
