"""noisette edit segment: the mask of an object in a picture."""

from dataclasses import replace
from typing import TYPE_CHECKING

from ..option_groups import expand_option_groups
from .job import (
    check_output_folder,
    load_model,
    make_job,
    make_source_metadata,
    print_notes,
    write_sheet,
)
from .options import EditOptions, Model, Number, Out, Picture

if TYPE_CHECKING:
    from ...sampling.batch import EditBatch
    from ...shapes import UInt8Images


@expand_option_groups
def segment(
    model: Model,
    picture: Picture,
    out: Out,
    n: Number = 8,
    *,
    options: EditOptions,
) -> None:
    """Generate the mask of a picture, and its uncertainty, with a model of `noisette train --task segment`.

    Writes sampled masks, PICTURE-SEED.png; PICTURE-mask.png, white where most samples are; PICTURE-uncertainty.png,
    brighter where they differ more; and grid.png with the picture, the mask, the uncertainty and the samples.
    """
    import torch

    from ...data.input_picture import read_picture
    from ...data.png import write_png
    from ...edit.batch import sample_masks
    from ...edit.segment import binarize, mask_probability, uncertainty
    from ...errors import InputError
    from ...models.task import Segment, mask_as_picture

    loaded = load_model(model)
    task, pictures = loaded.config.task, loaded.pictures
    if not isinstance(task, Segment):
        raise InputError(f"{model} is not a segmentation model: give one of noisette train FOLDER --task segment")
    source = read_picture(picture, replace(task.given, height=pictures.height, width=pictures.width))
    x = task.given.encode(source.pixels).to(next(loaded.parameters()).device)
    job = make_job(loaded, out, "segment", make_source_metadata(source), n, options, image=x)
    print_notes(source)
    check_output_folder(job)
    samples: list[torch.Tensor] = []

    def draw_batch(batch: "EditBatch") -> "UInt8Images":
        samples.append(sample_masks(pictures, batch).cpu())
        return pictures.decode(samples[-1])

    name = picture.stem
    written = job.draw(draw_batch, name)
    probability = mask_probability(torch.cat(samples))
    maps = {"mask": binarize(probability), "uncertainty": uncertainty(probability)}
    pixels = {output: (255 * values.float()).round().to(torch.uint8) for output, values in maps.items()}
    paths = {output: out / f"{name}-{output}.png" for output in maps}
    for output, path in paths.items():
        write_png(
            path,
            pixels[output],
            {"edit": "segment", "output": output, "num_samples": n, "model": loaded.hash}
            | make_source_metadata(source),
        )
    masks = (*pixels.values(), *(edit.pixels for edit in written))
    shown = [source.pixels, *(mask_as_picture(mask, task.given) for mask in masks)]
    job.report(written, [*paths.values(), write_sheet(out / "grid.png", shown)], options.as_json)
