"""Requests that can be drawn together, and drawing them.

Image i of a request has noise of its own, and its own row of the condition, so it does not depend on the others of its
batch. Requests share a batch if everything else is the same: model, sampler, steps, grid, guidance, the kind of edit.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ..models.context import label_weights
from ..models.picture_model import PictureModel
from ..sampling.batch import CallbackSampler, edit_batches
from ..sampling.record import SampleRecord, SampleSettings, encode_finished
from ..sampling.request import Helpers, SampleRequest
from ..sampling.run import draw_batches
from ..shapes import Images, UInt8Images
from ..studio.edit_kinds import PreparedEdit

# A CPU sums in another order for 1 to 3 images than for more, which can change a byte by one (docs/serving.md). Batches
# are filled up to this number, so that an image has the same bytes alone and in any batch.
MIN_BATCH = 4

Key = tuple[object, ...]
OnStep = Callable[[], None]


@dataclass(frozen=True, eq=False)
class Picture:
    """A finished picture."""

    record: SampleRecord
    png: bytes


@dataclass(frozen=True, eq=False)
class Work:
    """A checked request. `image` is the input of the model's task, (1, C, H, W) in model space."""

    model: PictureModel
    request: SampleRequest
    edit: PreparedEdit | None = None
    image: Images | None = None

    def __len__(self) -> int:
        return len(self.request)

    @cached_property
    def key(self) -> Key:
        """Requests with the same key can be drawn in one batch."""
        settings = tuple(getattr(self.request, f.name) for f in fields(SampleSettings) if f.name != "batch")
        names = self.model.pictures.labels  # a mixture turns the labels of its whole batch into weights
        mixture = any(len(label_weights(label, names)) > 1 for label in self.request.labels if label is not None)
        if self.edit is None:
            return (*settings, mixture)
        shapes = tuple(tuple(tensor.shape[1:]) for tensor in self.edit.tensors.values())
        return (*settings, mixture, self.edit.function, *sorted(self.edit.options.items()), shapes)


def draw_together(works: Sequence[Work], most: int, on_step: OnStep = lambda: None) -> list[list[Picture]]:
    """The pictures of each of these works, which have the same key, at most `most` at once. `on_step` is called after
    each sampling step, and may raise an exception to stop."""
    request, helpers, edit = _merge(works, most)
    rows = (row for batch in _draw(works[0].model, request, helpers, edit, on_step) for row in batch.split(1))
    drawn, first = [], 0
    for work in works:
        numbers = range(first, first + len(work))
        own = {} if work.edit is None else work.edit.metadata
        drawn.append([_finish(next(rows), request, i, own) for i in numbers])
        first += len(work)
    return drawn


def _draw(
    model: PictureModel, request: SampleRequest, helpers: Helpers, edit: PreparedEdit | None, on_step: OnStep
) -> Iterator[UInt8Images]:
    if edit is None:
        yield from draw_batches(model, request, helpers, on_step)
        return
    for batch in edit_batches(model, request, helpers, lambda one: CallbackSampler(one, lambda state: on_step())):
        yield request.finish(edit.draw(model.codec, batch).cpu())


def _finish(pixels: UInt8Images, request: SampleRequest, index: int, own: Mapping[str, object]) -> Picture:
    record = request.record(index)
    return Picture(record, encode_finished(pixels, request, dict(own) | asdict(record)))


def _merge(works: Sequence[Work], most: int) -> tuple[SampleRequest, Helpers, PreparedEdit | None]:
    """One request of all images, with copies of the last one where the last batch would be too small."""
    first, total = works[0], sum(map(len, works))
    extra = max(0, MIN_BATCH - (total % most or most)) if most >= MIN_BATCH else 0

    def join(name: str) -> Any:
        values = [value for work in works for value in getattr(work.request, name)]
        return (*values, *values[-1:] * extra)

    per_image: dict[str, Any] = {name: join(name) for name in ("lineages", "labels", "attributes", "texts")}
    request = replace(first.request, batch=min(most, total + extra), **per_image)

    def rows(tensors: Sequence[Tensor]) -> Tensor:
        joined = torch.cat([one.expand(len(work), *one.shape[1:]) for one, work in zip(tensors, works, strict=True)])
        return torch.cat([joined, joined[-1:].expand(extra, *joined.shape[1:])])

    images = [work.image for work in works if work.image is not None]
    helpers = Helpers(image=rows(images) if images else None)
    if first.edit is None:
        return request, helpers, None
    edits = [work.edit for work in works if work.edit is not None]
    tensors = {name: rows([edit.tensors[name] for edit in edits]) for name in first.edit.tensors}
    return request, helpers, replace(first.edit, tensors=tensors)
