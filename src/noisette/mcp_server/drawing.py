"""Pictures that a request asks for: what drawing them takes, and drawing and writing them."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ..data.contact_sheet import contact_sheet
from ..data.input_picture import read_small
from ..data.png import write_png
from ..diffusion.sampler import State
from ..edit.vary import truncate_grid
from ..models.picture_model import PictureModel
from ..sampling.batch import CallbackSampler, edit_batches
from ..sampling.files import (
    GRID_FILE,
    WrittenSample,
    name_sample,
    write_finished,
    write_grid,
)
from ..sampling.generate import resume_trajectory
from ..sampling.request import Helpers, SampleRequest
from ..sampling.run import draw_batches
from ..shapes import Grid, UInt8Images
from ..studio.edit_kinds import UPSCALE, VARY, EditRequest, read_source, read_through_file
from ..studio.program_requests import request_drawing, request_edit
from .answer import MAX_SHOWN, Answer, plan
from .job import Job
from .place import Place

TIMED_STEPS = 3  # of a dry run, the last ones but one of the walk; the first of them prepares, and is not timed

Rows = Iterator[UInt8Images]  # pictures, (1, C, H, W) each


@dataclass(frozen=True, eq=False)
class Drawing:
    """A checked request of pictures, each with a file. Nothing is drawn yet."""

    model: PictureModel
    request: SampleRequest
    helpers: Helpers
    names: tuple[str, ...]  # of the files
    times: Grid  # of the steps of a batch; a time may occur more than once
    draw: Callable[[Callable[[], None]], Rows]  # draws; calls its argument after each step
    metadata: Callable[[int], Mapping[str, Any]]  # of the file of a picture, by its number
    write_grid: Callable[[Sequence[WrittenSample], Path], object]

    @property
    def files(self) -> tuple[str, ...]:
        """All files that are written."""
        return (*self.names, GRID_FILE)

    @property
    def batches(self) -> int:
        return -(-len(self.request) // self.request.batch)

    @property
    def steps(self) -> int:
        """Steps of all batches together."""
        return self.batches * len(self.times)


def prepare_drawing(
    model: PictureModel, number: int, labels: Sequence[str], attributes: Sequence[str], text: str | None, seed: int,
    steps: int | None, sampler: str | None, grid: str | None, guidance: float | None,
) -> Drawing:  # fmt: skip
    """New pictures: what `noisette sample` draws, in the same files."""
    request = request_drawing(model, number, labels, attributes, text, seed, steps, sampler, grid, guidance)
    return Drawing(
        model,
        request,
        Helpers(),
        tuple(name_sample(request.record(i)) for i in range(number)),
        request.make_grid(model)[:-1],
        lambda on_step: (row for rows in draw_batches(model, request, None, on_step) for row in rows.split(1)),
        lambda index: asdict(request.record(index)),
        write_grid,
    )


def prepare_edit_drawing(
    model: PictureModel, data: bytes, picture: str, edit_request: EditRequest, steps: int | None
) -> Drawing:
    """Edits of a picture: what `noisette edit` draws. `data` are the bytes of its file, `picture` is its path."""
    kind, name = edit_request.kind, Path(picture)
    edit, request, helpers = request_edit(model, data, edit_request, steps)
    if kind == VARY:
        times = truncate_grid(request.make_grid(model), edit_request.strength)[:-1]
    else:
        *often, last = request.make_grid(model)[:-1]
        times = torch.stack([*often * int(str(edit.metadata["rounds"])), last])
    own = {key: value for key, value in edit.metadata.items() if key != "picture_sha256"}
    own |= {"picture": name.name, "picture_sha256": edit.metadata["picture_sha256"]}

    def draw(on_step: Callable[[], None]) -> Rows:
        def wrap(sampler: Any) -> CallbackSampler:
            return CallbackSampler(sampler, lambda state: on_step())

        for batch in edit_batches(model, request, helpers, wrap):
            yield from request.finish(edit.draw(model.codec, batch).cpu()).split(1)

    def write_sheet(written: Sequence[WrittenSample], path: Path) -> None:
        rows = [_read_before(model, data, kind), *(one.pixels for one in written)]
        write_png(path, contact_sheet(torch.cat(rows)), origin="edited")

    return Drawing(
        model,
        request,
        helpers,
        tuple(f"{name.stem}-{seed:06d}.png" for seed in request.seeds),
        times,
        draw,
        lambda index: own | asdict(request.record(index)),
        write_sheet,
    )


def plan_drawing(place: Place, out: str, drawing: Drawing, job: Job) -> Answer:
    """Time some steps, and say what would be written. Nothing is."""
    paths = place.new_files(out, drawing.files)
    job.check()
    calls = sum(map(drawing.model.calls_network, drawing.times))  # the other steps take next to no time
    seconds = drawing.batches * calls * _time_step(drawing)
    return plan([place.name(path) for path in paths], seconds, steps=drawing.steps, seeds=list(drawing.request.seeds))


def write_drawing(place: Place, out: str, drawing: Drawing, job: Job) -> Answer:
    """Draw all pictures, then write them: a call that is cancelled leaves no file."""
    *paths, grid = place.new_files(out, drawing.files)
    place.ensure_writable(grid.parent)
    start, rows = time.perf_counter(), []
    for row in drawing.draw(lambda: job.advance(drawing.steps)):
        rows.append(row.clone())
    job.check()
    written = []
    for index, (path, pixels) in enumerate(zip(paths, rows, strict=True)):
        write_finished(path, pixels, drawing.request, drawing.metadata(index))
        written.append(WrittenSample(path, drawing.request.record(index), pixels))
    drawing.write_grid(written, grid)
    facts = {
        "seconds": round(time.perf_counter() - start, 2),
        "files": [place.name(path) for path in (*paths, grid)],
        "pictures": [
            {"path": place.name(one.path), "seed": one.record.seed, "label": one.record.label, "text": one.record.text}
            for one in written
        ],
    }
    return Answer(facts, [grid, *paths[:MAX_SHOWN]])


def _time_step(drawing: Drawing) -> float:
    """Seconds that a step of the first batch takes where the network is called: at the end of the walk."""
    batch = next(edit_batches(drawing.model, drawing.request, drawing.helpers))
    times = batch.grid[-TIMED_STEPS - 2 :]
    start = State(batch.initial_noise(drawing.model.codec), times[0])
    states, took = resume_trajectory(batch.denoise, batch.sampler, times, start, batch.noise), [0.0]
    for _ in range(min(TIMED_STEPS, len(times) - 1)):
        before = time.perf_counter()
        next(states)
        took.append(time.perf_counter() - before)
    return min(took[2:] or took[1:])


def _read_before(model: PictureModel, data: bytes, kind: str) -> UInt8Images:
    """The picture that was edited, at the model's size."""
    if kind != UPSCALE:
        return read_source(data, model).pixels
    small, factor = read_through_file(data, lambda path: read_small(path, model.pictures))
    return small.pixels.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
