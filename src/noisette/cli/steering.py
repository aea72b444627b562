"""What leads a walk beside a label, as flags of noisette sample and of the edits."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError
from .spread import Options

if TYPE_CHECKING:
    from ..edit.steering import Aides, Steering

Negative = Annotated[
    str | None, typer.Option(help="A label to go away from, or a mixture; from anything unless said. With --guidance.")
]
NegativeText = Annotated[str | None, typer.Option(help='What to go away from, in words: "red". With --guidance.')]
Interval = Annotated[
    str | None,
    typer.Option(
        "--guidance-interval", help="A,B: guide at times from A to B alone; 0 is the picture, 1 the noise. Always."
    ),
]
Rescale = Annotated[float | None, typer.Option(help="0 to 1: the share of the contrast that guidance gives back. 0.")]
Away = Annotated[
    Path | None,
    typer.Option(
        help="RUN/early, or another model to go away from: autoguidance. With --guidance.", show_default=False
    ),
]
Classifier = Annotated[
    Path | None, typer.Option(help="A folder of noisette train-classifier: up its gradient.", show_default=False)
]
ClassifierScale = Annotated[float | None, typer.Option(help="How far up that gradient. 1 unless said.")]
Towards = Annotated[
    str | None,
    typer.Option(
        help='A mean colour, "#ff8000"; or a palette: several colours with commas, or a PNG of few colours.',
        show_default=False,
    ),
]
TowardsScale = Annotated[float | None, typer.Option(help="How hard: the colour is met within 1/√(2 scale). 50.")]


@dataclass(frozen=True)
class Leading:
    """How a walk is led, and the models that help."""

    interval: tuple[float, float] = (0.0, 1.0)  # the times at which guidance guides
    steering: "Steering | None" = None
    aides: "Aides | None" = None


@dataclass(frozen=True)
class Leads(Options):
    """What leads a walk, whatever its pictures are asked to be."""

    interval: Interval = None
    rescale: Rescale = None
    negative: Negative = None
    negative_text: NegativeText = None
    away: Away = None
    towards: Towards = None
    towards_scale: TowardsScale = None

    def led(self) -> Leading:
        """All of it, checked; the models that help are opened."""
        return self._led(None, None)

    def said(self) -> dict[str, object]:
        """What was said, by flag. The models that help are no part of it: a picture names them itself."""
        return {
            "--guidance-interval": self.interval, "--rescale": self.rescale, "--negative": self.negative,
            "--negative-text": self.negative_text, "--towards": self.towards, "--towards-scale": self.towards_scale,
        }  # fmt: skip

    def _led(self, classifier: Path | None, classifier_scale: float | None) -> Leading:
        from ..edit.steering import Steering

        own, there = Steering(), aides(self.away, classifier)
        if classifier_scale is not None and classifier is None:
            raise InputError("--classifier-scale is of a --classifier: give its folder")
        if self.towards_scale is not None and self.towards is None:
            raise InputError("--towards-scale is of --towards: give a colour or a palette")
        steering = Steering(
            own.rescale if self.rescale is None else self.rescale,
            self.negative,
            *there.hashes,
            own.classifier_scale if classifier_scale is None else classifier_scale,
            () if self.towards is None else wanted_colours(self.towards),
            own.towards_scale if self.towards_scale is None else self.towards_scale,
            self.negative_text,
        )
        return Leading(interval(self.interval), steering, there)


@dataclass(frozen=True)
class Judged(Leads):
    """The same, and a classifier's gradient towards each picture's label."""

    classifier: Classifier = None
    classifier_scale: ClassifierScale = None

    def led(self) -> Leading:
        return self._led(self.classifier, self.classifier_scale)

    def said(self) -> dict[str, object]:
        return super().said() | {"--classifier-scale": self.classifier_scale}


def aides(away: Path | None, classifier: Path | None) -> "Aides":
    """The models that help, opened."""
    from ..classifier import PictureClassifier
    from ..edit.steering import Aides
    from ..model import load

    judge = None if classifier is None else PictureClassifier.from_pretrained(classifier)
    return Aides(None if away is None else load(away), judge)


def interval(text: str | None) -> tuple[float, float]:
    """0.001,0.04"""
    from ..edit.generate import ALWAYS

    if text is None:
        return ALWAYS
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"--guidance-interval is {text!r}: write two times like 0.001,0.04") from error
    if not 0 <= low < high <= 1:
        raise InputError(f"guidance from {low:g} to {high:g} is never: give two times, 0 ≤ A < B ≤ 1")
    return low, high


def wanted_colours(text: str) -> tuple[str, ...]:
    """Colours with commas between them, or those of a PNG."""
    if text.startswith("#"):
        return tuple(part.strip().lower() for part in text.split(","))
    from ..edit.colour import MOST, written
    from ..edit.picture import palette_of

    found = written(palette_of(text))
    if len(found) > MOST:
        raise InputError(f"{text} has {len(found)} colours: a palette has {MOST} at most")
    return found


def guides(scale: float, led: "Steering", when: tuple[float, float]) -> None:
    """Refuse what would change nothing, because there is no guidance."""
    from ..edit.generate import ALWAYS

    said = {
        "--negative": led.negative,
        "--negative-text": led.negative_text,
        "--away": led.away,
        "--rescale": led.rescale,
        "--guidance-interval": when != ALWAYS,
    }
    if scale == 1 and (idle := [flag for flag, value in said.items() if value]):
        raise InputError(f"{' and '.join(idle)} change nothing at guidance 1: give --guidance 2, for example")
