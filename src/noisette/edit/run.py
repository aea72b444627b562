"""A run folder, to look into: what it was asked for, how it went, what its model drew as it grew."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..data.manifest import Manifest
from ..display import Displayed
from ..errors import InputError
from ..files import read_json
from ..model import PictureModel, load
from ..pictures import Pictures
from ..viz.gallery import Gallery
from .growth import Grown, grown

Row = Mapping[str, Any]


def rows(path: Path) -> list[Row]:
    """The rows of a journal, metrics.jsonl: a line that a crash left half-written is passed over."""
    if not path.is_file():
        return []
    found: list[Row] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and "images" in row:
            found.append(row)
    return found


@dataclass(frozen=True)
class Run(Displayed):
    """`Run("runs/mine")`: a folder that `noisette train` made, finished or not. Each look reads it anew."""

    path: str | Path

    def __post_init__(self) -> None:
        if not (self.folder / "config.json").is_file() or not (self.folder / "data.json").is_file():
            raise InputError(
                f"{self.path} is not a run folder, which `noisette train` makes: it has no plan or no data"
            )

    @property
    def folder(self) -> Path:
        return Path(self.path)

    @property
    def plan(self) -> Mapping[str, Any]:
        """What was settled when it began: recipe, precision, images."""
        return read_json(self.folder / "config.json").get("plan") or {}

    @property
    def journal(self) -> list[Row]:
        """All that it wrote down: images, and loss, rate, …; or images and held_out, losses by noise level."""
        return rows(self.folder / "metrics.jsonl")

    @property
    def finished(self) -> bool:
        """Whether it has come to its end, where the averaged model is written."""
        return (self.folder / "model" / "config.json").is_file()

    @property
    def pictures(self) -> Pictures:
        """The kind of pictures that it was trained on."""
        return Manifest.read(self.folder / "data.json").pictures

    @property
    def grown(self) -> Grown:
        """What it drew from the same noises at each stage."""
        return grown(self.folder / "samples", self.pictures)

    @property
    def samples(self) -> Gallery:
        """The last of these."""
        found = self.grown
        if not found.pictures:
            raise InputError(f"{self.path} has drawn nothing yet: wait for its first samples")
        names = self.pictures.labels
        last = found.pictures[-1]
        return Gallery(last, tuple(names[i % len(names)] for i in range(len(last))) if names else ())

    @cached_property
    def model(self) -> PictureModel:
        """The averaged model, where the run is finished; else that of its newest checkpoint."""
        if self.finished:
            return load(self.folder)
        found = sorted((self.folder / "checkpoints").glob("*/state.json"))
        if not found:
            raise InputError(f"{self.path} holds no model yet: wait for its first checkpoint")
        return load(found[-1].parent)
