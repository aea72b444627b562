"""noisette edit invert: the noise of a picture, and the pictures that other labels generate from it."""

from typing import TYPE_CHECKING, Annotated

import typer

from ..terminal import is_main_process
from .job import (
    EditJob,
    WrittenEdit,
    check_output_folder,
    encode_pixels,
    make_source_metadata,
    open_job,
    print_notes,
    write_sheet,
)
from .options import EditOptions, GuidanceScale, JsonOutput, Model, Out, Picture

if TYPE_CHECKING:
    from ...shapes import Images


def invert(
    model: Model,
    picture: Picture,
    out: Out,
    source_label: Annotated[
        str | None, typer.Option(help="Label of PICTURE, or a mixture. Default: none (null label).")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="Label of a new picture from the same noise. Repeatable.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Sampling steps; more: a better reconstruction.")] = 50,
    sampler: Annotated[str, typer.Option(help="A deterministic sampler: heun, ddim, ….")] = "heun",
    guidance: GuidanceScale = None,
    as_json: JsonOutput = False,
) -> None:
    """Find the noise of a picture by running the sampler backwards; then sample from it with the same and other labels.

    Writes PICTURE-back.png, PICTURE-LABEL.png, and grid.png with the picture first. Prints the reconstruction's PSNR.
    No noise is added, so there is no --eta and no --temperature.
    """
    import torch

    from ...data.input_picture import read_picture
    from ...edit.invert import invert as invert_picture
    from ...edit.invert import psnr, reconstruct
    from ...sampling.files import slugify
    from ...sampling.generate import build_denoiser

    labels = None if source_label is None else [source_label]
    options = EditOptions(label=labels, steps=steps, sampler=sampler, guidance=guidance)
    job = open_job(model, out, "invert", {"source_label": source_label}, 1, options)
    source, loaded = read_picture(picture, job.model.pictures), job.model
    conditions = {name: loaded.condition(name, 1) for name in label or []}
    device, solver = next(loaded.parameters()).device, job.request.make_sampler(loaded)
    grid, cond = job.request.make_grid(loaded), loaded.condition(source_label, 1)
    denoise = loaded.given(None if cond is None else cond.to(device))
    x0 = encode_pixels(loaded, source.pixels)
    with torch.no_grad():
        noise = invert_picture(denoise, grid, x0, solver)
        reconstruction = reconstruct(denoise, grid, noise, solver)
    decibels = round(float(psnr(reconstruction, x0)), 2)
    job = job.with_metadata(make_source_metadata(source) | {"psnr": decibels})
    print_notes(source)
    check_output_folder(job)
    written = [_write(job, f"{picture.stem}-back", reconstruction, source_label, is_sample=False)]
    for name, other in conditions.items():
        guided = build_denoiser(loaded, None if other is None else other.to(device), job.request.guidance)
        x = reconstruct(guided, grid, noise, solver)
        written.append(_write(job, f"{picture.stem}-{slugify(name)}", x, name, is_sample=True))
    sheet = write_sheet(out / "grid.png", [source.pixels, *(edit.pixels for edit in written)])
    job.report(written, [sheet], as_json)
    if is_main_process() and not as_json:
        typer.echo(f"PSNR of the reconstruction: {decibels:.1f} dB")


def _write(job: EditJob, stem: str, x: "Images", label: str | None, is_sample: bool) -> WrittenEdit:
    request, pictures = job.request, job.model.pictures
    pixels = (pictures.decode_samples if is_sample else pictures.decode)(x).cpu()
    metadata: dict[str, object] = {"edit": "invert", "model": request.model, "label": label, "sampler": request.sampler}
    metadata |= {"grid": request.grid, "steps": request.steps, "guidance": request.guidance} | dict(job.metadata)
    return job.write_png(job.out / f"{stem}.png", pixels, metadata)
