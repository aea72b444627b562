"""The subject of a report: one model, one example picture, one label, one seed."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from ...data import Dataset
from ...data.dataset import MANIFEST_FILE
from ...diffusion.condition import Condition
from ...diffusion.noise import make_generator
from ...diffusion.schedule import Schedule
from ...errors import InputError
from ...io.run_config import read_run_config
from ...models.config import from_json
from ...models.picture_model import PictureModel, load
from ...sampling.generate import final_samples, generate
from ...shapes import Images, UInt8Images
from ...training.recipes.recipe import Recipe

NOISE_LEVELS = (  # name and σ/α, from nearly clean to pure noise
    ("little noise", 0.05),
    ("details hidden", 0.4),
    ("outline hidden", 1.5),
    ("only noise", 20.0),
)


@dataclass(frozen=True, eq=False)
class Subject:
    """A model and the example that its report shows. No global random state is used: one seed gives one report."""

    path: Path  # the folder that was opened
    model: PictureModel
    run: Path | None  # the run folder; None for a model folder
    data: Dataset | None  # the training data; None for a model folder
    x0: Images  # the example picture, (1, C, H, W), in model space
    picture_name: str  # the name of its file, or how it was made
    label: str | None  # the label of the example and of all samples
    seed: int

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.path.resolve().name

    @property
    def schedule(self) -> Schedule:
        """The noise schedule of the model."""
        return self.model.schedule

    def condition(self, n: int) -> Condition | None:
        """The condition of n samples with the label; None for a model without labels."""
        return self.model.condition(self.label, n)

    @cached_property
    def noise_levels(self) -> list[tuple[str, Tensor]]:
        """The names of NOISE_LEVELS and the times (float64, in [0, 1]) at which this schedule reaches them."""
        return [(name, self.time_at(ratio)) for name, ratio in NOISE_LEVELS]

    @cached_property
    def recipe(self) -> Recipe | None:
        """The recipe of the run; None for a model folder."""
        if self.run is None:
            return None
        path = self.run / "config.json"
        return from_json(Recipe, read_run_config(path).plan["recipe"], f"{path}: plan.recipe")

    def time_at(self, ratio: float) -> Tensor:
        """The time t in [0, 1] at which σ/α is `ratio`."""
        return self.schedule.time_at_ratio(torch.tensor(ratio, dtype=torch.float64))

    def to_pixels(self, x: Images, t: Tensor | float = 0.0) -> UInt8Images:
        """x_t as pixels, scaled to x_t / √(α² + σ²): without the scaling, σ = 80 would saturate every pixel."""
        alpha, sigma = self.schedule(torch.as_tensor(t, dtype=torch.float64))
        return self.model.codec.decode((x / torch.hypot(alpha, sigma)).float().cpu())

    def training_batch(self, number: int) -> tuple[Images, Condition | None]:
        """`number` random training pictures and their condition. Needs `data`."""
        assert self.data is not None
        return _sample_subset(self, "train", number)

    def held_out_batch(self, number: int) -> tuple[Images, Condition | None]:
        """`number` random held-out pictures and their condition. Needs `data`."""
        assert self.data is not None
        return _sample_subset(self, "held_out", number)


def _sample_subset(subject: Subject, split: str, number: int) -> tuple[Images, Condition | None]:
    subset = getattr(subject.data, split)
    rows = torch.randperm(len(subset), generator=make_generator(subject.seed, split))[:number]
    net = subject.model.config.net
    is_conditional = net.classes or net.vector or net.tokens
    return subset.x0(rows), subset.condition(rows) if is_conditional else None


def load_subject(path: str | Path, label: str | None = None, seed: int = 0) -> Subject:
    """Open a run folder or a model folder. For a model folder, the example picture is a sample of the model.

    Raises InputError for an unknown label, or if model and data differ in mode or size.
    """
    path = Path(path)
    model = load(path)
    model.condition(label)  # raises for an unknown label, and for a model that needs an input picture
    data = Dataset.open(path) if (path / MANIFEST_FILE).is_file() else None
    run = path if data is not None else None
    if data is None:
        label = label or next(iter(model.pictures.labels), None)
        grid = model.grid()
        x0 = final_samples(generate(model, [seed], model.condition(label, 1), model.sampler(), grid), grid).clamp(-1, 1)
        return Subject(path, model, run, None, x0, f"a sample of the model, seed {seed}", label, seed)
    if (data.pictures.mode, data.pictures.shape) != (model.pictures.mode, model.pictures.shape):
        raise InputError(
            f"{path}: the model makes pictures of another size or mode than data.json: give the run that it was "
            "trained in"
        )
    row = _choose_row(data, label, seed)
    file = data.train.files[row]
    file_label = file.label if file.label in model.pictures.labels else None
    x0 = data.train.x0(torch.tensor([row]))
    return Subject(path, model, run, data, x0, file.name, label or file_label, seed)


def _choose_row(data: Dataset, label: str | None, seed: int) -> int:
    """The row of a random training picture with that label; of any picture if there is none."""
    rows = [i for i, file in enumerate(data.train.files) if label is None or file.label == label]
    rows = rows or list(range(len(data.train)))
    return rows[int(torch.randint(len(rows), (1,), generator=make_generator(seed, "explain")))]
