"""Compare samplers of a model, one's own among them, by the quality of what they draw."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError
from ..models.picture_model import PictureModel, load
from .held_out import load_held_out
from .metrics.features import EfficientNetExtractor
from .steps import SamplerBenchmark, SamplerSetting, SearchSpace, StepsReport, compare_settings


def compare_samplers(
    model: PictureModel | str | Path,
    samplers: Sequence[str],
    *,
    steps: Sequence[int] = (8, 16),
    grid: str = "karras",
    temperature: float | None = None,
    data: str | Path | None = None,
    n: int = 500,
    seed: int = 0,
    batch: int = 16,
    out: str | Path | None = None,
) -> StepsReport:
    """Draw with each sampler from the same seeds, and measure the samples against the same held-out pictures.

    model     a model, or the path or name of one
    samplers  registered names, such as "heun", or that of a sampler of your own (`noisette.register`)
    steps     numbers of steps of the grid; a step may take several network evaluations, which the report counts
    temperature  factor of all noise, above 0, at most 2; None: the model's
    data      a run, or a folder or array file of pictures that the model was not trained on; may be left out if `model`
              is the path of a run
    n         samples per sampler and number of steps, at least 2
    out       a JSON file: rows that it holds already are not measured again; None: nothing is kept

    Returns a `StepsReport`, whose rows hold network evaluations per picture, KID × 10³ with its 95 % interval, recall
    and coverage. The model is not changed. Raises InputError for unknown names, and without held-out pictures.
    """
    if isinstance(model, PictureModel) and data is None:
        raise InputError("compare_samplers needs data: a run, or pictures that the model was not trained on")
    loaded = model if isinstance(model, PictureModel) else load(model)
    held_out = load_held_out(loaded.pictures, "" if isinstance(model, PictureModel) else model, data)
    space = SearchSpace(tuple(samplers), (grid,), tuple(steps), (temperature,), reference=None)
    settings: list[SamplerSetting] = space.list_settings(loaded)
    if not settings:
        raise InputError("there is nothing to compare: give at least one sampler and one number of steps")
    config = loaded.config
    try:
        benchmark = SamplerBenchmark(loaded, held_out, EfficientNetExtractor(), n=n, seed=seed, batch=batch)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "steps.json" if out is None else Path(out)
            *_, report = compare_settings(benchmark, settings, path)
    finally:
        loaded.config = config
    return report
