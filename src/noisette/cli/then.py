"""The models that enlarge what another one drew: --then and --level of noisette sample."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError

if TYPE_CHECKING:
    from ..edit.cascade import Cascade
    from ..model import PictureModel

Then = Annotated[
    list[Path] | None,
    typer.Option(help="A model of --task upscale that enlarges what was drawn; several, one after another."),
]
Level = Annotated[
    float | None, typer.Option(help="Noise that each --then is told to see past: 0 to 0.5. 0.1 unless said.")
]


def cascade(model: "PictureModel", then: "Sequence[PictureModel]", level: float | None) -> "Cascade":
    """What follows a model, checked."""
    from ..edit.cascade import LEVEL, Cascade

    if level is not None and not then:
        raise InputError("--level is of the noise that each --then sees past: give a --then, or leave it out")
    return Cascade(tuple(then), LEVEL if level is None else level).check(model)
