"""What a model makes a picture of: noise alone, a small picture, or a picture whose mask is wanted.

A task turns the pictures of a data set into (x0, condition), and a picture that a person gives into the image that
lies under x_t. It is a part of the model's config, so that whoever opens the model knows what to give it.
"""

import abc
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from .condition import Condition
from .errors import InputError
from .loss import LogNormal, Times
from .noise import Noise
from .normal import cdf
from .operator import AveragePool
from .pictures import Layer, Pictures
from .shapes import Bytes, Images

Layers = Float[Tensor, "b layers h w"]  # a data set's pictures in model space, and under them what goes with them
Given = Float[Tensor, "b c2 h2 w2"]  # pictures as people give them, in model space
Under = Float[Tensor, "b c4 h w"]  # what lies under x_t
Shown = UInt8[Tensor, "b c3 h w3"]


@dataclass(frozen=True)
class Wanted:
    """The picture that a model has to be given."""

    pictures: Pictures  # of this mode
    height: int
    width: int

    def __str__(self) -> str:
        return f"{self.pictures.mode} pictures of {self.width}×{self.height}"


@dataclass(frozen=True)
class Task(abc.ABC):
    """A kind of task. `pictures` is the kind that the model draws."""

    target: ClassVar[Layer] = "picture"  # what of a data set is learned
    use: ClassVar[str]  # the command that makes something with such a MODEL
    learned: ClassVar[LogNormal | None] = None  # instead of a preset's log-normal times

    def of(self, data: Pictures) -> "Task":
        """This task for such a data set. Raises InputError where it cannot be."""
        return self

    def drawn(self, data: Pictures) -> Pictures:
        """The kind of picture that the model draws."""
        return data

    @abc.abstractmethod
    def wanted(self, pictures: Pictures) -> Wanted | None:
        """What the model has to be given; None: nothing."""

    @abc.abstractmethod
    def stacked(self, pictures: Pictures) -> int:
        """Channels that lie under x_t."""

    @abc.abstractmethod
    def unasked(self, pictures: Pictures) -> str:
        """What a person should do who gave no picture, or one too many. A sentence."""

    @abc.abstractmethod
    def image(self, given: Given) -> Images:
        """A given picture in model space as it lies under x_t."""

    @abc.abstractmethod
    def pose(self, x: Layers, known: Condition, noise: Noise | None = None) -> tuple[Images, Condition]:
        """x0, and what is told of it. With `noise`, as it is in training; without, as it is where pictures are made."""

    def times(self, usual: Times) -> Times:
        """The times at which it is learned, where pictures out of noise alone are learned at `usual` ones."""
        return self.learned if self.learned is not None and isinstance(usual, LogNormal) else usual

    def shown(self, pictures: Pictures, x: Layers, drawn: Images) -> Shown:
        """What a run shows of what it drew for x, side by side: (B, C, H, n · W)."""
        return pictures.finished(drawn)

    def off(self, image: Under, drawn: Images) -> float | None:
        """How far what was drawn is from the image under x_t, a root mean square; None: only the truth could tell."""
        return None

    def stack(self, given: Given | None, pictures: Pictures) -> Images | None:
        """`image`, of a picture that is checked first."""
        wanted = self.wanted(pictures)
        if (given is None) != (wanted is None):
            raise InputError(self.unasked(pictures))
        if given is None or wanted is None:
            return None
        if given.shape[1:] != (wanted.pictures.channels, wanted.height, wanted.width):
            raise InputError(
                f"this model has to be given {wanted}, and this one has {given.shape[1]} channels and "
                f"{given.shape[3]}×{given.shape[2]} pixels"
            )
        return self.image(given)


@dataclass(frozen=True)
class Draw(Task):
    """Pictures out of noise."""

    use = "noisette sample MODEL --out pictures"

    def wanted(self, pictures: Pictures) -> Wanted | None:
        return None

    def stacked(self, pictures: Pictures) -> int:
        return 0

    def unasked(self, pictures: Pictures) -> str:
        return "this model draws out of noise alone: give it no picture"

    def image(self, given: Given) -> Images:
        raise AssertionError("nothing lies under x_t")

    def pose(self, x: Layers, known: Condition, noise: Noise | None = None) -> tuple[Images, Condition]:
        return x, known


@dataclass(frozen=True)
class Upscale(Task):
    """A small picture made `factor` times as large, as in SR3 (Saharia et al. 2021): it lies under x_t, its pixels
    repeated.

    In training it is noisy, and a plane beneath it says how much, from -1 to 1 (conditioning augmentation, Ho et al.
    2021): so a cascade can say that the small picture is a model's and not to be believed in every pixel. The deviation
    of the noise is `augment` u², u uniform: half of the small pictures have less than a quarter of `augment`.
    """

    use = "noisette edit upscale MODEL PICTURE --out large"
    learned = LogNormal(-0.4, 1.2)  # found by trial (docs/log.md)

    factor: int = 2
    augment: float = 0.5

    def __post_init__(self) -> None:
        if self.factor < 2:
            raise InputError(f"pictures are not made {self.factor} times as large: the factor is 2 or more")
        if not 0 < self.augment <= 2:
            raise InputError(f"small pictures are not trained with noise up to {self.augment:g}: give above 0, up to 2")

    def of(self, data: Pictures) -> "Upscale":
        if data.height % self.factor or data.width % self.factor:
            sides = (data.width // self.factor * self.factor, data.height // self.factor * self.factor)
            raise InputError(
                f"pictures of {data.width}×{data.height} are not whole blocks of {self.factor}×{self.factor}: "
                f"ask for another factor, or for --size {sides[0]}x{sides[1]}"
            )
        return self

    def wanted(self, pictures: Pictures) -> Wanted:
        return Wanted(pictures, pictures.height // self.factor, pictures.width // self.factor)

    def stacked(self, pictures: Pictures) -> int:
        return pictures.channels + 1

    def unasked(self, pictures: Pictures) -> str:
        small = self.wanted(pictures)
        return (
            f"this model makes pictures of {small.width}×{small.height} {self.factor} times as large and needs one: "
            f"{self.use}, or noisette sample BASE --then MODEL"
        )

    def image(self, given: Given, level: float = 0.0, noise: Noise | None = None) -> Images:
        """`level` is the deviation of the noise that is put on it, and that the model is told of."""
        if not 0 <= level <= self.augment:
            raise InputError(f"noise of {level:g} is more than this model knows: give 0 to {self.augment:g}")
        levels = given.new_full((len(given), 1, 1, 1), level)
        return self._under(given if noise is None else given + level * noise(given), levels)

    def pose(self, x: Layers, known: Condition, noise: Noise | None = None) -> tuple[Images, Condition]:
        small = AveragePool(self.factor)(x)
        if noise is None:
            return x, replace(known, image=self.image(small))
        levels = self.augment * cdf(noise(small[:, :1, :1, :1])) ** 2
        return x, replace(known, image=self._under(small + levels * noise(small), levels))

    def off(self, image: Under, drawn: Images) -> float:
        """Shrunk again, it should be the small picture."""
        shrink = AveragePool(self.factor)
        return (shrink(drawn.clamp(-1, 1)) - shrink(image[:, :-1])).square().mean().sqrt().item()

    def _under(self, small: Given, levels: Float[Tensor, "b 1 1 1"]) -> Images:
        large = AveragePool(self.factor).pinv(small)
        plane = (2 * levels / self.augment - 1).expand(len(large), 1, *large.shape[2:])
        return torch.cat([large, plane], 1)

    def shown(self, pictures: Pictures, x: Layers, drawn: Images) -> Shown:
        """The small picture, what the model made of it, and the truth."""
        shrink = AveragePool(self.factor)
        seen = (pictures.decode(shrink.pinv(shrink(x))), pictures.finished(drawn), pictures.decode(x))
        return torch.cat([part.cpu() for part in seen], 3)


@dataclass(frozen=True)
class Segment(Task):
    """A picture's mask, white where the thing is that was to be found: the picture lies under x_t (Amit et al. 2021,
    SegDiff; Wolleb et al. 2021). Several samples are several opinions.

    It is learned in much noise: a mask is black and white and made of few shapes, so x_t alone shows it until σ/α is
    far above 1, and at the times that suit pictures a network is seldom asked what only the given picture answers.
    """

    target = "mask"
    use = "noisette edit segment MODEL PICTURE --out mask"
    learned = LogNormal(2.5, 1.4)

    given: Pictures = Pictures()  # the pictures, as the data set has them

    def of(self, data: Pictures) -> "Segment":
        return Segment(replace(data, labels=(), attributes=(), means=(), scales=()))

    def drawn(self, data: Pictures) -> Pictures:
        return Pictures("L", data.height, data.width, pixel_art=data.pixel_art)

    def wanted(self, pictures: Pictures) -> Wanted:
        return Wanted(self.given, pictures.height, pictures.width)

    def stacked(self, pictures: Pictures) -> int:
        return self.given.channels

    def unasked(self, pictures: Pictures) -> str:
        return f"this model finds the mask of a picture and needs one: {self.use}"

    def image(self, given: Given) -> Images:
        return given

    def pose(self, x: Layers, known: Condition, noise: Noise | None = None) -> tuple[Images, Condition]:
        return x[:, -1:], Condition(image=x[:, :-1])

    def shown(self, pictures: Pictures, x: Layers, drawn: Images) -> Shown:
        """The picture, what was found in it, and the truth."""
        picture = self.given.decode(x[:, :-1])
        return torch.cat([picture, *(like(pictures.decode(mask.cpu()), self.given) for mask in (drawn, x[:, -1:]))], 3)


def like(mask: UInt8[Tensor, "b 1 h w"], pictures: Pictures) -> Bytes:
    """A mask as an opaque picture of that mode, to be shown beside it."""
    colour = mask.expand(-1, pictures.channels - pictures.has_alpha, -1, -1)
    return torch.cat([colour, torch.full_like(mask, 255)], 1) if pictures.has_alpha else colour
