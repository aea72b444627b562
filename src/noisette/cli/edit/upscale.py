"""noisette edit upscale: enlarge a small picture."""

from typing import Annotated

import typer

from ..bounds import check_minimum
from ..option_groups import expand_option_groups
from .job import (
    check_output_folder,
    encode_pixels,
    load_model,
    make_job,
    make_source_metadata,
    print_notes,
    write_sheet,
)
from .options import Model, Number, Out, Picture, SteeredEditOptions


@expand_option_groups
def upscale(
    model: Model,
    picture: Picture,
    out: Out,
    rounds: Annotated[
        int | None,
        typer.Option(
            help="How often each step is taken, with new noise in between. Default: 3; for a trained upscaler, 1."
        ),
    ] = None,
    n: Number = 8,
    *,
    options: SteeredEditOptions,
) -> None:
    """Enlarge a small picture to the model's size. The result, averaged down again, is the small picture.

    Works with any model, and best with one of `noisette train --task upscale`. The model's size must be a whole
    multiple of the picture's. Writes PICTURE-SEED.png, and grid.png with the picture first, its pixels repeated.
    """
    from ...data.input_picture import read_small
    from ...edit.batch import upscale_picture

    loaded = load_model(model)
    trained = loaded.config.task.input_spec(loaded.pictures) is not None
    rounds = rounds if rounds is not None else 1 if trained else 3
    check_minimum("--rounds", rounds)
    source, factor = read_small(picture, loaded.pictures)
    small = encode_pixels(loaded, source.pixels)
    metadata = make_source_metadata(source) | {"factor": factor, "rounds": rounds}
    job = make_job(loaded, out, "upscale", metadata, n, options, image=small if trained else None)
    print_notes(source)
    check_output_folder(job)
    written = job.draw(
        lambda batch: upscale_picture(job.model.pictures, batch, source.pixels, factor, rounds), picture.stem, rounds
    )
    nearest = source.pixels.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    grid = write_sheet(out / "grid.png", [nearest, *(edit.pixels for edit in written)])
    job.report(written, [grid], options.as_json)
