"""Options of `noisette sample` and of the edits that steer the samples beside their labels."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError
from .option_groups import OptionGroup

if TYPE_CHECKING:
    from ..data.palette_lock import PaletteLock
    from ..models.picture_model import PictureModel
    from ..sampling.steering import GuidanceModels, Steering

NegativeLabel = Annotated[
    str | None,
    typer.Option(
        help="Label, or mixture of labels, to guide away from. Default: no label. Needs a --guidance other than 1."
    ),
]
NegativeText = Annotated[
    str | None,
    typer.Option(help='Text to guide away from, like "red". Default: no text. Needs a --guidance other than 1.'),
]
GuidanceInterval = Annotated[
    str | None, typer.Option(help="Apply guidance only for t in [A, B] (0 = clean, 1 = noise). Default: 0,1.")
]
GuidanceRescale = Annotated[
    float | None,
    typer.Option(help="Reduce the contrast that guidance adds: CFG rescale (Lin et al. 2023), 0 to 1. Default: 0."),
]
GuideWith = Annotated[
    str | None,
    typer.Option(
        help="A model to guide away from: a weaker one like RUN/early (autoguidance), or base: the model that this one "
        "started from (domain guidance). Default: the model itself without a label. Needs a --guidance other than 1.",
        show_default=False,
    ),
]
Classifier = Annotated[
    Path | None,
    typer.Option(help="Classifier guidance: folder written by `noisette train-classifier`.", show_default=False),
]
ClassifierScale = Annotated[float | None, typer.Option(help="Scale of the classifier's gradient. Default: 1.")]
Palette = Annotated[
    str | None,
    typer.Option(
        "--palette",
        "--color",
        help='One color ("#ff8000"): pull the mean color of the visible pixels to it. A palette (colors with commas, '
        "a .gpl, .hex, .pal, .ase or .txt file, or a picture): pull each visible pixel to the nearest of its colors. "
        "Other colors can remain, except with --lock.",
        show_default=False,
    ),
]
ColorScale = Annotated[
    float | None,
    typer.Option(help="Strength of --color and --palette; higher: closer to these colors. Default: 50; with --lock 0."),
]
Lock = Annotated[
    bool,
    typer.Option(
        "--lock",
        help="Give every visible pixel of the finished picture the nearest color of --palette (in OKLab), and write "
        "a PNG with this palette, in its order. Nothing is pulled then, unless --color-scale is given.",
    ),
]
Dither = Annotated[float | None, typer.Option(help="With --lock: strength of ordered dithering, 0 to 1. Default: 0.")]
BinaryAlpha = Annotated[
    bool, typer.Option("--binary-alpha", help="With --lock: every pixel is either opaque or transparent.")
]


@dataclass(frozen=True)
class ResolvedGuidance:
    """The options as values, with the models opened."""

    guidance_interval: tuple[float, float] | None = None  # times t; None: the default
    steering: "Steering | None" = None
    guidance_models: "GuidanceModels | None" = None
    lock: "PaletteLock | None" = None


@dataclass(frozen=True)
class GuidanceOptions(OptionGroup):
    """The options that work for any label."""

    guidance_interval: GuidanceInterval = None
    guidance_rescale: GuidanceRescale = None
    negative_label: NegativeLabel = None
    negative_text: NegativeText = None
    guide_with: GuideWith = None
    palette: Palette = None
    color_scale: ColorScale = None
    lock: Lock = False
    dither: Dither = None
    binary_alpha: BinaryAlpha = False

    def resolve(self, model: "PictureModel") -> ResolvedGuidance:
        """Open the models that guide `model`. Ranges are checked when the request is made."""
        return self._resolve(model, None, None)

    def list_given_options(self) -> dict[str, object]:
        """Values by flag, without the models: a picture names them by hash."""
        return {
            "--guidance-interval": self.guidance_interval, "--guidance-rescale": self.guidance_rescale,
            "--negative-label": self.negative_label, "--negative-text": self.negative_text,
            "--palette": self.palette, "--color-scale": self.color_scale, "--lock": self.lock or None,
            "--dither": self.dither, "--binary-alpha": self.binary_alpha or None,
        }  # fmt: skip

    def _resolve(
        self, model: "PictureModel", classifier: Path | None, classifier_scale: float | None
    ) -> ResolvedGuidance:
        from ..data.palette import read_palette
        from ..sampling.color import make_palette_lock
        from ..sampling.steering import make_steering

        interval = parse_interval(self.guidance_interval)
        colors = () if self.palette is None else read_palette(self.palette).colors
        models = load_guidance_models(model, self.guide_with, classifier)
        lock = make_palette_lock(colors, self.lock, self.dither, self.binary_alpha)
        steering = make_steering(
            models,
            rescale=self.guidance_rescale,
            negative_label=self.negative_label,
            negative_text=self.negative_text,
            classifier_scale=classifier_scale,
            colors=colors,
            color_scale=self.color_scale,
            lock=lock,
        )
        return ResolvedGuidance(interval, steering, models, lock)


@dataclass(frozen=True)
class ClassifierGuidanceOptions(GuidanceOptions):
    """The same, and a classifier's gradient towards each picture's label."""

    classifier: Classifier = None
    classifier_scale: ClassifierScale = None

    def resolve(self, model: "PictureModel") -> ResolvedGuidance:
        return self._resolve(model, self.classifier, self.classifier_scale)

    def list_given_options(self) -> dict[str, object]:
        return super().list_given_options() | {"--classifier-scale": self.classifier_scale}


def load_guidance_models(model: "PictureModel", guide_with: str | None, classifier: Path | None) -> "GuidanceModels":
    """Open the guide model and the classifier of `model`."""
    from ..models.classifier import PictureClassifier
    from ..sampling.draw import open_guide_model
    from ..sampling.steering import GuidanceModels

    opened = None if classifier is None else PictureClassifier.from_pretrained(classifier)
    return GuidanceModels(open_guide_model(guide_with, model), opened)


def parse_interval(text: str | None) -> tuple[float, float] | None:
    """Two times from "0.001,0.04"."""
    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"--guidance-interval must be two times like 0.001,0.04, got {text!r}") from error
    return low, high
