"""Read a run folder: its plan, metrics, samples and model."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..data.manifest import Manifest
from ..data.pictures import Pictures
from ..data.png import read_png
from ..display import Displayed
from ..errors import InputError
from ..io import checkpoint
from ..io.metrics_log import read_metrics
from ..io.run_config import read_run_config
from ..models.picture_model import PictureModel, load
from ..sampling.gallery import Gallery
from ..shapes import UInt8Images
from .viz.strip import split_sheet


@dataclass(frozen=True, eq=False)
class SampleHistory:
    """Samples of the same noises at N times during training."""

    images_seen: list[int]  # training images seen so far, (N,)
    pictures: list[UInt8Images]  # the samples at each time, (B, C, H, W)


def load_sample_history(folder: Path, pictures: Pictures) -> SampleHistory:
    """Read the sample sheets in RUN/samples, oldest first. InputError for a PNG that is no such sheet."""
    images, samples = [], []
    for path in sorted(folder.glob("*.png")):
        pixels, metadata = read_png(path)
        try:
            images.append(int(metadata["images"]))
            samples.append(split_sheet(pixels, int(metadata["columns"]), pictures))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path} is not a sample sheet of a run: move it away") from error
    return SampleHistory(images, samples)


@dataclass(frozen=True)
class Run(Displayed):
    """A run folder, as `noisette train` and `noisette.train` write it; the run may be unfinished.

    `Run("runs/mine").metrics`, `.samples`, `.model`, …. Properties read the files at each access; only `model` is
    cached. A notebook shows the run with its loss curves and samples. InputError if the folder is not a run folder.
    """

    path: str | Path

    def __post_init__(self) -> None:
        if not (self.folder / "config.json").is_file() or not (self.folder / "data.json").is_file():
            raise InputError(
                f"{self.path} is not a run folder: it needs config.json and data.json, as `noisette train` writes them"
            )

    @property
    def folder(self) -> Path:
        """The folder as a `Path`."""
        return Path(self.path)

    @property
    def plan(self) -> Mapping[str, Any]:
        """The plan of the run from config.json: recipe, precision, number of images, seed, …."""
        return read_run_config(self.folder / "config.json").plan

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The rows of metrics.jsonl, oldest first; damaged lines are skipped.

        Every row has "images", the number of training images seen. The other keys depend on what was measured: "loss"
        and "rate"; or "held_out", the held-out losses by noise level.
        """
        return [*read_metrics(self.folder / "metrics.jsonl")]

    @property
    def is_finished(self) -> bool:
        """Whether training is complete and the model with averaged weights (EMA) was written."""
        return (self.folder / "model" / "config.json").is_file()

    @property
    def pictures(self) -> Pictures:
        """Mode, size, labels and attributes of the training pictures."""
        return Manifest.read(self.folder / "data.json").pictures

    @property
    def sample_history(self) -> SampleHistory:
        """The samples of the same noises that the run saved during training."""
        return load_sample_history(self.folder / "samples", self.pictures)

    @property
    def samples(self) -> Gallery:
        """The last samples of the run. InputError if there are none yet."""
        history = self.sample_history
        if not history.pictures:
            raise InputError(f"{self.path} has no samples yet: wait for the first ones")
        names = self.pictures.labels
        last = history.pictures[-1]
        return Gallery(last, tuple(names[i % len(names)] for i in range(len(last))) if names else ())

    @cached_property
    def model(self) -> PictureModel:
        """The model with averaged weights; of an unfinished run, that of the newest undamaged checkpoint.

        InputError if there is no checkpoint yet.
        """
        if self.is_finished:
            return load(self.folder)
        newest = checkpoint.find_latest(self.folder)
        if newest is None:
            raise InputError(f"{self.path} has no model yet: wait for the first checkpoint")
        return load(newest.folder)
