"""noisette edit tile: seamless pictures, whose opposite edges fit."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors import InputError
from ..bounds import check_minimum
from ..option_groups import expand_option_groups
from .job import (
    EditJob,
    check_output_folder,
    make_source_metadata,
    open_job,
    print_notes,
    write_sheet,
)
from .options import Model, Number, Out, Rounds, SteeredEditOptions

if TYPE_CHECKING:
    from ...sampling.batch import EditBatch
    from ...shapes import UInt8Images


@expand_option_groups
def tile(
    model: Model,
    out: Out,
    axes: Annotated[str, typer.Option(help="x: left and right edges fit; y: top and bottom; xy: both.")] = "xy",
    picture: Annotated[
        Path | None, typer.Option(help="Picture to make seamless. Default: generate new ones.", show_default=False)
    ] = None,
    border_width: Annotated[
        int | None,
        typer.Option(help="Pixels at each edge of --picture to generate anew. Default: a quarter of its size."),
    ] = None,
    rounds: Rounds = 5,
    n: Number = 8,
    *,
    options: SteeredEditOptions,
) -> None:
    """Generate seamless pictures, or make a picture seamless.

    Writes tile-SEED.png with its seam scores (mean step across the edge over mean step inside: about 1 is seamless),
    and grid.png with each picture repeated 3×3.
    """
    if axes not in ("x", "y", "xy"):
        raise InputError(f"--axes must be x, y or xy, got {axes!r}")
    if border_width is not None and picture is None:
        raise InputError("--border-width needs a --picture: give one, or leave it out")
    check_minimum("--rounds", rounds)
    default_temperature = None if picture is None else 1.0
    job = open_job(model, out, "tile", {"axes": axes}, n, options, default_temperature)
    written = _draw_new(job, axes) if picture is None else _repair_picture(job, axes, picture, border_width, rounds)
    preview = write_sheet(out / "grid.png", [edit.pixels.repeat(1, 1, 3, 3) for edit in written])
    job.report(written, [preview], options.as_json)


def _draw_new(job: EditJob, axes: str) -> list[Any]:
    from ...data.seams import measure_seams
    from ...edit.batch import sample_seamless

    check_output_folder(job)

    def draw_batch(batch: "EditBatch") -> "UInt8Images":
        return sample_seamless(job.model.codec, batch, axes)

    return job.draw(draw_batch, "tile", describe=measure_seams)


def _repair_picture(job: EditJob, axes: str, picture: Path, border_width: int | None, rounds: int) -> list[Any]:
    from ...data.input_picture import read_picture
    from ...data.seams import measure_seams
    from ...edit.batch import remove_seam
    from ...edit.tile import border_mask

    source = read_picture(picture, job.model.pictures)
    height, width = job.model.pictures.height, job.model.pictures.width
    band = min(height, width) // 4 if border_width is None else border_width
    border_mask(height, width, band, "x" in axes, "y" in axes)
    job = job.with_metadata(make_source_metadata(source) | {"band": band, "rounds": rounds})
    print_notes(source)
    check_output_folder(job)

    def draw_batch(batch: "EditBatch") -> "UInt8Images":
        return remove_seam(job.model.codec, batch, source.pixels, axes, band, rounds)

    return job.draw(draw_batch, picture.stem, rounds, describe=measure_seams)
