"""What all the edits may be told, in the same words as noisette sample."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ..spread import Options
from ..steering import Judged, Leading, Leads

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
class Asked(Options):
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

    def led(self) -> Leading:
        """How the walk is led beside being asked."""
        return Leading()


@dataclass(frozen=True)
class Guided(Leads, Asked):
    """What is asked of a model that may be led beside."""


@dataclass(frozen=True)
class Led(Judged, Asked):
    """The same, by every way to steer that noisette sample has."""
