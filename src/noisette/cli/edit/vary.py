"""noisette edit vary: variations of a picture."""

from typing import Annotated

import typer

from ..option_groups import expand_option_groups
from .job import check_output_folder, make_source_metadata, open_job, print_notes, write_sheet
from .options import Model, Number, Out, Picture, SteeredEditOptions


@expand_option_groups
def vary(
    model: Model,
    picture: Picture,
    out: Out,
    strength: Annotated[
        float,
        typer.Option(help="Strength of the change: above 0 (almost none), at most 1 (nothing of the picture is left)."),
    ] = 0.5,
    n: Number = 8,
    *,
    options: SteeredEditOptions,
) -> None:
    """Generate variations of a picture: noise is added to it, and the model removes it again (SDEdit).

    Writes PICTURE-SEED.png, and grid.png with the picture first.
    """
    from ...data.input_picture import read_picture
    from ...edit.batch import vary_picture
    from ...edit.vary import truncate_grid

    job = open_job(model, out, "vary", {"strength": strength}, n, options, default_temperature=1.0)
    truncate_grid(job.request.make_grid(job.model), strength)
    source = read_picture(picture, job.model.pictures)
    job = job.with_metadata(make_source_metadata(source))
    print_notes(source)
    check_output_folder(job)
    written = job.draw(lambda batch: vary_picture(job.model.pictures, batch, source.pixels, strength), picture.stem)
    grid = write_sheet(out / "grid.png", [source.pixels, *(edit.pixels for edit in written)])
    job.report(written, [grid], options.as_json)
