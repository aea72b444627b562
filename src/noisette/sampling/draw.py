"""`noisette.draw`: what `noisette sample` draws, in Python."""

from collections.abc import Sequence
from pathlib import Path

from ..data.palette import read_palette
from ..io.units import Size, as_size
from ..models.classifier import PictureClassifier
from ..models.context import Attributes, Label
from ..models.picture_model import PictureModel, load
from ..team import best_device, torch_defaults
from .base_guide import BASE, adapt_guide, load_base
from .color import make_palette_lock
from .gallery import Gallery
from .request import Helpers, format_label, make_request
from .run import draw_request
from .steering import GuidanceModels, make_steering

ModelSource = PictureModel | str | Path


@torch_defaults()
def draw(
    model: ModelSource,
    n: int = 16,
    label: Label | Sequence[Label | None] | None = None,
    *,
    attributes: Attributes | Sequence[str] | None = None,
    text: str | Sequence[str | None] | None = None,
    seed: int = 0,
    steps: int | None = None,
    sampler: str | None = None,
    grid: str | None = None,
    guidance: float | None = None,
    guidance_interval: tuple[float, float] | None = None,
    guidance_rescale: float | None = None,
    negative_label: Label | None = None,
    negative_text: str | None = None,
    guide_with: ModelSource | None = None,
    classifier: PictureClassifier | str | Path | None = None,
    classifier_scale: float | None = None,
    palette: str | Path | Sequence[str] | None = None,
    color_scale: float | None = None,
    lock: bool = False,
    dither: float | None = None,
    binary_alpha: bool = False,
    eta: float | None = None,
    temperature: float | None = None,
    upscalers: ModelSource | Sequence[ModelSource] = (),
    noise_aug: float | None = None,
    size: Size | None = None,
    seamless: str | None = None,
    batch: int | None = None,
) -> Gallery:
    """Generate `n` new pictures with seeds seed, seed + 1, …: the pixels that `noisette sample` writes.

    model, guide_with, classifier, upscalers: a model object, or its path or name, which is then opened on the
        accelerator if there is one.
    label, text: one for all pictures, or several: picture i takes number i modulo their number. A label may be a
        mixture, {"bread": 0.5, "sword": 0.5}. Default: the model's labels in turn.
    All other arguments: None means the model's default.

    guidance: scale, -100 to 100; 1 is none. guidance_interval: times t from 0 (clean) to 1 (noise), default (0, 1).
    guidance_rescale: 0 to 1. guide_with: the model to guide away from; "base": the one that this model started from.
    palette: "#ff8000", several of them, or the path of a palette file or picture (`read_palette`): visible pixels are
    pulled to these colors, by color_scale, default 50. lock: all visible pixels have one of these colors in the end;
    they are then pulled only if color_scale is given. dither: of lock, strength of ordered dithering, 0 to 1, default
    0. binary_alpha: of lock, alpha is 0 or 255.

    eta: 0 to 1, for ddim. temperature: factor of all noise, above 0, at most 2. upscalers: models of task Upscale,
    applied in order. noise_aug: standard deviation of the noise on the input of each, 0 to 0.5, default 0.1.

    size: of the pictures in pixels, at least the model's: 64, (height, width), or "128x48" (width x height). Larger
    ones are drawn in overlapping windows of the model's size. seamless: the axes in which opposite edges fit together:
    "x", "y" or "xy". batch: pictures per batch, or windows of larger ones; default 16 on a CPU, else 256.

    Returns a `Gallery`: `.pixels` is uint8, (n, C, H, W), straight alpha. Raises InputError for invalid arguments.
    """
    model = open_model(model)
    several = [upscalers] if isinstance(upscalers, str | Path | PictureModel) else upscalers
    models = GuidanceModels(
        open_guide_model(guide_with, model),
        classifier
        if classifier is None or isinstance(classifier, PictureClassifier)
        else PictureClassifier.from_pretrained(classifier),
    )
    helpers = Helpers(models, tuple(open_model(one) for one in several))
    colors = () if palette is None else read_palette(palette).colors
    palette_lock = make_palette_lock(colors, lock, dither, binary_alpha)
    steering = make_steering(
        models,
        rescale=guidance_rescale,
        negative_label=format_label(negative_label),
        negative_text=negative_text,
        classifier_scale=classifier_scale,
        colors=colors,
        color_scale=color_scale,
        lock=palette_lock,
    )
    request = make_request(
        model, n, label, seed=seed, attributes=attributes, text=text, steps=steps, sampler=sampler, grid=grid,
        guidance=guidance, guidance_interval=guidance_interval, steering=steering, eta=eta, temperature=temperature,
        noise_aug=noise_aug, size=as_size(size), seamless=seamless, batch=batch, lock=palette_lock,
        helpers=helpers,
    )  # fmt: skip
    names = (filter(None, (prompt, f"seed {s}")) for prompt, s in zip(request.prompts, request.seeds, strict=True))
    return Gallery(draw_request(model, request, helpers), tuple(", ".join(name) for name in names))


def open_guide_model(source: ModelSource | None, model: PictureModel) -> PictureModel | None:
    """The model that samples of `model` are led away from: a model, its path, or "base" for the one that `model`
    started from. None: none."""
    if source is None:
        return None
    return load_base(model) if source == BASE else adapt_guide(open_model(source), model)


def to_accelerator(model: PictureModel) -> PictureModel:
    """The model on the accelerator, where there is one."""
    return model.to(best_device())


def open_model(source: ModelSource) -> PictureModel:
    """The model itself, or that of a path or name, on the accelerator where there is one."""
    return source if isinstance(source, PictureModel) else to_accelerator(load(source))
