"""Tasks: what a model generates, and from which input picture: none, a small picture, or the picture to segment.

A task turns a data set's pictures into (x0, condition) for training, and an input picture into the condition image,
which is concatenated to x_t as channels. It is part of the model's config.
"""

import abc
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from ..data.pictures import DataLayer, Pictures
from ..diffusion.condition import Condition
from ..diffusion.loss import LogNormal, TimestepSampler
from ..diffusion.noise import Noise
from ..diffusion.normal import cdf
from ..diffusion.operator import AveragePool
from ..errors import InputError
from ..shapes import Images, ModelSpace, UInt8Images

DataBatch = Float[Tensor, "b layers h w"]  # a data set's pictures in model space, followed by masks if it has them
InputImages = Float[Tensor, "b c2 h2 w2"]  # input pictures in model space, at their own size
CondImages = Float[Tensor, "b c4 h w"]  # condition images: the channels concatenated to x_t
PreviewImages = UInt8[Tensor, "b c3 h3 w3"]


@runtime_checkable
class PictureDecoder(Protocol):
    """From model space to 8-bit pictures, (B, C, H, W) both: a `Codec`."""

    def decode(self, x: ModelSpace) -> UInt8Images: ...

    def decode_samples(self, x: ModelSpace) -> UInt8Images: ...


@dataclass(frozen=True)
class InputSpec:
    """The mode and size of the input picture that a model needs."""

    pictures: Pictures  # its mode
    height: int
    width: int

    def __str__(self) -> str:
        return f"{self.pictures.mode} pictures of {self.width}×{self.height}"


@dataclass(frozen=True)
class Task(abc.ABC):
    """Base class of tasks. `pictures` in its methods: mode and size of what the model generates."""

    target_layer: ClassVar[DataLayer] = "picture"  # the part of a data set that is generated
    usage: ClassVar[str]  # the command that uses such a MODEL
    default_times: ClassVar[LogNormal | None] = None  # replaces a preset's log-normal times

    def adapt_to_data(self, data: Pictures) -> "Task":
        """This task with what it needs to know of the data set. Raises InputError if the data do not suit it."""
        return self

    def output_spec(self, data: Pictures) -> Pictures:
        """Mode and size of the pictures that the model generates."""
        return data

    @abc.abstractmethod
    def input_spec(self, pictures: Pictures) -> InputSpec | None:
        """The input picture that the model needs, or None."""

    @abc.abstractmethod
    def cond_channels(self, pictures: Pictures) -> int:
        """Number of channels of the condition image."""

    @abc.abstractmethod
    def input_error(self, pictures: Pictures) -> str:
        """The error message for a missing or superfluous input picture: one sentence that says what to do."""

    @abc.abstractmethod
    def encode_input(self, image: InputImages) -> Images:
        """The condition image of an input picture."""

    @abc.abstractmethod
    def make_example(self, x: DataBatch, cond: Condition, noise: Noise | None = None) -> tuple[Images, Condition]:
        """(x0, condition) of a data set's pictures: for training if `noise` is given, otherwise as for sampling."""

    def training_times(self, default: TimestepSampler) -> TimestepSampler:
        """`default_times` instead of a preset's log-normal `default`; any other `default` is kept."""
        return self.default_times if self.default_times is not None and isinstance(default, LogNormal) else default

    def make_preview(self, codec: PictureDecoder, x: DataBatch, samples: Images) -> PreviewImages:
        """What a run's sample sheet shows for x: n pictures side by side, (B, C, H, n · W)."""
        return codec.decode_samples(samples)

    def consistency_error(self, image: CondImages, samples: Images) -> float | None:
        """RMS difference between the samples and what the condition image determines of them; None if it determines
        nothing."""
        return None

    def encode_cond_image(self, image: InputImages | None, pictures: Pictures) -> Images | None:
        """The condition image of `image`, or None. Raises InputError if a needed image is missing, an image is given
        but not used, or its shape is not that of `input_spec`."""
        wanted = self.input_spec(pictures)
        if (image is None) != (wanted is None):
            raise InputError(self.input_error(pictures))
        if image is None or wanted is None:
            return None
        if image.shape[1:] != (wanted.pictures.channels, wanted.height, wanted.width):
            raise InputError(
                f"this model needs {wanted} as input, got {image.shape[1]} channels and "
                f"{image.shape[3]}×{image.shape[2]} pixels"
            )
        return self.encode_input(image)


@dataclass(frozen=True)
class Draw(Task):
    """Generate pictures from noise, without an input picture."""

    usage = "noisette sample MODEL --out pictures"

    def input_spec(self, pictures: Pictures) -> InputSpec | None:
        return None

    def cond_channels(self, pictures: Pictures) -> int:
        return 0

    def input_error(self, pictures: Pictures) -> str:
        return "this model generates from noise alone: give it no input picture"

    def encode_input(self, image: InputImages) -> Images:
        raise AssertionError("this task has no condition image")

    def make_example(self, x: DataBatch, cond: Condition, noise: Noise | None = None) -> tuple[Images, Condition]:
        return x, cond


@dataclass(frozen=True)
class Upscale(Task):
    """Super-resolution by `factor`, as SR3 (Saharia et al. 2021): the small picture, its pixels repeated, is
    concatenated to x_t.

    In training, noise is added to the small picture, and one more channel holds its level, from -1 to 1 (conditioning
    augmentation, Ho et al. 2021): a cascade then states how far the small picture, a sample, can be trusted. The
    standard deviation of the noise is `augment` · u² with u uniform in [0, 1]: below a quarter of `augment` for half of
    the pictures.
    """

    usage = "noisette edit upscale MODEL PICTURE --out large"
    default_times = LogNormal(-0.4, 1.2)  # found by trial (docs/log.md)

    factor: int = 2
    augment: float = 0.5

    def __post_init__(self) -> None:
        if not 2 <= self.factor <= 64:
            raise InputError(f"the upscaling factor must be 2 to 64, got {self.factor}")
        if not 0 < self.augment <= 2:
            raise InputError(f"augment must be above 0 and at most 2, got {self.augment:g}")

    def adapt_to_data(self, data: Pictures) -> "Upscale":
        if data.height % self.factor or data.width % self.factor:
            sides = (data.width // self.factor * self.factor, data.height // self.factor * self.factor)
            raise InputError(
                f"pictures of {data.width}×{data.height} are not whole blocks of {self.factor}×{self.factor}: "
                f"give another --factor, or --size {sides[0]}x{sides[1]}"
            )
        return self

    def input_spec(self, pictures: Pictures) -> InputSpec:
        return InputSpec(pictures, pictures.height // self.factor, pictures.width // self.factor)

    def cond_channels(self, pictures: Pictures) -> int:
        return pictures.channels + 1

    def input_error(self, pictures: Pictures) -> str:
        small = self.input_spec(pictures)
        return (
            f"this model enlarges a picture of {small.width}×{small.height} {self.factor} times and needs one as "
            f"input: {self.usage}, or noisette sample BASE --upscaler MODEL"
        )

    def encode_input(self, image: InputImages, noise_aug: float = 0.0, noise: Noise | None = None) -> Images:
        """`noise_aug`: standard deviation of the noise that is added to `image` (if `noise` is given) and stated to the
        network, from 0 to `augment`; pictures have the range [-1, 1]."""
        if not 0 <= noise_aug <= self.augment:
            raise InputError(f"noise_aug must be between 0 and {self.augment:g}, got {noise_aug:g}")
        levels = image.new_full((len(image), 1, 1, 1), noise_aug)
        return self._add_noise_channel(image if noise is None else image + noise_aug * noise(image), levels)

    def make_example(self, x: DataBatch, cond: Condition, noise: Noise | None = None) -> tuple[Images, Condition]:
        small = AveragePool(self.factor)(x)
        if noise is None:
            return x, replace(cond, image=self.encode_input(small))
        levels = self.augment * cdf(noise(small[:, :1, :1, :1])) ** 2
        return x, replace(cond, image=self._add_noise_channel(small + levels * noise(small), levels))

    def consistency_error(self, image: CondImages, samples: Images) -> float:
        """RMS difference between the samples, averaged down again, and the small picture."""
        shrink = AveragePool(self.factor)
        return (shrink(samples.clamp(-1, 1)) - shrink(image[:, :-1])).square().mean().sqrt().item()

    def _add_noise_channel(self, small: InputImages, levels: Float[Tensor, "b 1 1 1"]) -> Images:
        large = AveragePool(self.factor).pinv(small)
        plane = (2 * levels / self.augment - 1).expand(len(large), 1, *large.shape[2:])
        return torch.cat([large, plane], 1)

    def make_preview(self, codec: PictureDecoder, x: DataBatch, samples: Images) -> PreviewImages:
        """The small picture, the sample and the original, side by side."""
        shrink = AveragePool(self.factor)
        seen = (codec.decode(shrink.pinv(shrink(x))), codec.decode_samples(samples), codec.decode(x))
        return torch.cat([part.cpu() for part in seen], 3)


@dataclass(frozen=True)
class Segment(Task):
    """Segmentation: generate the mask of a picture, white = foreground, with the picture concatenated to x_t (SegDiff,
    Amit et al. 2021; Wolleb et al. 2021). Several samples show where the model is uncertain.

    Training uses high noise levels: a mask is black and white and has simple shapes, so x_t alone shows it until σ/α is
    far above 1, and at lower levels the network hardly needs the input picture.
    """

    target_layer = "mask"
    usage = "noisette edit segment MODEL PICTURE --out mask"
    default_times = LogNormal(2.5, 1.4)

    given: Pictures = Pictures()  # mode and size of the input pictures

    def adapt_to_data(self, data: Pictures) -> "Segment":
        return Segment(replace(data, labels=(), attributes=(), means=(), scales=()))

    def output_spec(self, data: Pictures) -> Pictures:
        return Pictures("L", data.height, data.width, pixel_art=data.pixel_art)

    def input_spec(self, pictures: Pictures) -> InputSpec:
        return InputSpec(self.given, pictures.height, pictures.width)

    def cond_channels(self, pictures: Pictures) -> int:
        return self.given.channels

    def input_error(self, pictures: Pictures) -> str:
        return f"this model generates the mask of a picture and needs one as input: {self.usage}"

    def encode_input(self, image: InputImages) -> Images:
        return image

    def make_example(self, x: DataBatch, cond: Condition, noise: Noise | None = None) -> tuple[Images, Condition]:
        return x[:, -1:], Condition(image=x[:, :-1])

    def make_preview(self, codec: PictureDecoder, x: DataBatch, samples: Images) -> PreviewImages:
        """The input picture, the generated mask and the true mask, side by side."""
        picture = self.given.decode(x[:, :-1])
        return torch.cat(
            [picture, *(mask_as_picture(codec.decode(mask.cpu()), self.given) for mask in (samples, x[:, -1:]))], 3
        )


def mask_as_picture(mask: UInt8[Tensor, "b 1 h w"], pictures: Pictures) -> UInt8Images:
    """A mask as an opaque picture in the mode of `pictures`, to be shown beside it."""
    color = mask.expand(-1, pictures.channels - pictures.has_alpha, -1, -1)
    return torch.cat([color, torch.full_like(mask, 255)], 1) if pictures.has_alpha else color
