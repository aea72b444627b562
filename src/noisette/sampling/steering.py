"""How images are steered beside their labels, in words and numbers; and the `Guidance` that is built from it."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from ..data.palette_lock import PaletteLock
from ..data.pictures import Pictures
from ..diffusion.guidance import LogProbFn
from ..errors import InputError
from ..models.classifier import PictureClassifier
from ..models.picture_model import PictureModel, load
from ..models.task import InputImages
from .base_guide import is_base, load_base
from .color import color_log_prob, parse_colors
from .generate import FULL_INTERVAL, GradientTerm, Guidance

MAX_SCALE = 1e6  # of a gradient


@dataclass(frozen=True)
class Steering:
    """Guidance beside its scale and interval. Models are named by their hashes.

    Raises InputError for numbers out of range.
    """

    rescale: float = 0.0  # φ of Lin et al. 2023, 0 to 1
    negative: str | None = None  # label or mixture that guidance leads away from; None: the null label
    guide_model: str | None = None  # hash of the model that guidance leads away from (autoguidance)
    classifier: str | None = None  # hash of the classifier whose gradient is followed
    classifier_scale: float = 1.0
    colors: tuple[str, ...] = ()  # #ff8000: one is the mean color; several are a palette
    color_scale: float = 50.0
    negative_text: str | None = None  # text that guidance leads away from

    def __post_init__(self) -> None:
        if not 0 <= self.rescale <= 1:
            raise InputError(f"guidance rescale must be between 0 and 1, got {self.rescale:g}")
        for name, value in (("classifier scale", self.classifier_scale), ("color scale", self.color_scale)):
            if not abs(value) <= MAX_SCALE:
                raise InputError(f"{name} must be between -{MAX_SCALE:g} and {MAX_SCALE:g}, got {value:g}")


@dataclass(frozen=True, eq=False)
class GuidanceModels:
    """The models that guide another one. `guide_model`: its predictions are led away from (autoguidance)."""

    guide_model: PictureModel | None = None
    classifier: PictureClassifier | None = None

    @property
    def hashes(self) -> tuple[str | None, str | None]:
        """Of the guide model, and of the classifier."""
        return (
            None if self.guide_model is None else self.guide_model.hash,
            None if self.classifier is None else self.classifier.hash,
        )


def make_steering(
    models: GuidanceModels,
    *,
    rescale: float | None = None,
    negative_label: str | None = None,
    negative_text: str | None = None,
    classifier_scale: float | None = None,
    colors: Sequence[str] = (),
    color_scale: float | None = None,
    lock: PaletteLock | None = None,
) -> Steering:
    """`Steering` with defaults for None. Raises InputError for a scale without the thing that it scales.

    Finished pixels that are locked to a palette are pulled to it only if `color_scale` is given: the pull makes
    pictures plainer, and the lock alone keeps what the model draws.
    """
    if classifier_scale is not None and models.classifier is None:
        raise InputError("classifier scale needs a classifier: give one, or leave the scale out")
    if color_scale is not None and not colors:
        raise InputError("color scale needs a color or a palette: give one, or leave the scale out")
    if lock is not None and color_scale is None:
        colors = ()
    return Steering(
        Steering.rescale if rescale is None else rescale,
        negative_label,
        *models.hashes,
        Steering.classifier_scale if classifier_scale is None else classifier_scale,
        tuple(colors),
        Steering.color_scale if color_scale is None else color_scale,
        negative_text,
    )


def check_effect(guidance: float, interval: tuple[float, float], steering: Steering) -> None:
    """Raise InputError for options that have no effect, because guidance is 1."""
    given = {
        "negative label": steering.negative,
        "negative text": steering.negative_text,
        "guide model": steering.guide_model,
        "guidance rescale": steering.rescale,
        "guidance interval": interval != FULL_INTERVAL,
    }
    if guidance == 1 and (idle := [name for name, value in given.items() if value]):
        raise InputError(f"without effect at guidance 1: {' and '.join(idle)}; give guidance 2, for example")


def resolve_guidance_models(model: PictureModel, steering: Steering, provided: GuidanceModels) -> GuidanceModels:
    """The guidance models that `steering` names: those provided, or RUN/early or the model that `model` started from,
    where that is the guide model.

    Raises InputError where one is missing, is another one, or is not needed.
    """
    if steering.guide_model is not None and provided.guide_model is None:
        provided = GuidanceModels(_find_guide_model(model, steering.guide_model), provided.classifier)
    for kind, expected, given in zip(
        ("guide model", "classifier"), (steering.guide_model, steering.classifier), provided.hashes, strict=True
    ):
        if expected is None and given is not None:
            raise InputError(f"the picture was drawn without a {kind}: leave it out")
        if expected != given:
            raise InputError(
                f"the picture was drawn with the {kind} {str(expected)[:12]}…: give the folder that holds it"
            )
    return provided


def _find_guide_model(model: PictureModel, guide_hash: str) -> PictureModel | None:
    """The early snapshot of the model's run or its base, if it has this hash."""
    early = load_autoguidance_snapshot(model)
    if early is not None and early.hash == guide_hash:
        return early
    if is_base(guide_hash, model):
        with suppress(InputError):  # not there any more: whoever asks names the hash
            return load_base(model)
    return None


def load_autoguidance_snapshot(model: PictureModel) -> PictureModel | None:
    """RUN/early, the early snapshot of the run that a model was read from; None where there is none."""
    folder = None if model.folder is None else model.folder.parent / "early"
    return load(folder) if folder is not None and (folder / "config.json").is_file() else None


def build_guidance(
    model: PictureModel,
    labels: Sequence[str | None],
    scale: float,
    interval: tuple[float, float] = FULL_INTERVAL,
    steering: Steering | None = None,
    models: GuidanceModels | None = None,
    image: InputImages | None = None,
) -> Guidance:
    """Guidance of images with these labels, one each. `image` is the input of the model's task, in model space.

    Raises InputError for guidance models that do not fit the model.
    """
    steering, models = steering or Steering(), models or GuidanceModels()
    device = next(model.parameters()).device
    _check_guidance_models(model, models)
    terms = []
    if models.classifier is not None:
        classifier = models.classifier.to(device)

        def label_log_prob(rows: Sequence[int]) -> LogProbFn:
            return classifier.log_prob([labels[i] for i in rows], len(rows))

        terms.append(GradientTerm(label_log_prob, steering.classifier_scale, range(len(labels))))
    if steering.colors:
        log_prob = color_log_prob(parse_colors(steering.colors, model.pictures), model.codec)
        terms.append(GradientTerm(lambda rows: log_prob, steering.color_scale))
    negative = None
    if (steering.negative, steering.negative_text) != (None, None):
        negative = model.condition(steering.negative, len(labels), text=steering.negative_text, image=image)
    guide_model = None if models.guide_model is None else models.guide_model.to(device)
    return Guidance(scale, interval, steering.rescale, negative, guide_model, tuple(terms))


def _is_same_space(a: Pictures, b: Pictures) -> bool:
    """Whether models of these pictures work on the same kind of numbers."""
    return (a.shape, a.latent) == (b.shape, b.latent)


def _check_guidance_models(model: PictureModel, models: GuidanceModels) -> None:
    for other in (models.guide_model, models.classifier):
        if other is not None and not _is_same_space(other.config.pictures, model.pictures):
            raise InputError(
                "guide model and classifier must have pictures of the model's mode and size, and its autoencoder if it "
                "has one"
            )
    if models.guide_model is not None and any(
        getattr(models.guide_model.pictures, name) != getattr(model.pictures, name)
        for name in ("labels", "attributes", "means", "scales", "text_encoder")
    ):
        raise InputError(
            "the guide model must have the model's labels, attributes and text encoder, since it gets the same "
            "condition: give RUN/early"
        )
    if models.classifier is not None and models.classifier.config.schedule != model.schedule:
        raise InputError(
            f"the classifier was trained with {models.classifier.config.schedule}, and the model with "
            f"{model.schedule}: train a classifier for this model"
        )


def select_model_labels(
    model: PictureModel, labels: Sequence[str | None], classifier: PictureClassifier | None
) -> tuple[str | None, ...] | None:
    """The labels that the model itself is conditioned on: not those that only the classifier knows."""
    known = model.pictures.labels
    others = () if classifier is None else [name for name in classifier.config.pictures.labels if name not in known]
    selected = tuple(None if label in others or (others and not known) else label for label in labels)
    return None if set(selected) == {None} else selected
