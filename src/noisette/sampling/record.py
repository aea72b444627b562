"""The settings that decide a picture's pixels, and the record of one picture: what each PNG carries."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from numbers import Integral
from typing import Any

from ..data.palette_lock import PaletteLock
from ..data.png import encode_png, to_indexed
from ..data.seams import SEAM_AXES
from ..diffusion.grid import grid_from_times
from ..diffusion.sampler import DDIM
from ..diffusion.windows import Canvas
from ..errors import InputError, check_range, lookup, shorten
from ..io.version import __version__
from ..models.config import MAX_SAMPLING_STEPS, SamplingDefaults, from_json
from ..models.picture_model import PictureModel
from ..models.registry import GRIDS, OWN_NAME_HINT, SAMPLERS
from ..shapes import Recolored, UInt8Images
from .generate import FULL_INTERVAL
from .lineage import Rotation
from .steering import Steering

MAX_BATCH = 4096  # images drawn at once
MAX_GUIDANCE = 100.0
MAX_SEED = 2**64 - 1
MAX_TEMPERATURE = 2.0


@dataclass(frozen=True, kw_only=True)
class SampleSettings:
    """What is common to all images of a request. Raises InputError for values out of range, by the field's name.

    `batch` is how many images are drawn at once, or windows of images on a canvas: a processor sums in another order
    for another number, which can change a byte by one.
    """

    model: str  # the model's hash
    sampler: str  # a name of SAMPLERS
    grid: str  # a name of GRIDS
    steps: int
    guidance: float  # scale; 1: no guidance
    batch: int
    times: tuple[float, ...] = ()  # of a fitted grid, (steps + 1): the model may be given another one later
    eta: float | None = None  # DDIM's η, 0 to 1; None: that of the sampler
    interval: tuple[float, float] = FULL_INTERVAL  # the times t in which guidance is applied
    steering: Steering = field(default_factory=Steering)
    temperature: float = 1.0  # factor of the initial noise
    noise_scale: float = 1.0  # factor of the noise that a stochastic sampler adds; 1 in files of the first versions
    upscalers: tuple[str, ...] = ()  # hashes of the models that enlarge the images, in order
    noise_aug: float = 0.0  # deviation of the noise added to each upscaler's input
    upscaler_sampling: tuple[SamplingDefaults, ...] = ()  # of each upscaler; not in files of the first versions
    lock: PaletteLock | None = None  # the colors that the finished pixels may have; None: any
    canvas: Canvas | None = None  # of images larger than the model's, or seamless; None: the model's own size

    def __post_init__(self) -> None:
        sampler = lookup(self.sampler, SAMPLERS, "sampler", OWN_NAME_HINT)()
        lookup(self.grid, GRIDS, "grid", OWN_NAME_HINT)
        check_integer("steps", self.steps, 1, MAX_SAMPLING_STEPS)
        check_integer("batch", self.batch, 1, MAX_BATCH)
        check_range("guidance", self.guidance, -MAX_GUIDANCE, MAX_GUIDANCE)
        check_interval(self.interval)
        if self.eta is not None:
            check_range("eta", self.eta, 0, 1)
            if not isinstance(sampler, DDIM):
                raise InputError(f"eta is an option of ddim, and the sampler is {self.sampler}: choose ddim, or no eta")
        for name in ("temperature", "noise_scale"):
            if not 0 < (value := getattr(self, name)) <= MAX_TEMPERATURE:
                raise InputError(f"{name} must be above 0 and at most {MAX_TEMPERATURE:g}, got {value:g}")
        if not 0 <= self.noise_aug < math.inf:
            raise InputError(f"noise_aug must be 0 or more, got {self.noise_aug:g}")
        if self.times and len(grid_from_times(self.times)) != self.steps + 1:
            raise InputError(f"times must be steps + 1 = {self.steps + 1} numbers, got {len(self.times)}")
        if self.upscaler_sampling and len(self.upscaler_sampling) != len(self.upscalers):
            raise InputError(
                f"upscaler_sampling must have an entry for each of {len(self.upscalers)} upscalers, "
                f"got {len(self.upscaler_sampling)}"
            )
        if self.upscalers:
            self.check_own_size("an upscaler")

    @property
    def images_at_once(self) -> int:
        """How many images are drawn at once."""
        return self.batch if self.canvas is None else self.canvas.images_per_batch(self.batch)

    def check_own_size(self, subject: str) -> None:
        """Raise InputError where images of another size, or seamless ones, are asked of what takes the model's own."""
        if self.canvas is not None:
            raise InputError(
                f"{subject} takes pictures of the model's own size: leave size and seamless out "
                f"(got {self.canvas.width}×{self.canvas.height})"
            )

    def finish(self, pixels: UInt8Images) -> Recolored:
        """What is left to do with the pixels of finished pictures, on the CPU."""
        return pixels.cpu() if self.lock is None else self.lock(pixels)


@dataclass(frozen=True, kw_only=True)
class SampleRecord(SampleSettings):
    """The request of one image, as its PNG carries it."""

    seed: int
    rotations: tuple[Rotation, ...] = ()  # of the seed's noise
    label: str | None = None  # a name, or a mixture: bread:0.5,sword:0.5
    attributes: tuple[str, ...] = ()  # hue=0.3
    text: str | None = None
    noisette: str = __version__

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("seed", self.seed, 0, MAX_SEED)


def encode_finished(pixels: UInt8Images, settings: SampleSettings, metadata: Mapping[str, object]) -> bytes:
    """A finished picture, (1, C, H, W), as a PNG: with the palette that it is locked to, if it is."""
    return encode_png(pixels if settings.lock is None else to_indexed(pixels, settings.lock.colors), metadata)


def read_record(metadata: Mapping[str, Any], source: str) -> SampleRecord:
    """The record in a PNG's metadata. Raises InputError that names `source` where it is damaged."""
    settings = {name: value for name, value in metadata.items() if name not in SEAM_AXES}
    try:
        return from_json(SampleRecord, settings, "metadata")
    except InputError as error:
        raise InputError(f"{source}: {error}") from error


def check_integer(name: str, value: int, least: int, most: int | None = None) -> None:
    """Raise InputError unless `value` is a whole number within these limits; it names the one that is not kept."""
    is_integer = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_integer or value < least:
        raise InputError(f"{name} must be a whole number of at least {least}, got {shorten(value)}")
    if most is not None and value > most:
        raise InputError(f"{name} must be at most {most}, got {shorten(value)}")


def check_interval(interval: tuple[float, ...]) -> None:
    """Raise InputError unless `interval` is two times t, 0 ≤ A ≤ B ≤ 1."""
    if len(interval) != 2 or not 0 <= interval[0] <= interval[1] <= 1:
        given = ",".join(f"{t:g}" for t in interval)
        raise InputError(f"guidance interval must be two times A,B with 0 ≤ A ≤ B ≤ 1, got {given}")


def fitted_times(model: PictureModel, grid: str, steps: int) -> tuple[float, ...]:
    """The times of the model's fitted grid; empty for every other grid, which its name and the steps decide."""
    return tuple(model.grid(steps, grid).tolist()) if grid == "fitted" else ()


def resolve_sampling(model: PictureModel) -> SamplingDefaults:
    """The model's sampling defaults; of its fitted grids, only the one that they use."""
    defaults = model.config.sampling
    times = fitted_times(model, defaults.grid, defaults.steps)
    return replace(defaults, fitted=(times,) if times else ())
