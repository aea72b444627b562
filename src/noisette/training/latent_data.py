"""The latents that a latent model is trained on, and its autoencoder, both kept in the run folder."""

from dataclasses import replace
from pathlib import Path

import torch

from ..data import Dataset
from ..data.pictures import LatentSpace
from ..errors import InputError, suggest_names
from ..io import hub
from ..models import shipped
from ..models.codec import make_codec
from ..models.config import Origin
from ..models.picture_autoencoder import PictureAutoencoder
from ..models.picture_model import RUN_AUTOENCODER
from ..models.task import Draw
from ..shapes import ModelSpace, UInt8Images
from ..team import best_device
from .plan import TrainOptions

MIN_SIDE = 8  # of latents, in latent pixels


def open_autoencoder(name: str) -> PictureAutoencoder:
    """The autoencoder that a user named. Raises InputError if there is none."""
    if not (Path(name).exists() or shipped.find_folder(name) or hub.is_hub_url(name)):
        raise InputError(f"no autoencoder is called {name}{suggest_names(name, shipped.list_autoencoders())}")
    return PictureAutoencoder.from_pretrained(name)


def add_latents(data: Dataset, run: Path, name: str, mirrored: bool) -> Dataset:
    """The data set with the latents of its pictures by the autoencoder of this name, of which the run keeps a copy.

    mirrored: training mirrors pictures. Raises InputError for an autoencoder of other pictures, and for pictures that
    are too small for it.
    """
    copy = run / RUN_AUTOENCODER
    autoencoder = (
        PictureAutoencoder.from_pretrained(copy) if (copy / "config.json").is_file() else open_autoencoder(name)
    )
    net, pictures = autoencoder.config.net, data.manifest.pictures
    space = LatentSpace(net.latent_channels, net.factor)
    codec = make_codec(replace(pictures, latent=space), autoencoder)
    require_size(autoencoder, pictures.height, pictures.width)
    if autoencoder.folder != copy:
        config = autoencoder.config
        seen = f"{config.mode}, factor {net.factor}, {net.latent_channels} channels"
        autoencoder.config = replace(config, origin=config.origin or Origin(autoencoder.name, autoencoder.hash, seen))
        autoencoder.save_pretrained(copy)
    device = best_device()

    @torch.no_grad()
    def encode(pixels: UInt8Images) -> ModelSpace:
        return codec.encode(pixels.to(device))

    return data.with_latents(space, autoencoder.hash, encode, mirrored)


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
