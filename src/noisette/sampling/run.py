"""From a request to pictures: what the command line, `noisette.draw` and the studio call."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch

from ..diffusion.sampler import State
from ..models.picture_model import PictureModel
from ..shapes import Images, UInt8Images
from .generate import final_samples, generate
from .lineage import NoiseLineage
from .record import SampleRecord
from .request import Helpers, SampleRequest, repeat_record
from .steering import GuidanceModels


def run_request(model: PictureModel, request: SampleRequest, helpers: Helpers | None = None) -> Iterator[State]:
    """The states after every step of every batch, of the model itself: upscalers are not run.

    The last state of a batch is at time 0. Raises InputError where the model or a helper is not the one that the
    request names.
    """
    helpers = request.resolve_helpers(model, helpers or Helpers())
    return generate(
        model,
        request.lineages,
        request.make_condition(model, helpers),
        request.make_sampler(model),
        request.make_grid(model),
        request.make_guidance(model, helpers),
        request.batch,
        request.temperature,
        request.canvas,
    )


def draw_batches(
    model: PictureModel,
    request: SampleRequest,
    helpers: Helpers | None = None,
    on_step: Callable[[], None] = lambda: None,
) -> Iterator[UInt8Images]:
    """The pictures of each batch, (B, C, H, W) on the CPU, of the last upscaler's size. `on_step` is called after each
    of `steps` steps of a batch."""
    return (pixels for _, pixels in draw_exact(model, request, helpers, on_step))


def draw_exact(
    model: PictureModel,
    request: SampleRequest,
    helpers: Helpers | None = None,
    on_step: Callable[[], None] = lambda: None,
) -> Iterator[tuple[Images, UInt8Images]]:
    """`draw_batches`, with each batch in [-1, 1], (B, C, H, W), before it was rounded to 8 bits."""
    helpers = request.resolve_helpers(model, helpers or Helpers())
    cascade, done = request.make_cascade(helpers), 0
    last = cascade.last_model(model)
    for state in run_request(model, request, helpers):
        on_step()
        if state.t == 0:
            rows = slice(done, done + len(state.x))
            done += len(state.x)
            x = cascade.upscale(model, state.x, request.seeds[rows], request.labels[rows], request.batch)
            images = last.codec.to_images(x)
            yield images, request.finish(last.pictures.decode_samples(images))


def draw_request(model: PictureModel, request: SampleRequest, helpers: Helpers | None = None) -> UInt8Images:
    """The pictures, (N, C, H, W) on the CPU."""
    return torch.cat(list(draw_batches(model, request, helpers)))


def reproduce(
    model: PictureModel,
    record: SampleRecord,
    guidance_models: GuidanceModels | None = None,
    upscalers: Sequence[PictureModel] = (),
) -> Images:
    """Draw one picture again, (1, C, H, W) in the last model's space: byte for byte, on the same kind of machine.

    The guide model is found in the model's run folder if it is RUN/early. Raises InputError where a model is not the
    one that drew the picture.
    """
    helpers = Helpers(guidance_models or GuidanceModels(), tuple(upscalers))
    # drawn in a batch of the same size, since a processor sums in another order for another size
    copies = [NoiseLineage(record.seed, record.rotations)] * record.images_at_once
    request = replace(repeat_record(record, copies), batch=record.batch)
    x = final_samples(run_request(model, request, helpers), request.make_grid(model))
    cascade = request.make_cascade(helpers)
    return cascade.upscale(model, x, request.seeds, request.labels, request.batch)[:1]
