"""A request: everything that decides the pixels of some images. It is made and checked here, and nowhere else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from ..data.palette_lock import PaletteLock
from ..diffusion.condition import Condition
from ..diffusion.grid import grid_from_times
from ..diffusion.sampler import Sampler, scale_noise
from ..errors import InputError
from ..models.config import MAX_SAMPLING_STEPS
from ..models.context import Attributes, Label, attribute_names, parse_attributes
from ..models.picture_model import PictureModel
from ..models.task import InputImages
from ..shapes import Grid
from .canvas import make_canvas
from .cascade import DEFAULT_NOISE_AUG, Cascade
from .generate import FULL_INTERVAL, Guidance, build_denoiser, set_eta
from .lineage import NoiseLineage
from .record import MAX_SEED, SampleRecord, SampleSettings, check_integer, fitted_times, resolve_sampling
from .steering import (
    GuidanceModels,
    Steering,
    build_guidance,
    check_effect,
    resolve_guidance_models,
    select_model_labels,
)

DEFAULT_COUNT = 64  # images of `noisette sample`
MAX_REQUEST = 1_000_000  # images of one request, whose conditions are in memory together
CPU_BATCH, ACCELERATOR_BATCH = 16, 256  # images drawn at once, or windows of larger ones

T = TypeVar("T")
AttributeTexts = Sequence[str]  # ["hue=0.3", "shape=round"]


@dataclass(frozen=True, eq=False)
class Helpers:
    """What a request names by hash: the other models that take part; and `image`, the input of the model's task in
    model space, (1, C, H, W) for all images or one each."""

    guidance_models: GuidanceModels = field(default_factory=GuidanceModels)
    upscalers: tuple[PictureModel, ...] = ()
    image: InputImages | None = None


@dataclass(frozen=True, kw_only=True)
class SampleRequest(SampleSettings):
    """Images to be drawn. Image i has the noise lineages[i], and is conditioned on labels[i], attributes[i], texts[i].

    `make_request` makes one with the model's defaults; `run_request` and `draw_request` draw it.
    """

    lineages: tuple[NoiseLineage, ...]
    labels: tuple[str | None, ...]  # names, or mixtures: bread:0.5,sword:0.5
    attributes: tuple[tuple[str, ...], ...]  # hue=0.3
    texts: tuple[str | None, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("n", len(self.lineages), 1, MAX_REQUEST)
        for lineage in self.lineages:
            check_integer("seed", lineage.seed, 0, MAX_SEED)
        for name in ("labels", "attributes", "texts"):
            if (number := len(getattr(self, name))) != len(self.lineages):
                raise InputError(f"{name} must have an entry for each of {len(self.lineages)} images, got {number}")

    def __len__(self) -> int:
        return len(self.lineages)

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(lineage.seed for lineage in self.lineages)

    @property
    def prompts(self) -> tuple[str | None, ...]:
        """Each image's label, or its text where it has none."""
        return tuple(label or text for label, text in zip(self.labels, self.texts, strict=True))

    def record(self, index: int) -> SampleRecord:
        """The request of image `index` alone, with the number of images, or of windows, that its batch has."""
        settings: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(SampleSettings)}
        first = index - index % self.images_at_once
        images = min(self.images_at_once, len(self) - first)
        windows = 1 if self.canvas is None else self.canvas.num_windows
        return SampleRecord(
            **(settings | {"batch": min(self.batch, windows * images)}),
            seed=self.lineages[index].seed,
            rotations=self.lineages[index].rotations,
            label=self.labels[index],
            attributes=self.attributes[index],
            text=self.texts[index],
        )

    def make_grid(self, model: PictureModel) -> Grid:
        """The times of the steps, (steps + 1,)."""
        return grid_from_times(self.times) if self.times else model.grid(self.steps, self.grid)

    def make_sampler(self, model: PictureModel) -> Sampler:
        return scale_noise(set_eta(model.sampler(self.sampler), self.eta), self.noise_scale)

    def make_condition(self, model: PictureModel, helpers: Helpers) -> Condition | None:
        """A row for each image; None where the model takes no condition."""
        return model.condition(
            select_model_labels(model, self.labels, helpers.guidance_models.classifier),
            len(self),
            attributes=[parse_attributes(texts, attribute_names(model.pictures)) or None for texts in self.attributes],
            text=self.texts if any(self.texts) else None,
            image=helpers.image,
        )

    def make_guidance(self, model: PictureModel, helpers: Helpers) -> Guidance:
        return build_guidance(
            model, self.labels, self.guidance, self.interval, self.steering, helpers.guidance_models, helpers.image
        )

    def make_cascade(self, helpers: Helpers) -> Cascade:
        """The upscalers, each with the sampling that the request names."""
        sampling = self.upscaler_sampling or tuple(map(resolve_sampling, helpers.upscalers))
        pairs = zip(helpers.upscalers, sampling, strict=True)
        return Cascade(tuple(model.with_sampling(one) for model, one in pairs), self.noise_aug)

    def resolve_helpers(self, model: PictureModel, helpers: Helpers) -> Helpers:
        """The helpers, with RUN/early as guide model where the request names it. Raises InputError where the model or
        a helper is not the one that the request names."""
        if self.model != model.hash:
            raise InputError(
                f"the record is of another model, {self.model[:12]}…, and this one is {model.hash[:12]}…: give the "
                "model that generated the picture"
            )
        given = tuple(upscaler.hash for upscaler in helpers.upscalers)
        if given != self.upscalers:
            raise InputError(
                f"the picture was enlarged by {len(self.upscalers)} upscalers, {_abbreviate(self.upscalers)}, "
                f"and these are {len(given)}, {_abbreviate(given)}: give the same upscalers"
            )
        own = (model.pictures.height, model.pictures.width)
        if self.canvas is not None and (self.canvas.window_height, self.canvas.window_width) != own:
            raise InputError(f"the windows of the canvas must have the model's own size, {own[1]}×{own[0]}")
        models = resolve_guidance_models(model, self.steering, helpers.guidance_models)
        return replace(helpers, guidance_models=models)


def make_request(
    model: PictureModel,
    n: int | None = None,
    label: Label | Sequence[Label | None] | None = None,
    *,
    seed: int = 0,
    first: int = 0,
    lineages: Sequence[NoiseLineage] | None = None,
    attributes: Attributes | AttributeTexts | Sequence[AttributeTexts] | None = None,
    text: str | Sequence[str | None] | None = None,
    steps: int | None = None,
    sampler: str | None = None,
    grid: str | None = None,
    guidance: float | None = None,
    guidance_interval: tuple[float, float] | None = None,
    steering: Steering | None = None,
    eta: float | None = None,
    temperature: float | None = None,
    noise_aug: float | None = None,
    size: tuple[int, int] | None = None,
    seamless: str | None = None,
    batch: int | None = None,
    lock: PaletteLock | None = None,
    helpers: Helpers | None = None,
) -> SampleRequest:
    """A request with the model's defaults for what is None. Raises InputError for all that cannot be drawn.

    Image i has seed + i, or lineages[i]. Of several labels, attributes or texts it takes the i-th, over and over. With
    `first`, they are n images of a longer series, from the one of that number on: i counts from `first`. Label
    None means all of the model's labels in turn, or no label where there is a text; [None] means no label. `size` is
    (height, width) in pixels, at least the model's own; `seamless` the axes in which opposite edges fit: x, y or xy.
    `helpers` are the other models: what names them in `steering` and `upscalers` is filled in.
    """
    helpers, defaults = helpers or Helpers(), model.config.sampling
    if lineages is None:
        n = DEFAULT_COUNT if n is None else n
        check_integer("n", n, 1, MAX_REQUEST)
        check_integer("first", first, 0)
        check_integer("seed", seed, 0, MAX_SEED - first - n)
        lineages = [NoiseLineage(int(seed) + first + i) for i in range(n)]
    count, texts = len(lineages), [text] if text is None or isinstance(text, str) else list(text) or [None]
    guide_model, classifier = helpers.guidance_models.hashes
    grid, steps = grid or defaults.grid, defaults.steps if steps is None else steps
    temperature = defaults.temperature if temperature is None else temperature
    check_integer("steps", steps, 1, MAX_SAMPLING_STEPS)
    request = SampleRequest(
        model=model.hash,
        lineages=tuple(lineages),
        labels=_repeat(_list_labels(model, helpers, label, has_text=any(texts)), count, first),
        attributes=_repeat(_list_attributes(attributes), count, first),
        texts=_repeat(texts, count, first),
        sampler=sampler or defaults.sampler,
        grid=grid,
        steps=int(steps),
        times=fitted_times(model, grid, steps),
        guidance=float(defaults.guidance if guidance is None else guidance),
        interval=FULL_INTERVAL if guidance_interval is None else guidance_interval,
        steering=replace(steering or Steering(), guide_model=guide_model, classifier=classifier),
        eta=eta,
        temperature=temperature,
        noise_scale=temperature,
        batch=default_batch(model) if batch is None else batch,
        lock=lock,
        canvas=make_canvas(model, size, seamless),
        **_upscaler_settings(helpers, noise_aug),
    )
    check_request(model, request, helpers)
    return request


def check_request(model: PictureModel, request: SampleRequest, helpers: Helpers) -> None:
    """Raise InputError where the model, its helpers and the request do not go together."""
    check_effect(request.guidance, request.interval, request.steering)
    request.make_sampler(model)
    request.make_grid(model)
    request.make_cascade(helpers).validate(model)
    build_denoiser(model, request.make_condition(model, helpers), request.make_guidance(model, helpers))


def default_batch(model: PictureModel) -> int:
    """How many images, or windows of larger ones, are drawn at once: 16 on a CPU, 256 on an accelerator."""
    return CPU_BATCH if next(model.parameters()).device.type == "cpu" else ACCELERATOR_BATCH


def repeat_record(record: SampleRecord, lineages: Sequence[NoiseLineage]) -> SampleRequest:
    """The request of images like the recorded one with these noises, drawn at once."""
    settings: dict[str, Any] = {f.name: getattr(record, f.name) for f in fields(SampleSettings)}
    count = len(lineages)
    return SampleRequest(
        **(settings | {"batch": count}),
        lineages=tuple(lineages),
        labels=(record.label,) * count,
        attributes=(record.attributes,) * count,
        texts=(record.text,) * count,
    )


def format_label(label: Label | None) -> str | None:
    """A label as a name or as a mixture in text, a:0.5,b:0.5."""
    if label is None or isinstance(label, str):
        return label
    if len(label) == 1:
        return next(iter(label))
    return ",".join(f"{name}:{float(weight)!r}" for name, weight in label.items())


def _list_labels(
    model: PictureModel, helpers: Helpers, label: Label | Sequence[Label | None] | None, has_text: bool
) -> list[str | None]:
    """The labels to take in turn."""
    if label is not None and (isinstance(label, str | Mapping) or len(label)):
        several = [label] if isinstance(label, str | Mapping) else label
        return [format_label(one) for one in several]
    classifier = helpers.guidance_models.classifier
    names = (model if classifier is None else classifier).config.pictures.labels
    return [None] if has_text or not names else list(names)


def _list_attributes(
    attributes: Attributes | AttributeTexts | Sequence[AttributeTexts] | None,
) -> list[tuple[str, ...]]:
    """The attributes to take in turn."""
    if not attributes:
        return [()]
    if isinstance(attributes, Mapping):
        return [tuple(f"{name}={value}" for name, value in attributes.items())]
    rows = [one for one in attributes if not isinstance(one, str)]
    return [tuple(row) for row in rows] or [tuple(one for one in attributes if isinstance(one, str))]


def _upscaler_settings(helpers: Helpers, noise_aug: float | None) -> dict[str, Any]:
    if not helpers.upscalers:
        if noise_aug is not None:
            raise InputError("noise_aug is noise on the input of upscalers: give an upscaler, or leave it out")
        return {}
    return {
        "upscalers": tuple(upscaler.hash for upscaler in helpers.upscalers),
        "noise_aug": DEFAULT_NOISE_AUG if noise_aug is None else noise_aug,
        "upscaler_sampling": tuple(map(resolve_sampling, helpers.upscalers)),
    }


def _repeat(values: Sequence[T], count: int, first: int) -> tuple[T, ...]:
    return tuple(values[i % len(values)] for i in range(first, first + count))


def _abbreviate(hashes: Sequence[str]) -> str:
    return " and ".join(f"{one[:12]}…" for one in hashes) or "none"
