"""A model that knows its pictures: what `noisette.load` gives, and what a model folder holds."""

import tempfile
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from . import card, checkpoint, hub, shipped
from .card import Licences
from .condition import Condition
from .config import GRIDS, SAMPLERS, ModelConfig, Sampling, from_json, to_json
from .context import Attributes, Label, label_rows, vector_row
from .denoiser import DiffusionModel
from .display import Displayed
from .errors import InputError, known
from .files import read_json, write_json
from .guidance import Clipped
from .noise import Seeded
from .pictures import Pictures
from .posterior import LearnedRange
from .sampler import DDPM, Sampler, sample
from .shapes import Bytes
from .task import Given
from .text import Reader


class PictureModel(DiffusionModel, Displayed):
    """A diffusion model with its config: the pictures that it draws, their labels, how it samples by default."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config.net.build(), config.schedule, config.parametrization)
        self.config = config
        self.folder: Path | None = None  # that it was read from
        self.reader = None if config.pictures.wording is None else Reader(config.pictures.wording)
        self.hash = "untrained"  # of the weights and of all in the config that says what they are

    @property
    def pictures(self) -> Pictures:
        return self.config.pictures

    def condition(
        self,
        label: Label | Sequence[Label | None] | None = None,
        n: int = 1,
        *,
        attributes: Attributes | Sequence[Attributes | None] | None = None,
        text: str | Sequence[str | None] | None = None,
        image: Given | None = None,
    ) -> Condition | None:
        """What `n` images are asked to be, by name; None where nothing is asked or nothing can be.

        A label is a name, or a mixture: "potion:0.5,weapon:0.5" or {"potion": 0.5, "weapon": 0.5}. Attributes are
        {"hue": 0.3, "shape": "round"}, in the data's own units. A text is any sentence. One of each is for all images;
        of several, image i takes the i-th, over and over. None is the null: any. `image` is the picture that the
        model's task needs, in model space: one for all images, or one each.
        """
        labels: list[Label | None] = [label] if label is None or isinstance(label, str | Mapping) else list(label)
        wishes = [attributes] if attributes is None or isinstance(attributes, Mapping) else list(attributes)
        texts = [text] if text is None or isinstance(text, str) else list(text)
        net, reader = self.config.net, self.reader
        classes, vector = net.classes, net.vector
        if not classes and (said := next((one for one in labels if one is not None), None)) is not None:
            raise InputError(f"this model was trained without labels: it cannot be asked for {said!r}")
        if not vector and (wished := next((one for one in wishes if one), None)):
            raise InputError(f"this model was trained without attributes: it cannot be asked for {next(iter(wished))}")
        if reader is None and (told := next((one for one in texts if one), None)):
            raise InputError(f"this model was trained without text: it cannot be asked for {told!r}")
        under = self.config.task.stack(image, self.pictures)
        if not classes and not vector and reader is None and under is None:
            return None
        return Condition(
            label=label_rows([labels[i % len(labels)] for i in range(n)], self.pictures.labels) if classes else None,
            vector=torch.stack([vector_row(wishes[i % len(wishes)], self.pictures) for i in range(n)])
            if vector
            else None,
            tokens=None if reader is None else reader([texts[i % len(texts)] for i in range(n)]),
            image=None if under is None else under.expand(n, -1, -1, -1),
        )

    def label(self, name: str | None) -> int:
        """The number of a label; -1 for none."""
        row = label_rows([name], self.pictures.labels)
        if row.is_floating_point():
            raise InputError(f"{name!r} is a mixture of labels, which has no number: give one of them")
        return int(row[0])

    def sampler(self, name: str | None = None) -> Sampler:
        found = known(name or self.config.sampling.sampler, SAMPLERS, "sampler")()
        if isinstance(found, DDPM) and isinstance(found.variance, LearnedRange) and not self.learned_variance:
            raise InputError("this model did not learn a variance: choose ddpm or ddpm-large")
        return found

    @property
    def learned_variance(self) -> bool:
        """Whether the network answers logits of the variance beside its prediction."""
        return self.config.net.out_channels == 2 * self.pictures.channels

    def grid(self, steps: int | None = None, name: str | None = None) -> Tensor:
        """The times of `steps` steps, (steps + 1,)."""
        sampling: Sampling = self.config.sampling
        make = known(name or sampling.grid, GRIDS, "grid")
        return make(self.config, steps if steps is not None else sampling.steps)

    def by(self, sampling: Sampling) -> "PictureModel":
        """This model, its weights shared, with another way to draw."""
        other = copy(self)
        other.config = replace(self.config, sampling=sampling)
        return other

    def save_pretrained(self, folder: str | Path) -> None:
        """Write config.json and model.safetensors, atomically."""
        checkpoint.save_model(Path(folder), {"model": to_json(self.config)}, self.net.state_dict())

    def save_with_card(self, folder: str | Path, said: Licences | None = None) -> None:
        """`save_pretrained`, and a model card beside it: README.md, with what its run folder tells, and samples.png."""
        self.save_pretrained(folder)
        parameters = sum(p.numel() for p in self.parameters())
        drawn = None if self.config.task.wanted(self.pictures) else self._drawn()
        card.write(Path(folder), self.config, parameters, drawn, card.run_of(self.folder), said or Licences())

    def push_to_hub(self, name: str, said: Licences | None = None, *, private: bool = True) -> str:
        """Put this model and its card into the hub's repository OWNER/NAME; its address. Only this reaches out."""
        with tempfile.TemporaryDirectory() as home:
            folder = Path(home) / name.rpartition("/")[2]
            self.save_with_card(folder, said)
            return hub.upload(folder, name, private)

    @torch.no_grad()
    def _drawn(self, n: int = 16) -> Bytes:
        """Pictures of its own, all labels in turn, as its card shows them."""
        noise, grid, cond = Seeded(range(n)), self.grid(), self.condition(self.pictures.labels or None, n)
        blank = torch.empty(n, *self.pictures.shape, device=next(self.parameters()).device)
        start = noise(blank) * (self.config.sampling.temperature * self.schedule.at(grid[0], blank)[1])
        denoise = Clipped(self.given(None if cond is None else cond.to(blank.device)))
        return self.pictures.decode(sample(denoise, self.sampler(), grid, start, noise)).cpu()

    def keep_sampling(self, folder: str | Path, sampling: Sampling) -> None:
        """Make `sampling` the way in which this model, which was read from `folder`, draws unless it is told otherwise.

        Its weights and its hash stay what they are, so pictures that it drew before can still be drawn again.
        """
        path = _model_folder(folder) / "config.json"
        data = read_json(path)
        data["model"]["sampling"] = to_json(sampling)
        write_json(path, data)
        self.config = replace(self.config, sampling=sampling)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> "PictureModel":
        """Read a model folder, a run folder's `model`, or a checkpoint of a run: the average that it had then.

        `hf://OWNER/NAME` is a model of the hub. On the CPU, in evaluation mode.
        """
        path = _model_folder(folder)
        if (path / "state.json").is_file():
            return cls._from_checkpoint(path)
        try:
            data, tensors = checkpoint.read_model(path)
        except InputError as error:
            if path.exists() or not hub.NAME.fullmatch(str(folder)):
                raise
            raise InputError(f"there is no folder {folder}: a model of the hub would be hf://{folder}") from error
        if "classifier" in data:
            raise InputError(f"{path} is a classifier, which draws nothing: PictureClassifier.from_pretrained opens it")
        model = cls(from_json(ModelConfig, data.get("model"), f"{path / 'config.json'}: model"))
        checkpoint.check_tensors(tensors, model.net.state_dict(), path)
        model.net.load_state_dict(tensors)
        model.hash, model.folder = checkpoint.model_hash(path, ("model", "sampling")), path
        if model.reader is not None:
            model.reader.run = path.parent
        return model.eval().requires_grad_(False)

    @classmethod
    def _from_checkpoint(cls, folder: Path) -> "PictureModel":
        """What a run's model was at a checkpoint, as the run's config.json describes it."""
        path = folder.parent.parent / "config.json"
        try:
            told = read_json(path)["plan"]["recipe"]["model"]
        except (KeyError, TypeError) as error:
            raise InputError(f"{path} is not the config of a run, which the checkpoint {folder} is of") from error
        model, found = cls(from_json(ModelConfig, told, f"{path}: model")), checkpoint.read(folder)
        tensors = found.tensors("ema")
        checkpoint.check_tensors(tensors, model.net.state_dict(), folder)
        model.net.load_state_dict(tensors)
        model.hash = found.parts["ema"][1]
        if model.reader is not None:
            model.reader.run = folder.parent.parent
        return model.eval().requires_grad_(False)


def _model_folder(folder: str | Path) -> Path:
    """The folder itself, or a run folder's `model`; of a model of the hub, the folder that it is kept in; and of one
    that comes with the package, where there is no folder of that name, its own."""
    path = hub.download(folder) if hub.is_place(folder) else Path(folder)
    if not path.exists():
        path = shipped.place(str(folder)) or path
    return path / "model" if (path / "model" / "config.json").is_file() else path


def load(path: str | Path) -> PictureModel:
    """Open a run folder, a model folder or a checkpoint of a run: `noisette.load("runs/emoji")`.

    Or one that comes with the package, by its name: `noisette.load("emoji-16")`.
    """
    return PictureModel.from_pretrained(path)
