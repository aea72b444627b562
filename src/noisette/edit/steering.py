"""How a walk is led beside being asked, in words and numbers: what a PNG carries, and what `Guidance` is made of."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..classifier import PictureClassifier
from ..errors import InputError
from ..guidance import LogProb
from ..model import PictureModel, load
from ..task import Given
from .colour import colours, towards
from .generate import ALWAYS, Guidance, Pull


@dataclass(frozen=True)
class Steering:
    """What is said of it. Models are named by their hashes."""

    rescale: float = 0.0  # the share of the contrast that guidance gives back
    negative: str | None = None  # a label to go away from, or a mixture, instead of from anything
    away: str | None = None  # the model to go away from, an earlier snapshot of the one that draws
    classifier: str | None = None  # the one whose gradient is followed to the label
    classifier_scale: float = 1.0
    towards: tuple[str, ...] = ()  # a colour, or the colours of a palette: #ff8000
    towards_scale: float = 50.0
    negative_text: str | None = None  # what to go away from, in words


@dataclass(frozen=True, eq=False)
class Aides:
    """The models that help another one to draw."""

    away: PictureModel | None = None
    classifier: PictureClassifier | None = None

    @property
    def hashes(self) -> tuple[str | None, str | None]:
        """Of the model to go away from, and of the classifier."""
        return (
            None if self.away is None else self.away.hash,
            None if self.classifier is None else self.classifier.hash,
        )


def aides_of(model: PictureModel, steering: Steering, given: Aides) -> Aides:
    """The models that a picture says it was drawn with: those that are given, or the run's own early snapshot."""
    if steering.away is not None and given.away is None and (found := early(model)) is not None:
        given = Aides(found if found.hash == steering.away else None, given.classifier)
    for what, wanted, there in zip(
        ("model to go away from", "classifier"), (steering.away, steering.classifier), given.hashes, strict=True
    ):
        if wanted is None and there is not None:
            raise InputError(f"that picture was drawn without a {what}: leave it out")
        if wanted != there:
            raise InputError(
                f"that picture was drawn with the {what} {str(wanted)[:12]}…: give the folder that holds it"
            )
    return given


def early(model: PictureModel) -> PictureModel | None:
    """What the run that a model was read from kept of itself early on, where there is such a run."""
    folder = None if model.folder is None else model.folder.parent / "early"
    return load(folder) if folder is not None and (folder / "config.json").is_file() else None


def guidance_of(
    model: PictureModel,
    labels: Sequence[str | None],
    scale: float,
    interval: tuple[float, float] = ALWAYS,
    steering: Steering | None = None,
    aides: Aides | None = None,
    image: Given | None = None,
) -> Guidance:
    """Guidance for images that are asked to be `labels`, one each. Refuses what does not go together.

    `image` is the picture that the model's task needs, in model space.
    """
    steering, aides, pulls = steering or Steering(), aides or Aides(), []
    device = next(model.parameters()).device
    if not 0 <= interval[0] <= interval[1] <= 1:
        raise InputError(f"guidance at times of {interval} is never: give two times, 0 ≤ A < B ≤ 1")
    for other in (aides.away, aides.classifier):
        if other is not None and other.config.pictures.shape != model.pictures.shape:
            raise InputError("the models that help must be of the pictures that are drawn: of one mode and one size")
    if aides.away is not None and any(
        getattr(aides.away.pictures, what) != getattr(model.pictures, what)
        for what in ("labels", "attributes", "means", "scales", "wording")
    ):
        raise InputError(
            "the model to go away from must know the same labels, attributes and texts as the one that draws, since "
            "it is asked for the same: give RUN/early"
        )
    if (judge := aides.classifier) is not None:
        if judge.config.schedule != model.schedule:
            raise InputError(
                f"that classifier reads noise by {judge.config.schedule}, and this model draws by {model.schedule}: "
                "train one for this model"
            )
        judge = judge.to(device)

        def of(rows: slice, judge: PictureClassifier = judge) -> LogProb:
            return judge.log_prob(labels[rows], len(labels[rows]))

        pulls.append(Pull(of, steering.classifier_scale))
    if steering.towards:
        wish = towards(colours(steering.towards, model.pictures), model.pictures)
        pulls.append(Pull(lambda rows: wish, steering.towards_scale))
    negative = None
    if (steering.negative, steering.negative_text) != (None, None):
        negative = model.condition(steering.negative, len(labels), text=steering.negative_text, image=image)
    away = None if aides.away is None else aides.away.to(device)
    return Guidance(scale, interval, steering.rescale, negative, away, tuple(pulls))


def asked(
    model: PictureModel, labels: Sequence[str | None], classifier: PictureClassifier | None
) -> tuple[str | None, ...] | None:
    """The labels that the model itself is asked for: none where a classifier alone knows of them."""
    own = model.pictures.labels
    others = () if classifier is None else [name for name in classifier.config.pictures.labels if name not in own]
    found = tuple(None if label in others or (others and not own) else label for label in labels)
    return None if set(found) == {None} else found
