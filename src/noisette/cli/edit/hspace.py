"""noisette edit hspace: directions in a model's features (h-space), and pictures moved along them."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import InputError, lookup
from ..bounds import check_minimum
from ..option_groups import expand_option_groups
from ..terminal import get_console, print_json, print_paths
from .job import EditJob, check_output_folder, encode_pixels, open_job, write_sheet
from .options import EditOptions, Model, Number, Out

if TYPE_CHECKING:
    from ...diffusion.denoiser import Denoiser
    from ...edit.hspace import Direction, DirectionEffect, EffectSetup, Layer
    from ...sampling.batch import EditBatch
    from ...shapes import Images

NUM_TEST_SAMPLES = 8  # pictures on which a direction's effect is measured


@expand_option_groups
def hspace(
    model: Model,
    out: Out,
    directions: Annotated[
        Path | None,
        typer.Option(
            help="directions.safetensors written by this command. Default: find directions.", show_default=False
        ),
    ] = None,
    along: Annotated[
        list[str] | None,
        typer.Option(help="NAME=STRENGTH of a direction in --directions, usually -2 to 2. Repeatable."),
    ] = None,
    components: Annotated[int, typer.Option(help="Number of principal components to find.")] = 4,
    without_folder: Annotated[
        Path | None, typer.Option("--without", help="Folder of pictures without a property; needs --with.")
    ] = None,
    with_folder: Annotated[
        Path | None,
        typer.Option(
            "--with", help="Folder of the same pictures with that property: finds the direction of their difference."
        ),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(
            help="Layer whose output is edited: mid (bottleneck) or decoder (at half of the picture's size). "
            "Default: decoder.",
            show_default=False,
        ),
    ] = None,
    n: Number = 32,
    *,
    options: EditOptions,
) -> None:
    """Find directions in the model's features (h-space), or generate pictures moved along them. Needs no other network.

    Finding: principal components of -n new pictures, the mean of each label, and --with minus --without. Writes
    directions.safetensors, for this model only, and grid.png with a row for each direction, from -2 to 2.
    Generating, with --directions and --along: writes hspace-SEED.png and grid.png.
    """
    if (directions is None) != (not along):
        raise InputError("--directions and --along need each other: give a file, and which of its directions to use")
    if (without_folder is None) != (with_folder is None):
        raise InputError("--without and --with need each other: give two folders of pictures")
    if directions is not None and layer is not None:
        raise InputError("--layer is for finding directions, and a file of directions has its own: leave it out")
    if directions is None and options.sheet is not None:
        raise InputError(
            "--sheet packs the pictures that are generated: give --directions and --along, or leave it out"
        )
    check_minimum("--components", components)
    job = open_job(model, out, "hspace", {}, n, options)
    from ...edit.hspace import LAYERS, find_layer

    layer_name = lookup(layer or "decoder", LAYERS, "layer")
    find_layer(job.model.net, layer_name)
    if directions is not None:
        _draw_moved(job, directions, along or [], options.as_json)
        return
    if n <= components:
        raise InputError(f"-n must be more than --components {components}, got {n}")
    pairs, name = None, ""
    if without_folder is not None and with_folder is not None:
        pairs = (_read_folder(job, without_folder), _read_folder(job, with_folder))
        name = f"{with_folder.name} - {without_folder.name}"
    check_output_folder(job)
    _find_directions(job, components, pairs, name, layer_name, options.as_json)


# ── generating ────────────────────────────────────────────────────────────────────────────────────────────────────


def _draw_moved(job: EditJob, path: Path, along: Sequence[str], as_json: bool) -> None:
    from ...edit.batch import sample_along
    from ...edit.hspace import find_layer, load_directions, select_direction

    directions, moves = load_directions(path, job.model.hash), []
    for text in along:
        name, equals, strength = text.rpartition("=")
        try:
            factor = float(strength) if equals else 1.0
        except ValueError as error:
            raise InputError(f"--along must be NAME=STRENGTH like 1=1.5, got {text!r}") from error
        moves.append((select_direction(directions, name if equals else text), factor))
    job = job.with_metadata({"along": {direction.name: strength for direction, strength in moves}})
    check_output_folder(job)
    module = find_layer(job.model.net, directions[0].layer)
    written = job.draw(lambda batch: sample_along(job.model.pictures, batch, module, moves), "hspace")
    job.report(
        written, [write_sheet(job.out / "grid.png", [edit.pixels for edit in written], origin="generated")], as_json
    )


# ── finding ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _find_directions(
    job: EditJob, components: int, pairs: "tuple[Images, Images] | None", name: str, layer: "Layer", as_json: bool
) -> None:
    from ...edit.hspace import STRENGTHS, find_components, find_label_directions, measure_effects, save_directions

    model, request = job.model, job.request
    batches = (replace(batch, denoise=_without_guidance(job, batch)) for batch in job.iter_batches())
    found = find_components(model, batches, components, layer)
    grid, seeds = request.make_grid(model), request.seeds[: request.batch]
    found += find_label_directions(model, model.pictures.labels, seeds, grid, layer, request.temperature)
    found += [] if pairs is None else [_find_difference(job, pairs, name, layer)]
    effects, sliders = measure_effects(_make_test_bench(job, layer), found)
    path = job.out / "directions.safetensors"
    save_directions(path, found, model.hash, f"{len(request)} pictures from seed {request.seeds[0]}")
    rows = [slider[:: slider.shape[0] // len(STRENGTHS)] for slider in sliders]  # the first picture at each strength
    pixels = [model.pictures.decode_samples(row).cpu() for row in rows]
    sheet = write_sheet(job.out / "grid.png", pixels, len(STRENGTHS), origin="generated")
    if as_json:
        for effect in effects:
            print_json(asdict(effect))
    else:
        _print_effects(effects)
        print_paths([path, sheet])


def _find_difference(job: EditJob, pairs: "tuple[Images, Images]", name: str, layer: "Layer") -> "Direction":
    """The mean difference of the features of two kinds of pictures, under the same noises."""
    from ...diffusion.noise import Seeded
    from ...edit.hspace import difference_direction, find_layer, record_noised

    without, with_property = pairs
    grid, module = job.request.make_grid(job.model), find_layer(job.model.net, layer)
    denoise = job.model.given(None)
    times, reference = record_noised(denoise, module, grid, without, Seeded(range(len(without))))
    _, target = record_noised(denoise, module, grid, with_property, Seeded(range(len(with_property))))
    return difference_direction(name, times, target, reference, layer)


def _without_guidance(job: EditJob, batch: "EditBatch") -> "Denoiser":
    """The denoiser of a batch without guidance, which evaluates the network once a step."""
    cond = job.request.make_condition(job.model, job.helpers)
    rows = slice(batch.offset, batch.offset + batch.size)
    return job.model.given(None if cond is None else cond[rows].to(batch.device))


def _make_test_bench(job: EditJob, layer: "Layer") -> "EffectSetup":
    """A few new pictures, of seeds that no direction was found with, by a deterministic sampler."""
    from ...diffusion.sampler import DDIM
    from ...edit.hspace import EffectSetup, find_layer
    from ...sampling.generate import build_denoiser, initial_state

    model, grid = job.model, job.request.make_grid(job.model)
    first = job.request.seeds[-1] + 1
    state, noise = initial_state(model, range(first, first + NUM_TEST_SAMPLES), grid, job.request.temperature)
    cond = model.condition(None, NUM_TEST_SAMPLES)
    denoise = build_denoiser(model, None if cond is None else cond.to(state.x.device))
    return EffectSetup(denoise, find_layer(model.net, layer), DDIM(), grid, state.x, noise)


def _read_folder(job: EditJob, folder: Path) -> "Images":
    """All pictures of a folder in model space, sorted by name."""
    import torch

    from ...data.input_picture import read_picture

    files = sorted(p for p in folder.iterdir() if p.is_file()) if folder.is_dir() else []
    if not files:
        raise InputError(f"{folder} is not a folder of pictures: give one for --without and one for --with")
    return encode_pixels(job.model, torch.cat([read_picture(p, job.model.pictures).pixels for p in files]))


def _print_effects(effects: "Sequence[DirectionEffect]") -> None:
    from rich.table import Table

    table = Table("", "direction", "RMS change", "R² of a line", "homogeneity", "composition with the next")
    for i, effect in enumerate(effects, 1):
        composition = "" if effect.composition is None else f"{effect.composition:.2f}"
        values = (f"{effect.rms_change:.3f}", f"{effect.r2:.3f}", f"{effect.homogeneity:.2f}")
        table.add_row(str(i), effect.name, *values, composition)
    get_console().print(table)
