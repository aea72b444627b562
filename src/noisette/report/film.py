"""The contents of films: pictures during sampling, and samples during training.

A `Film` has frames at native size; `report/viz/animation.py` enlarges and writes them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ..errors import InputError
from ..models.picture_model import PictureModel
from ..sampling.generate import initial_state
from ..sampling.request import SampleRequest
from ..sampling.run import run_request
from ..shapes import UInt8Images
from .run import load_sample_history
from .viz.strip import format_short, to_unit_scale


@dataclass(frozen=True, eq=False)
class Film:
    """Frames over time."""

    frames: Sequence[UInt8Images]  # (B, C, H, W) each
    captions: Sequence[str]  # a short text for each frame
    is_loop: bool = False  # the first frame follows the last one without a pause


def denoising_film(model: PictureModel, request: SampleRequest, *, show_noisy: bool = False) -> Film:
    """A film of a request: the initial noise, predicted x̂0 after each step (x_t with `show_noisy`), and the samples.

    All pictures of the request are shown side by side; the captions are the noise levels σ/α.
    """
    codec, schedule, grid = model.codec, model.schedule, request.make_grid(model)
    start, _ = initial_state(model, request.lineages, grid, request.temperature)
    frames: list[list[UInt8Images]] = [
        [codec.decode(to_unit_scale(start, schedule))],
        *([] for _ in range(request.steps)),
    ]
    for i, state in enumerate(run_request(model, request)):
        number = i % request.steps + 1  # batches follow one another
        if number == request.steps:
            frame = codec.decode_samples(state.x.cpu())
        else:
            frame = codec.decode(to_unit_scale(state, schedule) if show_noisy else state.preview.cpu())
        frames[number].append(frame)
    ratios = [float(schedule.ratio(t)) for t in grid[:-1]]
    return Film([torch.cat(parts) for parts in frames], [*map(format_short, ratios), "0"])


def growth_film(run: Path, model: PictureModel, max_pictures: int | None = None) -> Film:
    """A film of the samples that a run saved during training, of its first `max_pictures` noises.

    InputError for a folder with fewer than two sample sheets.
    """
    history = load_sample_history(run / "samples", model.pictures)
    if len(history.images_seen) < 2:
        raise InputError(f"{run} has no samples of a training run: give a run folder, as `noisette train` writes it")
    return Film(
        [pixels[:max_pictures] for pixels in history.pictures], [format_short(images) for images in history.images_seen]
    )
