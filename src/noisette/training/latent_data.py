"""The latents that a latent model is trained on, and its autoencoder, both kept in the run folder."""

from dataclasses import replace
from pathlib import Path

import torch

from ..data import Dataset
from ..data.pictures import LatentSpace
from ..errors import InputError, suggest_names
from ..io import hub
from ..models import diffusers_autoencoder, shipped
from ..models.codec import make_codec, require_mode
from ..models.config import Origin
from ..models.picture_autoencoder import PictureAutoencoder
from ..models.picture_model import RUN_AUTOENCODER
from ..models.task import Draw
from ..shapes import ModelSpace, UInt8Images
from ..team import best_device
from .latent_scale import with_latent_scale
from .plan import TrainOptions

MIN_SIDE = 8  # of latents, in latent pixels


def open_autoencoder(name: str) -> PictureAutoencoder:
    """The autoencoder that a user named: one of ours, or of diffusers. Raises InputError if there is none."""
    if not (Path(name).exists() or shipped.find_folder(name) or hub.is_hub_url(name)):
        raise InputError(f"no autoencoder is called {name}{suggest_names(name, shipped.list_autoencoders())}")
    folder = _download_diffusers(name) if hub.is_hub_url(name) else diffusers_autoencoder.find_folder(Path(name))
    return PictureAutoencoder.from_pretrained(name) if folder is None else diffusers_autoencoder.open_folder(folder)


def _download_diffusers(url: str) -> Path | None:
    """The local folder of a network of diffusers on the hub; None for other models."""
    config = hub.download(url, ("config.json",))
    if diffusers_autoencoder.find_folder(config) is None:
        return None
    return hub.download(hub.pin(url, config), diffusers_autoencoder.HUB_FILES)


def add_latents(data: Dataset, run: Path, name: str, mirrored: bool, seed: int = 0) -> Dataset:
    """The data set with the latents of its pictures by the autoencoder of this name, of which the run keeps a copy.

    mirrored: training mirrors pictures. seed: chooses the pictures on which the scale of the latents is measured, where
    the autoencoder has none. Raises InputError for an autoencoder of other pictures, and for pictures that are too
    small for it.
    """
    copy, pictures = run / RUN_AUTOENCODER, data.manifest.pictures
    if not (copy / "config.json").is_file():
        opened = open_autoencoder(name)
        require_mode(opened.config.mode, pictures)
        require_size(opened, pictures.height, pictures.width)
        config = opened.config
        seen = f"{config.mode}, factor {config.net.factor}, {config.net.latent_channels} channels"
        origin = config.origin or Origin(opened.name, opened.hash, seen)
        if not config.scale:
            opened = with_latent_scale(opened.to(best_device()), data.train, seed)
        opened.config = replace(opened.config, origin=origin)
        opened.save_pretrained(copy)
    autoencoder = PictureAutoencoder.from_pretrained(copy)
    net = autoencoder.config.net
    space = LatentSpace(net.latent_channels, net.factor, autoencoder.hash)
    codec = make_codec(replace(pictures, latent=space), autoencoder)
    device = best_device()

    @torch.no_grad()
    def encode(pixels: UInt8Images) -> ModelSpace:
        return codec.encode(pixels.to(device))

    return data.with_latents(space, encode, mirrored)


def check_latent_run(options: TrainOptions) -> None:
    """Raise InputError, before anything is written, for an autoencoder that is not there, for pictures that are too
    small for it, and for a task whose input pictures are pixels."""
    assert options.autoencoder is not None
    if not isinstance(options.task, Draw):
        name = type(options.task).__name__.lower()
        raise InputError(f"--autoencoder is for --task draw, not for {name}: leave one out")
    autoencoder = open_autoencoder(options.autoencoder)
    if options.size is not None:
        require_size(autoencoder, *options.size)


def require_size(autoencoder: PictureAutoencoder, height: int, width: int) -> None:
    """Raise InputError for pictures whose latents are too small for a network."""
    _, rows, columns = autoencoder.latent_shape(height, width)
    if min(rows, columns) < MIN_SIDE:
        factor = autoencoder.config.net.factor
        raise InputError(
            f"the latents of {width}×{height} pictures have {columns}×{rows} pixels at factor {factor}, and a network "
            f"needs {MIN_SIDE}: give --size {MIN_SIDE * factor} or more"
        )
