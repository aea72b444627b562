"""What the edits share: a model and its request, a progress bar, and files that record how they were made."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...sampling.files import ensure_writable, write_finished
from ..sheet import DEFAULT_FRAME_MS, check_sheet, pack_written
from ..terminal import get_console, print_error, print_json, print_paths
from .options import EditOptions

if TYPE_CHECKING:
    from ...data.input_picture import LoadedPicture
    from ...data.origin_mark import Origin
    from ...models.picture_model import PictureModel
    from ...sampling.batch import EditBatch
    from ...sampling.request import Helpers, SampleRequest
    from ...shapes import Images, UInt8Images


@dataclass(frozen=True)
class EditJob:
    """A model, the request of an edit, and where its files go."""

    model: "PictureModel"
    request: "SampleRequest"
    helpers: "Helpers"
    edit_name: str
    out: Path
    metadata: Mapping[str, Any]  # of the edit itself, for the files: strength, mask, …
    sheet: str | None = None  # the kind of sheet for a game engine that is also written

    def with_metadata(self, extra: Mapping[str, Any]) -> "EditJob":
        """The same job with more metadata for its files."""
        return replace(self, metadata=dict(self.metadata) | dict(extra))

    def iter_batches(self, passes: int = 1) -> "Iterator[EditBatch]":
        """The batches, with a progress bar over all their steps; each step is taken `passes` times."""
        from rich.progress import Progress

        from ...sampling.batch import CallbackSampler, edit_batches

        request, screen = self.request, get_console(to_stderr=True)
        total = -(-len(request) // request.batch) * (passes * (request.steps - 1) + 1)
        with Progress(console=screen, transient=True, disable=not screen.is_terminal) as bar:
            task = bar.add_task(self.edit_name, total=total)
            yield from edit_batches(
                self.model,
                request,
                self.helpers,
                lambda sampler: CallbackSampler(sampler, lambda state: bar.advance(task)),
            )

    def draw(
        self,
        edit_batch: "Callable[[EditBatch], UInt8Images]",
        name: str,
        passes: int = 1,
        describe: "Callable[[UInt8Images], Mapping[str, Any]]" = lambda pixels: {},
    ) -> "list[WrittenEdit]":
        """Draw every batch by `edit_batch` and write NAME-SEED.png, with the metadata that `describe` adds."""
        written = []
        for batch in self.iter_batches(passes):
            for i, row in enumerate(edit_batch(batch).cpu().split(1)):
                written.append(self.write(name, batch.offset + i, row, describe(row)))
        return written

    def write(self, name: str, index: int, pixels: "UInt8Images", extra: Mapping[str, Any]) -> "WrittenEdit":
        """Finish picture `index`, and write it with its record."""
        record = self.request.record(index)
        metadata = {"edit": self.edit_name} | dict(self.metadata) | dict(extra) | asdict(record)
        return self.write_png(self.out / f"{name}-{record.seed:06d}.png", pixels, metadata)

    def write_png(self, path: Path, pixels: "UInt8Images", metadata: Mapping[str, Any]) -> "WrittenEdit":
        """Finish a picture as the request says, and write it."""
        finished = self.request.finish(pixels)
        write_finished(path, finished, self.request, metadata)
        return WrittenEdit(path, finished, metadata)

    def report(
        self,
        written: "Sequence[WrittenEdit]",
        other_paths: Sequence[Path],
        as_json: bool,
        frame_ms: int = DEFAULT_FRAME_MS,
    ) -> None:
        """Write the sheet for a game engine, if one is asked for; print lines of JSON, or the paths.

        frame_ms: how long each picture is shown in its animation.
        """
        packed = pack_written(((edit.path, edit.pixels, edit.metadata) for edit in written), self.out, self.sheet,
                              frame_ms)  # fmt: skip
        if as_json:
            for edit in written:
                print_json({"path": str(edit.path.resolve())} | dict(edit.metadata))
        else:
            print_paths([*(edit.path for edit in written), *packed, *other_paths])


@dataclass(frozen=True)
class WrittenEdit:
    """A picture that was written."""

    path: Path
    pixels: "UInt8Images"  # (1, C, H, W)
    metadata: Mapping[str, Any]


def open_job(
    model: Path,
    out: Path,
    edit_name: str,
    metadata: Mapping[str, Any],
    n: int,
    options: EditOptions,
    default_temperature: float | None = None,
) -> EditJob:
    """Open the model and make the request; nothing is written yet. Without a label, the null label.

    `default_temperature`: of edits that start from a picture, 1; None: the model's own.
    """
    return make_job(load_model(model), out, edit_name, metadata, n, options, default_temperature)


def load_model(model: Path) -> "PictureModel":
    """The model, on the accelerator where there is one."""
    from ...models.picture_model import load
    from ...sampling.draw import to_accelerator

    return to_accelerator(load(model))


def make_job(
    model: "PictureModel",
    out: Path,
    edit_name: str,
    metadata: Mapping[str, Any],
    n: int,
    options: EditOptions,
    default_temperature: float | None = None,
    image: "Images | None" = None,
) -> EditJob:
    """`open_job` of an opened model, with the input of its task."""
    from ...sampling.request import Helpers, make_request
    from ...sampling.steering import GuidanceModels

    check_sheet(options.sheet)
    resolved = options.resolve(model)
    helpers = Helpers(resolved.guidance_models or GuidanceModels(), image=image)
    request = make_request(
        model, n, options.label or [None], attributes=options.attribute, text=options.text, seed=options.seed,
        steps=options.steps, sampler=options.sampler, grid=options.grid, guidance=options.guidance,
        guidance_interval=resolved.guidance_interval, steering=resolved.steering, eta=options.eta,
        temperature=default_temperature if options.temperature is None else options.temperature,
        batch=options.batch, lock=resolved.lock, helpers=helpers,
    )  # fmt: skip
    return EditJob(model, request, helpers, edit_name, out, metadata, options.sheet)


def make_source_metadata(source: "LoadedPicture") -> dict[str, Any]:
    """The metadata of a file that say which picture it was made of."""
    return {"picture": source.path.name, "picture_sha256": source.sha256}


def print_notes(source: "LoadedPicture") -> None:
    """Print how a picture was converted."""
    for sentence in source.notes:
        print_error(sentence)


def check_output_folder(job: EditJob) -> None:
    """Raise InputError if the folder cannot be written to."""
    ensure_writable(job.out)


def write_sheet(
    path: Path, pictures: "Sequence[UInt8Images]", columns: int | None = None, origin: "Origin" = "edited"
) -> Path:
    """Write all pictures, enlarged, on one sheet. origin: "edited" where one of them is a picture that existed."""
    import torch

    from ...data.contact_sheet import contact_sheet
    from ...data.png import write_png

    write_png(path, contact_sheet(torch.cat(list(pictures)), columns), origin=origin)
    return path


def encode_pixels(model: "PictureModel", pixels: "UInt8Images") -> "Images":
    """Pictures in model space, on the model's device."""
    return model.pictures.encode(pixels).to(next(model.parameters()).device)
