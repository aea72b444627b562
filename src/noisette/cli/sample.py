"""noisette sample: new pictures from a trained model."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError
from ..sampling.files import WrittenSample, ensure_writable, write_grid, write_sample
from .bounds import check_minimum
from .guidance_options import ClassifierGuidanceOptions
from .option_groups import expand_option_groups
from .sample_options import (
    Attributes,
    Eta,
    GridName,
    GuidanceScale,
    Labels,
    Model,
    Out,
    PictureSize,
    SampleBatch,
    SamplerName,
    Seamless,
    Seed,
    Steps,
    Temperature,
    Texts,
)
from .sheet import SheetKind, check_sheet, pack_written
from .terminal import get_console, print_json, print_paths
from .tiff import Tiff, find_levels, write_exact

if TYPE_CHECKING:
    from ..data.levels import Levels
    from ..models.picture_model import PictureModel
    from ..sampling.request import Helpers, SampleRequest

PART_SIZE = 1024  # pictures of one request: a command of any size takes the memory of one part
MAX_GRID_PIXELS = 2**24  # of all pictures on grid.png


@expand_option_groups
def sample(
    model: Model,
    out: Out,
    n: Annotated[int | None, typer.Option("-n", "--number", help="Number of pictures. Default: 64.")] = None,
    label: Labels = None,
    attribute: Attributes = None,
    text: Texts = None,
    seed: Seed = None,
    steps: Steps = None,
    sampler: SamplerName = None,
    grid: GridName = None,
    guidance: GuidanceScale = None,
    *,
    guidance_options: ClassifierGuidanceOptions,
    eta: Eta = None,
    temperature: Temperature = None,
    upscalers: Annotated[
        list[Path] | None,
        typer.Option(
            "--upscaler",
            help="Model trained with --task upscale that enlarges the samples. Repeatable: applied in order.",
        ),
    ] = None,
    noise_aug: Annotated[
        float | None,
        typer.Option(help="Standard deviation of the noise added to each --upscaler's input, 0 to 0.5. Default: 0.1."),
    ] = None,
    like: Annotated[
        Path | None,
        typer.Option(
            help="A PNG that this command wrote: generate it again, with the settings recorded in it.",
            show_default=False,
        ),
    ] = None,
    size: PictureSize = None,
    seamless: Seamless = None,
    batch: SampleBatch = None,
    sheet: SheetKind = None,
    tiff: Tiff = False,
    snapshot: Annotated[
        str | None,
        typer.Option(help="Snapshot of the run: last, best, or its number of training images. Default: RUN/model."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON per picture.")] = False,
) -> None:
    """Generate new pictures: PNGs at native size, and grid.png with all of them enlarged.

    Each PNG records its settings, so that `--like PICTURE` generates it again.
    """
    from ..io.units import as_size
    from ..sampling.request import DEFAULT_COUNT, Helpers, make_request

    check_sheet(sheet)
    loaded = open_model(model, snapshot)
    resolved = guidance_options.resolve(loaded)
    opened = tuple(open_model(path) for path in upscalers or ())
    helpers = Helpers(upscalers=opened)
    if resolved.guidance_models is not None:
        helpers = Helpers(resolved.guidance_models, opened)
    levels = find_levels((loaded, *opened)[-1]) if tiff else None
    shown: list[WrittenSample] = []  # on the grid
    if like is not None:
        _reject_other_options({
            "-n": n, "--label": label, "--attribute": attribute, "--text": text, "--seed": seed, "--steps": steps,
            "--sampler": sampler, "--grid": grid, "--guidance": guidance, **guidance_options.list_given_options(),
            "--eta": eta, "--temperature": temperature, "--noise-aug": noise_aug, "--batch": batch,
            "--size": size, "--seamless": seamless,
        })  # fmt: skip
        written, total = iter([_reproduce(loaded, like, out, helpers, levels)]), 1
    else:
        check_minimum("-n", n)
        total = n or DEFAULT_COUNT

        def part(first: int, number: int) -> "SampleRequest":
            """The request of `number` of the pictures, from the one of number `first` on."""
            return make_request(
                loaded, number, label, attributes=attribute, text=text, seed=seed or 0, first=first, steps=steps,
                sampler=sampler, grid=grid, guidance=guidance, guidance_interval=resolved.guidance_interval,
                steering=resolved.steering, eta=eta, temperature=temperature, noise_aug=noise_aug,
                size=as_size(size), seamless=seamless, batch=batch,
                lock=resolved.lock, helpers=helpers,
            )  # fmt: skip

        start = part(0, min(total, PART_SIZE))
        ensure_writable(out)
        at_once = start.images_at_once
        length = at_once * max(1, PART_SIZE // at_once)  # whole batches
        parts = (part(first, min(length, total - first)) for first in range(0, total, length))
        written = draw_and_write(loaded, parts, -(-total // at_once) * start.steps, out, helpers, levels)
    for number, item in enumerate(written, 1):
        if as_json:
            print_json({"path": str(item.path.resolve())} | item.metadata)
        if number == 1 or number * item.pixels[0, 0].numel() <= MAX_GRID_PIXELS:
            shown.append(item)
    paths = [item.path for item in shown]
    if like is None:
        if len(shown) < total:
            get_console(to_stderr=True).print(f"sheets show the first {len(shown):,} of {total:,} pictures")
        paths = [write_grid(shown, out / "grid.png"), out]
    paths = [*pack_written(((one.path, one.pixels, asdict(one.record)) for one in shown), out, sheet), *paths]
    if not as_json:
        print_paths(paths)
        _print_seams(shown)


def open_model(model: Path, snapshot: str | None = None) -> "PictureModel":
    """A model, or a snapshot of its run, on the accelerator; with a note where a run's model is not its last one."""
    from ..models.picture_model import load
    from ..sampling.draw import to_accelerator
    from ..training.snapshots import describe_selection, find_folder

    if snapshot is None and (note := describe_selection(model)):
        get_console(to_stderr=True).print(f"{note}; --snapshot last uses the last one", markup=False, soft_wrap=True)
    return to_accelerator(load(model if snapshot is None else find_folder(model, snapshot)))


def draw_and_write(
    model: "PictureModel",
    requests: "Iterable[SampleRequest]",
    steps: int,
    out: Path,
    helpers: "Helpers | None" = None,
    levels: "Levels | None" = None,
) -> Iterator[WrittenSample]:
    """Generate, and write each picture as soon as its batch is done, with a progress bar of `steps` sampling steps.

    levels: also write each picture as `write_exact` does.
    """
    from rich.progress import Progress

    from ..sampling.run import draw_exact

    screen = get_console(to_stderr=True)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("sampling", total=steps)
        for request in requests:
            batches = draw_exact(model, request, helpers, lambda: bar.advance(task))
            rows = (pair for x, pixels in batches for pair in zip(x, pixels, strict=True))
            for number, (x, pixels) in enumerate(rows):
                written = write_sample(out, request.record(number), pixels[None].clone())
                if levels is not None:
                    write_exact(written.path, written.record, x, levels)
                yield written


def _reproduce(
    model: "PictureModel", picture: Path, out: Path, helpers: "Helpers", levels: "Levels | None"
) -> WrittenSample:
    from ..data.png import read_metadata
    from ..sampling.record import read_record
    from ..sampling.run import reproduce

    metadata = read_metadata(picture)
    if "edit" in metadata:
        raise InputError(
            f"{picture} was written by noisette edit {metadata['edit']}: --like is for pictures of noisette sample"
        )
    if "tileset" in metadata:
        raise InputError(f"{picture} was written by noisette tileset: --like is for pictures of noisette sample")
    record = read_record(metadata, str(picture))
    x = reproduce(model, record, helpers.guidance_models, helpers.upscalers)
    ensure_writable(out)
    last = (model, *helpers.upscalers)[-1]
    images = last.codec.to_images(x)
    written = write_sample(out, record, record.finish(last.pictures.decode_samples(images)))
    if levels is not None:
        write_exact(written.path, written.record, images[0], levels)
    return written


def _print_seams(samples: Sequence[WrittenSample]) -> None:
    """The mean seam scores of seamless pictures."""
    from ..data.seams import SEAM_AXES

    scores = [sample.metadata for sample in samples]
    if all(name in one for one in scores for name in SEAM_AXES):
        means = (sum(float(str(one[name])) for one in scores) / len(scores) for name in SEAM_AXES)
        x, y = (f"{mean:.2f}" for mean in means)
        get_console(to_stderr=True).print(f"seam scores (about 1: no seam): {x} in x, {y} in y, mean of {len(scores)}")


def _reject_other_options(options: dict[str, object]) -> None:
    """Raise InputError for options that --like takes from the picture."""
    if given := [name for name, value in options.items() if value is not None and value != []]:
        raise InputError(f"--like takes all settings from the picture: leave {' and '.join(given)} out")
