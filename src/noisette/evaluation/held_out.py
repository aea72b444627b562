"""Real pictures to measure a model against: the held-out ones of its run, or others."""

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from ..data import Dataset, Subset, prepare
from ..data.dataset import MANIFEST_FILE
from ..data.pictures import Pictures
from ..diffusion.noise import make_generator
from ..errors import InputError
from ..shapes import UInt8Images

MIN_PICTURES = 10


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Pictures that a model was not trained on, and the labels to sample with."""

    pixels: UInt8Images
    label_pool: tuple[str | None, ...]  # the labels to sample with, in their proportions; None: no label
    training: UInt8[Tensor, "n c h w"] | None = None  # its training pictures, where they are known

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.pixels.numpy().tobytes()).hexdigest()[:16]

    def draw_labels(self, n: int) -> list[str | None]:
        """n labels: those of the pool in a fixed random order, repeated."""
        order = torch.randperm(len(self.label_pool), generator=make_generator("labels")).tolist()
        return [self.label_pool[order[i % len(order)]] for i in range(n)]


def load_held_out(pictures: Pictures, run: str | Path, source: str | Path | None = None) -> HeldOut:
    """The held-out pictures of the run folder `run`; or all pictures of `source`, in the model's mode and size."""
    if source is None or (Path(source) / MANIFEST_FILE).is_file():
        return _load_from_run(pictures, Path(run if source is None else source))
    with tempfile.TemporaryDirectory() as folder:
        size = (pictures.height, pictures.width)
        data = prepare(source, folder, size=size, mode=pictures.mode, pixel_art=pictures.pixel_art)
        both = [all_pixels(side) for side in (data.train, data.held_out)]
        files = (*data.train.files, *data.held_out.files)
    return _check_size(HeldOut(torch.cat(both), _known_labels(pictures, [f.label for f in files])), str(source))


def _load_from_run(pictures: Pictures, run: Path) -> HeldOut:
    if not (run / MANIFEST_FILE).is_file():
        raise InputError(
            f"{run} has no held-out pictures: give --data with the run folder of the model, or with pictures that it "
            "was not trained on"
        )
    data = Dataset.open(run)
    if (data.pictures.mode, data.pictures.shape) != (pictures.mode, pictures.shape):
        raise InputError(
            f"{run} holds pictures of {data.pictures.mode} {data.pictures.width}×{data.pictures.height}, and the model "
            f"draws {pictures.mode} {pictures.width}×{pictures.height}: give the run that it was trained in"
        )
    names = _known_labels(pictures, [f.label for f in data.train.files])
    return _check_size(HeldOut(all_pixels(data.held_out), names, all_pixels(data.train)), str(run))


def all_pixels(subset: Subset) -> UInt8Images:
    """All pictures of one side of the split, uint8 (n, c, h, w)."""
    return subset.pixels(torch.arange(len(subset)))


def _known_labels(pictures: Pictures, labels: list[str | None]) -> tuple[str | None, ...]:
    return tuple(label if label in pictures.labels else None for label in labels)


def _check_size(held_out: HeldOut, where: str) -> HeldOut:
    if len(held_out.pixels) < MIN_PICTURES:
        raise InputError(
            f"{where} holds {len(held_out.pixels)} pictures to compare with, too few for a comparison: "
            f"give at least {MIN_PICTURES} with --data"
        )
    return held_out
