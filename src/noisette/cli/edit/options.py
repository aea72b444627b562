"""What all the edits may be told, in the same words as noisette sample."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from .. import steering as steers

if TYPE_CHECKING:
    from ...edit.steering import Aides, Steering

Model = Annotated[Path, typer.Argument(help="A run folder, or a model folder.", show_default=False)]
Picture = Annotated[
    Path,
    typer.Argument(help="A picture. One of another size or kind is made like the model's.", show_default=False),
]
Out = Annotated[Path, typer.Option(help="The folder to write into.", show_default=False)]
Number = Annotated[int, typer.Option("-n", "--number", help="How many pictures.")]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", help="What it should be, by name, or a mixture: a:0.5,b:0.5. Nothing unless said."),
]
Attributes = Annotated[
    list[str] | None, typer.Option("--attribute", help="hue=0.3 or shape=round; may be given several times.")
]
Texts = Annotated[list[str] | None, typer.Option("--text", help='What it should be, in words: "a red fish".')]
Seed = Annotated[int, typer.Option(help="Of the first picture; the next has the next.")]
Steps = Annotated[int | None, typer.Option(help="More are slower and finer. The model's own unless said.")]
SamplerName = Annotated[str | None, typer.Option("--sampler", help="ddpm, ddim, heun, … The model's own unless said.")]
Guidance = Annotated[
    float | None, typer.Option(help="How much further to go towards the label. The model's own unless said.")
]
Batch = Annotated[int | None, typer.Option(help="How many to draw at once: 16 on a CPU, else 256.")]
Rounds = Annotated[int, typer.Option(help="How often each step is taken: more are slower and fit better.")]
Json = Annotated[bool, typer.Option("--json", help="Print a line of JSON for each picture.")]


@dataclass(frozen=True)
class Asked:
    """What is asked of a model. A field here is an option of every edit."""

    label: Labels = None
    attribute: Attributes = None
    text: Texts = None
    seed: Seed = 0
    steps: Steps = None
    sampler: SamplerName = None
    guidance: Guidance = None
    batch: Batch = None
    as_json: Json = False

    def led(self) -> "Leading":
        """How the walk is led beside being asked."""
        return Leading()


@dataclass(frozen=True)
class Led(Asked):
    """What is asked of a model that may be led beside: every way to steer that noisette sample has."""

    interval: steers.Interval = None
    rescale: steers.Rescale = None
    negative: steers.Negative = None
    negative_text: steers.NegativeText = None
    away: steers.Away = None
    classifier: steers.Classifier = None
    classifier_scale: steers.ClassifierScale = None
    towards: steers.Towards = None
    towards_scale: steers.TowardsScale = None

    def led(self) -> "Leading":
        aides = steers.aides(self.away, self.classifier)
        said = (self.rescale, self.negative, self.negative_text, self.classifier_scale, self.towards)
        steering = steers.steering(aides, *said, self.towards_scale)
        return Leading(steers.interval(self.interval), steering, aides)


@dataclass(frozen=True)
class Leading:
    """How a walk is led, and the models that help."""

    interval: tuple[float, float] = (0.0, 1.0)
    steering: "Steering | None" = None
    aides: "Aides | None" = None


def asks(command: Callable[..., None]) -> Callable[..., None]:
    """The same command, with an option for each field of its parameter `asked`, an Asked, in place of it."""
    plain = inspect.signature(command)
    kind: type[Asked] = plain.parameters["asked"].annotation
    hints, mine = get_type_hints(kind, include_extras=True), {f.name: f.default for f in fields(kind)}

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        asked = kind(**{name: given.pop(name) for name in mine})
        command(**given, asked=asked)

    options = [p.replace(kind=p.KEYWORD_ONLY) for p in plain.parameters.values() if p.name != "asked"]
    options += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hints[name])
        for name, default in mine.items()
    ]
    with_options.__dict__["__signature__"] = plain.replace(parameters=options)
    with_options.__annotations__ = {p.name: p.annotation for p in options} | {"return": None}
    return with_options
