"""Real pictures to measure a model with: those that its run held out, or others that are given."""

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from ..data import Dataset, Subset, prepare
from ..data.dataset import MANIFEST
from ..errors import InputError
from ..noise import keyed
from ..pictures import Pictures
from ..shapes import Bytes

LEAST = 10


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Pictures that a model was not trained on, and what to ask it for."""

    pixels: Bytes
    names: tuple[str | None, ...]  # labels that the model knows, in the proportions in which it should draw them
    training: UInt8[Tensor, "n c h w"] | None = None  # what it was trained on, where that is known

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.pixels.numpy().tobytes()).hexdigest()[:16]

    def labels(self, n: int) -> list[str | None]:
        """What n pictures should be of: the labels in random order, over and over."""
        order = torch.randperm(len(self.names), generator=keyed("labels")).tolist()
        return [self.names[order[i % len(order)]] for i in range(n)]


def held_out(model: Pictures, run: str | Path, source: str | Path | None = None) -> HeldOut:
    """The pictures that the run folder `run` held out; or all of `source`, brought to the model's mode and size."""
    if source is None or (Path(source) / MANIFEST).is_file():
        return _of_run(model, Path(run if source is None else source))
    with tempfile.TemporaryDirectory() as folder:
        size = (model.height, model.width)
        data = prepare(source, folder, size=size, mode=model.mode, pixel_art=model.pixel_art)
        both = [everything(side) for side in (data.train, data.held_out)]
        files = (*data.train.files, *data.held_out.files)
    return _checked(HeldOut(torch.cat(both), _known(model, [f.label for f in files])), str(source))


def _of_run(model: Pictures, run: Path) -> HeldOut:
    if not (run / MANIFEST).is_file():
        raise InputError(
            f"{run} is a model without its pictures: give the run folder that it was trained in, or pictures that it "
            "was not trained on with --data"
        )
    data = Dataset.open(run)
    if (data.pictures.mode, data.pictures.shape) != (model.mode, model.shape):
        raise InputError(
            f"{run} holds pictures of {data.pictures.mode} {data.pictures.width}×{data.pictures.height}, and the model "
            f"draws {model.mode} {model.width}×{model.height}: give the run that it was trained in"
        )
    names = _known(model, [f.label for f in data.train.files])
    return _checked(HeldOut(everything(data.held_out), names, everything(data.train)), str(run))


def everything(subset: Subset) -> Bytes:
    """All pictures of a side of the split."""
    return subset.pixels(torch.arange(len(subset)))


def _known(model: Pictures, labels: list[str | None]) -> tuple[str | None, ...]:
    return tuple(label if label in model.labels else None for label in labels)


def _checked(found: HeldOut, where: str) -> HeldOut:
    if len(found.pixels) < LEAST:
        raise InputError(
            f"{where} holds {len(found.pixels)} pictures to compare with, too few to say anything: "
            f"give at least {LEAST} with --data"
        )
    return found
