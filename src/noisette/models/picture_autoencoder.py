"""An autoencoder with what it needs to know of its pictures: mode, and the scale of its latents.

    autoencoder = PictureAutoencoder.from_pretrained("art-f4")
    x = autoencoder.encode(pixels)       # (B, C, H, W) uint8 → (B, z, H/f, W/f) in [-1, 1]
    pixels = autoencoder.decode(x, 64, 64)

Latent model space is that of pictures, [-1, 1]: each latent channel is shifted and scaled so that 99.9 % of the values
lie in it. Everything that is true of a diffusion process on pixels then holds for one on latents.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..data.pictures import MODE_CHANNELS, Mode, Pictures
from ..errors import InputError
from ..io import checkpoint, hub
from ..io.json_types import get_only
from ..nn.autoencoder_base import AutoencoderArchitecture
from ..shapes import Images, UInt8Images
from ..team import torch_defaults
from . import shipped
from .config import Origin, from_json, to_json
from .registry import AUTOENCODERS

Latents = Float[Tensor, "b z h2 w2"]  # in latent model space
CONFIG_KEY = "autoencoder"  # in config.json


@dataclass(frozen=True)
class AutoencoderModelConfig:
    """All that is needed to rebuild an autoencoder before its weights are loaded."""

    net: AutoencoderArchitecture
    mode: Mode  # of the pictures
    shift: tuple[float, ...] = ()  # of each latent channel; model space is (latent - shift) / scale. (): not measured
    scale: tuple[float, ...] = ()  # of each latent channel, above 0
    origin: Origin | None = None  # in the copy that a run or a model keeps: the autoencoder that it was copied from
    sigma_data: float = 0.5  # standard deviation of the training pictures' latents in model space, over all channels

    def __post_init__(self) -> None:
        wanted = MODE_CHANNELS[self.mode]
        if self.net.channels != wanted:
            raise InputError(f"{self.mode} pictures have {wanted} channels, and the autoencoder {self.net.channels}")
        for name in ("shift", "scale"):
            if len(getattr(self, name)) not in (0, self.net.latent_channels):
                raise InputError(f"{name} needs a number for each of the {self.net.latent_channels} latent channels")
        if not all(number > 0 for number in self.scale):
            raise InputError(f"scale must be above 0, got {list(self.scale)}")


class PictureAutoencoder(nn.Module):
    """An autoencoder with its config."""

    def __init__(self, config: AutoencoderModelConfig) -> None:
        super().__init__()
        self.config = config
        self.net = AUTOENCODERS[type(config.net)](config.net)
        self.hash = "untrained"  # of the weights and the config
        self.folder: Path | None = None  # that it was read from

    @property
    def name(self) -> str:
        """The name of its run, or of its folder."""
        folder = Path("autoencoder") if self.folder is None else self.folder.resolve()
        return folder.parent.name if folder.name == "model" else folder.name

    def latent_shape(self, height: int, width: int) -> tuple[int, int, int]:
        """(z, h, w) of the latents of pictures of this size."""
        factor = self.config.net.factor
        return self.config.net.latent_channels, -(-height // factor), -(-width // factor)

    def encode_images(self, x: Images) -> Latents:
        """Pictures in model space, of any size, to latent model space: the means, without noise."""
        mean, _ = self.net.encode(self.pad(x))
        if not self.config.scale:  # not measured yet
            return mean
        shift, scale = self._channels(self.config.shift, mean), self._channels(self.config.scale, mean)
        return ((mean - shift) / scale).clamp(-1, 1)

    def decode_images(self, x: Latents, height: int, width: int) -> Images:
        """Latents in model space to pictures in model space of this size, [-1, 1]; differentiable."""
        if self.config.scale:
            x = x * self._channels(self.config.scale, x) + self._channels(self.config.shift, x)
        return self.net.decode(x)[:, :, :height, :width].clamp(-1, 1)

    def pad(self, x: Images) -> Float[Tensor, "b c h2 w2"]:
        """x, its last row and column repeated until height and width are multiples of the factor."""
        factor = self.config.net.factor
        margins = (0, -x.shape[3] % factor, 0, -x.shape[2] % factor)
        return F.pad(x, margins, mode="replicate") if any(margins) else x

    def _channels(self, numbers: tuple[float, ...], like: Tensor) -> Tensor:
        """Numbers of the latent channels, to be broadcast: (z, 1, 1)."""
        return torch.tensor(numbers, dtype=like.dtype, device=like.device)[:, None, None]

    def save_pretrained(self, folder: str | Path) -> None:
        """Write config.json and model.safetensors, atomically."""
        checkpoint.save_model(Path(folder), self.config_json(), self.net.state_dict())

    def config_json(self) -> dict[str, Any]:
        """The content of config.json."""
        return {CONFIG_KEY: to_json(self.config)}

    @classmethod
    @torch_defaults()
    def from_pretrained(cls, folder: str | Path) -> "PictureAutoencoder":
        """Open an autoencoder's folder, the folder of a run of `train_autoencoder`, an autoencoder of the package by
        its name ("art-f4"), or `hf://OWNER/NAME`. On the CPU, in evaluation mode. Raises InputError for anything else.
        """
        if not str(folder):
            raise InputError("the autoencoder must not be empty: give a folder or a name")
        path = hub.download(folder) if hub.is_hub_url(folder) else Path(folder)
        if not path.exists():
            path = shipped.find_folder(str(folder)) or path
        if (path / "model" / "config.json").is_file():
            path = path / "model"
        data, tensors = checkpoint.read_model(path, _describe)
        made = build_autoencoder(parse_config(data, path / "config.json"))
        made.net.load_state_dict(tensors)
        made.hash, made.folder = checkpoint.model_hash(path), path
        return made


def build_autoencoder(config: AutoencoderModelConfig) -> PictureAutoencoder:
    """One for weights that are loaded later, in evaluation mode. The random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        return PictureAutoencoder(config).eval().requires_grad_(False)


def parse_config(data: Mapping[str, Any], path: Path) -> AutoencoderModelConfig:
    """The config in the content of an autoencoder folder's config.json."""
    if CONFIG_KEY not in data or "model" in data:
        raise InputError(f"{path.parent} is not an autoencoder: noisette train-autoencoder makes one")
    return from_json(AutoencoderModelConfig, get_only(data, CONFIG_KEY, path), f"{path}: {CONFIG_KEY}")


def describe_autoencoder(config: AutoencoderModelConfig) -> dict[str, Tensor]:
    """Names and shapes of its tensors, without values."""
    with torch.device("meta"):
        return AUTOENCODERS[type(config.net)](config.net).state_dict()


def _describe(data: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    return describe_autoencoder(parse_config(data, path))


def reconstruct(autoencoder: PictureAutoencoder, pictures: Pictures, pixels: UInt8Images) -> UInt8Images:
    """8-bit pictures, encoded and decoded again."""
    x = pictures.encode(pixels).to(next(autoencoder.parameters()).device)
    latents = autoencoder.encode_images(x)
    return pictures.decode(autoencoder.decode_images(latents, *pixels.shape[2:])).cpu()
