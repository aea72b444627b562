"""noisette sample --tiff: samples in the unit of the training pictures, as far as these had more than 8 bits."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from ..data.levels import Levels
    from ..models.picture_model import PictureModel
    from ..sampling.record import SampleRecord

Tiff = Annotated[
    bool,
    typer.Option(
        "--tiff",
        help="Also write NAME.tif for each picture, 16-bit or floating-point, in the unit of the training pictures. "
        "For models trained with --percentiles.",
    ),
]


def find_levels(model: "PictureModel") -> "Levels":
    """What --tiff scales back to. Raises InputError for a model of pictures of 8 bits."""
    if model.pictures.levels is None:
        raise InputError(
            "--tiff is for models that were trained with --percentiles, which this one was not: leave it out"
        )
    return model.pictures.levels


def write_exact(picture: Path, record: "SampleRecord", x: "Float[Tensor, '1 h w']", levels: "Levels") -> None:
    """Write a sample in model space, as NAME.tif beside its PNG."""
    from ..data.tiff_writer import write_tiff

    metadata = {"model": record.model, "seed": record.seed, "low": levels.low, "high": levels.high}
    write_tiff(picture.with_suffix(".tif"), levels.restore(x), metadata)
