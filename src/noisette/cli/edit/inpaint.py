"""noisette edit inpaint: fill in a part of a picture, or extend it (outpainting)."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import InputError, lookup
from ..bounds import check_minimum
from ..option_groups import expand_option_groups
from .job import (
    check_output_folder,
    make_source_metadata,
    open_job,
    print_notes,
    write_sheet,
)
from .options import Model, Number, Out, Picture, Rounds, SteeredEditOptions

if TYPE_CHECKING:
    from torch import Tensor

    from ...data.input_picture import LoadedPicture
    from ...data.pictures import Pictures


@expand_option_groups
def inpaint(
    model: Model,
    picture: Picture,
    out: Out,
    mask: Annotated[
        Path | None,
        typer.Option(
            help="Picture of the same size whose white pixels (if it has transparency: transparent pixels) are "
            "generated. Default: the transparent pixels of PICTURE."
        ),
    ] = None,
    margin: Annotated[int, typer.Option(help="Outpainting: pixels to add on every side, 0 to 256.")] = 0,
    method: Annotated[str, typer.Option(help="repaint (Lugmayr et al. 2022) or ddnm (Wang et al. 2023).")] = "repaint",
    rounds: Rounds = 5,
    n: Number = 8,
    *,
    options: SteeredEditOptions,
) -> None:
    """Fill in a part of a picture, or extend it (outpainting). The other pixels stay the same, byte for byte.

    Writes PICTURE-SEED.png, and grid.png with the picture first.
    """
    import torch

    from ...data.input_picture import read_picture
    from ...edit.batch import INPAINT_METHODS, inpaint_picture
    from ...edit.inpaint import pad_canvas, restore_known

    check_minimum("--rounds", rounds)
    check_minimum("--margin", margin, 0)
    lookup(method, INPAINT_METHODS, "inpainting method")
    metadata = {"method": method, "rounds": rounds}
    job = open_job(model, out, "inpaint", metadata, n, options, default_temperature=1.0)
    source = read_picture(picture, job.model.pictures)
    pixels, known_mask = source.pixels, _read_known_mask(source, mask, margin, job.model.pictures)
    if margin:
        pixels, known_mask = pad_canvas(pixels, known_mask, margin)
    job = job.with_metadata(
        make_source_metadata(source) | {"mask": None if mask is None else mask.name, "margin": margin}
    )
    print_notes(source)
    check_output_folder(job)
    written = job.draw(
        lambda batch: inpaint_picture(job.model.pictures, batch, pixels, known_mask, rounds, method),
        picture.stem,
        rounds,
    )
    hole = restore_known(pixels, known_mask, torch.zeros_like(pixels))
    grid = write_sheet(out / "grid.png", [hole, *(edit.pixels for edit in written)])
    job.report(written, [grid], options.as_json)


def _read_known_mask(source: "LoadedPicture", mask: Path | None, margin: int, pictures: "Pictures") -> "Tensor":
    """1 where a pixel of the picture is kept; all ones if only a margin is generated."""
    import torch

    from ...data.input_picture import read_mask

    if mask is not None:
        known_mask: torch.Tensor = read_mask(mask, source, pictures)
    else:
        known_mask = torch.ones_like(source.opaque_mask) if margin else source.opaque_mask
    if not margin and bool(known_mask.all()):
        fault = (
            f"{source.path} has no transparent pixel" if mask is None else f"{mask} has no white or transparent pixel"
        )
        raise InputError(f"no pixels to fill in: {fault}; give a --mask that is white where pixels are to be generated")
    return known_mask
