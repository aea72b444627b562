"""Between 8-bit pictures and the space that a model's diffusion process runs in.

For most models that space is the pictures themselves (`Codec`); for a latent model it is the latents of an autoencoder
(`LatentCodec`). Samplers, guidance, losses and metrics never ask which.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ..data.pictures import MODE_CHANNELS, Mode, Pictures
from ..errors import InputError
from ..shapes import Images, ModelSpace, UInt8Images
from .picture_autoencoder import PictureAutoencoder

ENCODED_TOGETHER = 32  # pictures that the autoencoder takes at a time

# Modes of pictures that an autoencoder of a mode can take, besides its own: a larger one, without loss.
OTHER_MODES: dict[Mode, tuple[Mode, ...]] = {"RGBA": ("RGB", "LA", "L"), "RGB": ("L",)}

Known = Float[Tensor, "#b #c h w"]


class Codec:
    """Model space is that of the pictures: premultiplied colors, [-1, 1]."""

    autoencoder: PictureAutoencoder | None = None

    def __init__(self, pictures: Pictures) -> None:
        self.pictures = pictures

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of a picture in model space."""
        return self.pictures.model_shape

    def from_images(self, images: Images) -> ModelSpace:
        """Pictures with premultiplied colors in [-1, 1] to model space."""
        return images

    def to_images(self, x: ModelSpace) -> Images:
        """Model space to pictures with premultiplied colors in [-1, 1]; differentiable."""
        return x

    def shrink_known(self, known: Known) -> Float[Tensor, "#b #c h2 w2"]:
        """The mask of known pixels (1) as a mask of model space: 1 where known pixels alone determine the values."""
        return known

    def require_pixels(self, what: str) -> None:
        """Raise InputError if model space is not that of the pixels, on which `what` depends."""

    def encode(self, pixels: UInt8Images) -> ModelSpace:
        """8-bit pictures to model space, (B, C, H, W)."""
        return self.from_images(self.pictures.encode(pixels))

    def decode(self, x: ModelSpace) -> UInt8Images:
        """Model space to 8-bit pictures, (B, C, H, W)."""
        return self.pictures.decode(self.to_images(x))

    def decode_samples(self, x: ModelSpace) -> UInt8Images:
        """`decode` for generated pictures, as `Pictures.decode_samples`."""
        return self.pictures.decode_samples(self.to_images(x))


def make_codec(pictures: Pictures, autoencoder: PictureAutoencoder | None = None) -> Codec:
    """The codec of a model of these pictures. InputError for an autoencoder of other pictures or latents."""
    if pictures.latent is None:
        return Codec(pictures)
    if autoencoder is not None:
        require_mode(autoencoder.config.mode, pictures)
        net = autoencoder.config.net
        found, wanted = (net.latent_channels, net.factor), (pictures.latent.channels, pictures.latent.factor)
        if found != wanted:
            raise InputError(
                f"the autoencoder makes {found[0]} channels of latents at factor {found[1]}; "
                f"needed: {wanted[0]} at factor {wanted[1]}"
            )
    return LatentCodec(pictures, autoencoder)


def require_mode(mode: Mode, pictures: Pictures) -> None:
    """Raise InputError for pictures that an autoencoder of this mode cannot keep."""
    if pictures.mode in (mode, *OTHER_MODES.get(mode, ())):
        return
    if pictures.has_alpha and not mode.endswith("A"):
        raise InputError(
            f"the pictures have an alpha channel ({pictures.mode}), and the autoencoder is for {mode} pictures: train "
            "one on them with noisette train-autoencoder, or give pictures without alpha"
        )
    raise InputError(f"the autoencoder is for {mode} pictures, and these are {pictures.mode}: give another autoencoder")


def to_mode(images: Images, pictures: Pictures, mode: Mode) -> Float[Tensor, "b c2 h w"]:
    """Premultiplied pictures in [-1, 1] in the mode of an autoencoder: gray as three equal colors, opaque without
    alpha."""
    if pictures.mode == mode:
        return images
    color = images[:, : images.shape[1] - pictures.has_alpha]
    alpha = images[:, -1:] if pictures.has_alpha else torch.ones_like(images[:, :1])
    return torch.cat([color.expand(-1, 3, -1, -1), alpha], dim=1)[:, : MODE_CHANNELS[mode]]


def from_mode(images: Float[Tensor, "b c2 h w"], pictures: Pictures, mode: Mode) -> Images:
    """The inverse of `to_mode`; colors that are not equal are averaged to gray."""
    if pictures.mode == mode:
        return images
    color = images[:, :3] if pictures.mode.startswith("RGB") else images[:, :3].mean(1, keepdim=True)
    return torch.cat([color, images[:, 3:]], dim=1) if pictures.has_alpha else color


class LatentCodec(Codec):
    """Model space is that of an autoencoder's latents."""

    def __init__(self, pictures: Pictures, autoencoder: PictureAutoencoder | None) -> None:
        super().__init__(pictures)
        self.autoencoder = autoencoder

    def _on(self, device: torch.device) -> PictureAutoencoder:
        """The autoencoder, on the device of what it gets: it is no part of the model's own weights."""
        if self.autoencoder is None:
            raise InputError(
                "the latents of this model need its autoencoder, which is not there: load the model's folder"
            )
        return self.autoencoder.to(device)

    @property
    def _factor(self) -> int:
        assert self.pictures.latent is not None
        return self.pictures.latent.factor

    def from_images(self, images: Images) -> ModelSpace:
        autoencoder = self._on(images.device)
        images = to_mode(images.float(), self.pictures, autoencoder.config.mode)
        parts = [autoencoder.encode_images(part) for part in images.split(ENCODED_TOGETHER)]
        return torch.cat(parts)

    def to_images(self, x: ModelSpace) -> Images:
        autoencoder, factor = self._on(x.device), self._factor
        if x.shape[1:] == self.shape:
            height, width = self.pictures.height, self.pictures.width
        else:  # a canvas of another size
            height, width = factor * x.shape[2], factor * x.shape[3]
        images = torch.cat(
            [autoencoder.decode_images(part, height, width) for part in x.float().split(ENCODED_TOGETHER)]
        )
        return from_mode(images, self.pictures, autoencoder.config.mode)

    def require_pixels(self, what: str) -> None:
        raise InputError(
            f"{what} works on pixels, and this model works on the latents of an autoencoder: use a model that was "
            "trained without --autoencoder"
        )

    def shrink_known(self, known: Known) -> Float[Tensor, "#b #c h2 w2"]:
        """A latent pixel is known if all pixels of its block and of the blocks around it are."""
        factor = self._factor
        padded = F.pad(known, (0, -known.shape[3] % factor, 0, -known.shape[2] % factor), value=1.0)
        blocks = -F.max_pool2d(-padded, factor)
        return -F.max_pool2d(-F.pad(blocks, (1, 1, 1, 1), value=1.0), 3, stride=1)
