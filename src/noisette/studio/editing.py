"""The page "Edit": edited pictures, with previews while they are drawn."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from ..diffusion.sampler import State
from ..models.picture_model import PictureModel
from ..sampling.batch import EditBatch, edit_batches
from ..sampling.record import SampleSettings
from ..sampling.request import Helpers, SampleRequest
from ..shapes import UInt8Images
from .edit_kinds import SEGMENT, UPSCALE, EditRequest, PreparedEdit, prepare_edit
from .previews import CallbackSampler, StepCallback, stream_previews
from .trajectories import request_images

FROM_NOISE = (UPSCALE, SEGMENT)  # edits with the model's own temperature; the others add noise to a picture


@dataclass(frozen=True, eq=False)
class EditResult:
    """A picture that an edit gave, (1, C, H, W), and the metadata of its file."""

    pixels: UInt8Images
    metadata: dict[str, object]
    caption: str  # "seed 3"; or how it summarizes the others
    stem: str  # of its file's name


def stream_edit(
    model: PictureModel, data: bytes, request: EditRequest, settings: SampleSettings
) -> Iterator[UInt8Images | list[EditResult]]:
    """Previews of all pictures at once; at last the results: first those that summarize the others."""
    edit = prepare_edit(model, data, request)
    helpers = Helpers(image=edit.image)
    images = request_images(
        model, settings, request.number, [request.label], seed=request.seed, attributes=request.attributes,
        text=request.text, temperature=None if request.kind in FROM_NOISE else 1.0, helpers=helpers,
    )  # fmt: skip

    def draw(on_step: StepCallback) -> UInt8Images:
        return edit.draw(model.codec, make_batch(model, images, on_step, helpers))

    for seen in stream_previews(draw):
        if isinstance(seen, State):
            yield model.codec.decode(seen.preview.cpu())
        else:
            yield [*_summary_results(images, edit, seen), *_sample_results(images, edit, seen)]


def make_batch(
    model: PictureModel, request: SampleRequest, on_step: StepCallback, helpers: Helpers | None = None
) -> EditBatch:
    """The images of a request as one batch. `on_step` is called with the state after each step."""
    return next(edit_batches(model, request, helpers, lambda sampler: CallbackSampler(sampler, on_step)))


def _summary_results(request: SampleRequest, edit: PreparedEdit, samples: UInt8Images) -> list[EditResult]:
    metadata = {**edit.metadata, "model": request.model, "seed": request.seeds[0], "num_samples": len(samples)}
    return [
        EditResult(pixels, metadata | {"output": output}, output, f"{metadata['edit']}-{output.replace(' ', '-')}")
        for output, pixels in edit.summarize(samples).items()
    ]


def _sample_results(request: SampleRequest, edit: PreparedEdit, samples: UInt8Images) -> list[EditResult]:
    results = []
    for i, row in enumerate(samples.split(1)):
        record = request.record(i)
        metadata, stem = {**edit.metadata, **asdict(record)}, f"{edit.metadata['edit']}-{record.seed:06d}"
        results.append(EditResult(row, metadata, f"seed {record.seed}", stem))
    return results
