"""What a report is about: one model, one of its pictures, one label, one seed."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from ...condition import Condition
from ...data import Dataset
from ...data.dataset import MANIFEST
from ...errors import InputError
from ...model import PictureModel, load
from ...noise import keyed
from ...schedule import Schedule
from ...shapes import Bytes, Images
from ..generate import ends, generate

LEVELS = (  # σ/α, from a light touch to where nothing is left
    ("keep it", 0.05),
    ("suggest details", 0.4),
    ("suggest an outline", 1.5),
    ("no idea", 20.0),
)


@dataclass(frozen=True, eq=False)
class Subject:
    """A model, and what is shown of it. Nothing here draws from a global generator: a seed gives one report."""

    path: Path  # that it was opened at
    model: PictureModel
    run: Path | None  # the run folder, where there is one
    data: Dataset | None  # its pictures, where it has them
    x0: Images  # the one picture, (1, C, H, W), in model space
    picture: str  # what to call it
    label: str | None  # its label, and what else is drawn is asked to be
    seed: int

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @property
    def schedule(self) -> Schedule:
        return self.model.schedule

    def condition(self, n: int) -> Condition | None:
        """n pictures of the label."""
        return self.model.condition(self.label, n)

    @cached_property
    def levels(self) -> list[tuple[str, Tensor]]:
        """The names of LEVELS, and the times at which this schedule is there; the last at the latest where it ends."""
        return [(name, self.at(ratio)) for name, ratio in LEVELS]

    def at(self, ratio: float) -> Tensor:
        """The time at which σ/α is `ratio`."""
        return self.schedule.time(torch.tensor(ratio, dtype=torch.float64))

    def shown(self, x: Images, t: Tensor | float = 0.0) -> Bytes:
        """x_t for the eye: at unit scale, x_t / √(α² + σ²), so that a σ of 80 does not burn it out."""
        alpha, sigma = self.schedule(torch.as_tensor(t, dtype=torch.float64))
        return self.model.pictures.decode((x / torch.hypot(alpha, sigma)).float().cpu())

    def training(self, number: int) -> tuple[Images, Condition | None]:
        """Some pictures that the model was trained on, and what is known of them."""
        assert self.data is not None
        return _some(self, "train", number)

    def held_out(self, number: int) -> tuple[Images, Condition | None]:
        """Some that it was not."""
        assert self.data is not None
        return _some(self, "held_out", number)


def _some(subject: Subject, side: str, number: int) -> tuple[Images, Condition | None]:
    subset = getattr(subject.data, side)
    rows = torch.randperm(len(subset), generator=keyed(subject.seed, side))[:number]
    net = subject.model.config.net
    takes = net.classes or net.vector or net.tokens
    return subset.x0(rows), subset.condition(rows) if takes else None


def subject(path: Path, label: str | None = None, seed: int = 0) -> Subject:
    """Open a run folder or a model folder. A model without its run shows a picture that it drew itself."""
    model = load(path)
    model.condition(label)  # refuses a label that it does not know, and a model that is given more than noise
    data = Dataset.open(path) if (path / MANIFEST).is_file() else None
    run = path if data is not None else None
    if data is None:
        label = label or next(iter(model.pictures.labels), None)
        grid = model.grid()
        drawn = ends(generate(model, [seed], model.condition(label, 1), model.sampler(), grid), grid)
        return Subject(
            path, model, run, None, drawn.clamp(-1, 1), f"drawn by the model itself, seed {seed}", label, seed
        )
    if (data.pictures.mode, data.pictures.shape) != (model.pictures.mode, model.pictures.shape):
        raise InputError(f"{path} holds a model of other pictures than its data: give the run that it was trained in")
    row = _chosen(data, label, seed)
    file = data.train.files[row]
    known = file.label if file.label in model.pictures.labels else None
    x0 = data.train.x0(torch.tensor([row]))
    return Subject(path, model, run, data, x0, file.name, label or known, seed)


def _chosen(data: Dataset, label: str | None, seed: int) -> int:
    """A training picture of that label; of any where none is said."""
    fit = [i for i, file in enumerate(data.train.files) if label is None or file.label == label]
    fit = fit or list(range(len(data.train)))
    return fit[int(torch.randint(len(fit), (1,), generator=keyed(seed, "explain")))]
