"""noisette sample: new pictures from a trained model."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError
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
from .terminal import get_console, print_json, print_paths

if TYPE_CHECKING:
    from ..models.picture_model import PictureModel
    from ..sampling.record import SampleRecord, SampleSettings
    from ..sampling.request import Helpers, SampleRequest
    from ..shapes import UInt8Images

PART_SIZE = 1024  # pictures of one request: a command of any size takes the memory of one part
MAX_GRID_PIXELS = 2**24  # of all pictures on grid.png
MAX_NAME_BYTES = 100  # of label and text in a file's name; encrypted file systems take 143 in all


@dataclass(frozen=True)
class WrittenSample:
    """A picture that was written."""

    path: Path
    record: "SampleRecord"
    pixels: "UInt8Images"  # (1, C, H, W)

    @property
    def metadata(self) -> dict[str, object]:
        """What the file carries: the record, and of a seamless picture its seam scores."""
        from ..data.seams import measure_seams

        canvas = self.record.canvas
        is_seamless = canvas is not None and (canvas.wrap_x or canvas.wrap_y)
        return asdict(self.record) | (measure_seams(self.pixels) if is_seamless else {})


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
    sheet: Annotated[
        str | None,
        typer.Option(
            help="Also write sheet.png at native size, and the file by which a game engine cuts it: aseprite, phaser, "
            "tiled, godot or css (see `noisette sheet`)."
        ),
    ] = None,
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

    if sheet is not None:
        from ..interop.sheet_formats import check_kind

        check_kind(sheet)
    loaded = open_model(model, snapshot)
    resolved = guidance_options.resolve(loaded)
    opened = tuple(open_model(path) for path in upscalers or ())
    helpers = Helpers(upscalers=opened)
    if resolved.guidance_models is not None:
        helpers = Helpers(resolved.guidance_models, opened)
    shown: list[WrittenSample] = []  # on the grid
    if like is not None:
        _reject_other_options({
            "-n": n, "--label": label, "--attribute": attribute, "--text": text, "--seed": seed, "--steps": steps,
            "--sampler": sampler, "--grid": grid, "--guidance": guidance, **guidance_options.list_given_options(),
            "--eta": eta, "--temperature": temperature, "--noise-aug": noise_aug, "--batch": batch,
            "--size": size, "--seamless": seamless,
        })  # fmt: skip
        written, total = iter([_reproduce(loaded, like, out, helpers)]), 1
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
        written = draw_and_write(loaded, parts, -(-total // at_once) * start.steps, out, helpers)
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
    if sheet is not None:
        paths = [*write_sheet(shown, out, sheet), *paths]
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


def ensure_writable(out: Path) -> None:
    """Make the folder, and raise InputError now, not after an hour of work, if files cannot be written there."""
    import tempfile

    from ..io.files import explain_os_errors

    with explain_os_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass


def draw_and_write(
    model: "PictureModel", requests: "Iterable[SampleRequest]", steps: int, out: Path, helpers: "Helpers | None" = None
) -> Iterator[WrittenSample]:
    """Generate, and write each picture as soon as its batch is done, with a progress bar of `steps` sampling steps."""
    from rich.progress import Progress

    from ..sampling.run import draw_batches

    screen = get_console(to_stderr=True)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("sampling", total=steps)
        for request in requests:
            rows = (row for batch in draw_batches(model, request, helpers, lambda: bar.advance(task)) for row in batch)
            for number, pixels in enumerate(rows):
                yield write_sample(out, request.record(number), pixels[None].clone())


def write_sample(out: Path, record: "SampleRecord", pixels: "UInt8Images") -> WrittenSample:
    """Write LABEL-TEXT-SEED.png with the record inside."""
    name = slugify(f"{record.label or ''} {record.text or ''}")
    path = out / f"{name}{'-' if name else ''}{record.seed:06d}.png"
    written = WrittenSample(path, record, pixels)
    write_finished(path, pixels, record, written.metadata)
    return written


def write_finished(
    path: Path, pixels: "UInt8Images", settings: "SampleSettings", metadata: Mapping[str, object]
) -> None:
    """Write a finished picture as a PNG."""
    from ..io.files import atomic_write
    from ..sampling.record import encode_finished

    atomic_write(path, encode_finished(pixels, settings, metadata))


def slugify(text: str) -> str:
    """A label or a text as part of a file's name that every file system takes: letters and digits, of few bytes."""
    import re
    import unicodedata

    slug = re.sub(r"\W+", "-", unicodedata.normalize("NFC", text)).strip("-").lower()
    return slug.encode()[:MAX_NAME_BYTES].decode(errors="ignore").strip("-")


def write_grid(samples: Sequence[WrittenSample], path: Path) -> Path:
    """All pictures on one sheet, sorted by label; with several texts, a row for each."""
    import torch

    from ..data.contact_sheet import contact_sheet
    from ..data.png import write_png

    order = sorted(samples, key=lambda sample: (sample.record.label or "", sample.record.seed))
    texts = list(dict.fromkeys(sample.record.text for sample in samples))
    columns = None if len(texts) == 1 else -(-len(samples) // len(texts))
    order.sort(key=lambda sample: texts.index(sample.record.text))
    write_png(path, contact_sheet(torch.cat([sample.pixels for sample in order]), columns))
    return path


def write_sheet(samples: Sequence[WrittenSample], out: Path, kind: str) -> list[Path]:
    """The sheet of these samples for a game engine, and the files that describe it."""
    from ..interop import sheet_formats, sheet_layout

    pictures = [sheet_layout.picture_of_sample(one.path.stem, one.pixels, one.record) for one in samples]
    return sheet_formats.write_sheet(sheet_layout.pack_sheet(pictures), out, kind)


def _reproduce(model: "PictureModel", picture: Path, out: Path, helpers: "Helpers") -> WrittenSample:
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
    return write_sample(out, record, record.finish(last.pictures.decode_samples(x)))


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
