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
from ..models.picture_autoencoder import PictureAutoencoder
from ..models.picture_model import RUN_AUTOENCODER
from ..models.task import Draw, Task
from ..shapes import Images, UInt8Images
from ..team import best_device


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
    if min(codec.shape[1:]) < 8:
        raise InputError(
            f"the latents of {pictures.width}×{pictures.height} pictures have {codec.shape[2]}×{codec.shape[1]} pixels "
            f"at factor {net.factor}, and a network needs 8: give --size {8 * net.factor} or more"
        )
    if autoencoder.folder != copy:
        autoencoder.save_pretrained(copy)
    device = best_device()

    @torch.no_grad()
    def encode(pixels: UInt8Images) -> Images:
        return codec.encode(pixels.to(device))

    return data.with_latents(space, autoencoder.hash, encode, mirrored)


def check_latent_task(task: Task) -> None:
    """Raise InputError for a task whose input pictures are pixels."""
    if not isinstance(task, Draw):
        raise InputError(f"--autoencoder is for --task draw, not for {type(task).__name__.lower()}: leave one out")
