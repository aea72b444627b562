"""Options that several edits share, in the same words as noisette sample."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..guidance_options import ClassifierGuidanceOptions, GuidanceOptions, ResolvedGuidance
from ..option_groups import OptionGroup
from ..sample_options import Attributes, Batch, Eta, GridName, GuidanceScale, Model, Out, SamplerName, Steps
from ..sheet import SheetKind

if TYPE_CHECKING:
    from ...models.picture_model import PictureModel

__all__ = [
    "EditOptions", "GuidanceScale", "GuidedEditOptions", "JsonOutput", "Model", "Number", "Out", "Picture", "Rounds",
    "SteeredEditOptions",
]  # fmt: skip

Picture = Annotated[
    Path,
    typer.Argument(help="Picture; another size or mode is converted to the model's.", show_default=False),
]
Number = Annotated[int, typer.Option("-n", "--number", help="Number of pictures.")]
Labels = Annotated[
    list[str] | None,
    typer.Option(
        "--label",
        help="Label of the result, or mixture like a:0.5,b:0.5. Repeatable: used in turn. Default: none (null label).",
    ),
]
Texts = Annotated[
    list[str] | None,
    typer.Option("--text", help='Caption of the result, like "a red fish". Repeatable: used in turn. Default: none.'),
]
Seed = Annotated[int, typer.Option(help="Seed of the first picture; picture i has seed + i.")]
Rounds = Annotated[
    int,
    typer.Option(
        help="How many times each step is taken, with new noise in between (RePaint); more: slower, a better fit."
    ),
]
Temperature = Annotated[
    float | None,
    typer.Option(
        help="Factor of all noise, above 0, at most 2; lower: smoother. Default: 1 if a picture is changed "
        "(vary, inpaint, tile --picture), else the model's own."
    ),
]
JsonOutput = Annotated[bool, typer.Option("--json", help="Print one line of JSON per picture.")]


@dataclass(frozen=True)
class EditOptions(OptionGroup):
    """Options of every edit."""

    label: Labels = None
    attribute: Attributes = None
    text: Texts = None
    seed: Seed = 0
    steps: Steps = None
    sampler: SamplerName = None
    grid: GridName = None
    guidance: GuidanceScale = None
    eta: Eta = None
    temperature: Temperature = None
    batch: Batch = None
    sheet: SheetKind = None
    as_json: JsonOutput = False

    def resolve(self, model: "PictureModel") -> ResolvedGuidance:
        """The options that steer `model`, with the models opened."""
        return ResolvedGuidance()


@dataclass(frozen=True)
class GuidedEditOptions(GuidanceOptions, EditOptions):
    """The same, and the options that steer without a classifier."""


@dataclass(frozen=True)
class SteeredEditOptions(ClassifierGuidanceOptions, EditOptions):
    """The same, and all options that steer."""
