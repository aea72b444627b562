"""A model that knows its pictures: what `noisette.load` gives, and what a model folder holds."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from . import checkpoint
from .condition import Condition
from .config import GRIDS, SAMPLERS, ModelConfig, Sampling, from_json, to_json
from .denoiser import DiffusionModel
from .errors import InputError, known, nearest
from .nn.unet import UNet
from .pictures import Pictures
from .sampler import Sampler


class PictureModel(DiffusionModel):
    """A diffusion model with its config: the pictures that it draws, their labels, how it samples by default."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(UNet(config.net), config.schedule, config.parametrization)
        self.config = config
        self.hash = "untrained"

    @property
    def pictures(self) -> Pictures:
        return self.config.pictures

    def condition(self, label: str | Sequence[str | None] | None = None, n: int = 1) -> Condition | None:
        """What `n` images are asked to be, by name; None where nothing is asked or nothing can be.

        One name is for all; of several, image i takes the i-th, over and over. None is the null: any label.
        """
        if not self.config.net.classes:
            if label is not None:
                raise InputError(f"this model was trained without labels: it cannot be asked for {label!r}")
            return None
        names = [label] if label is None or isinstance(label, str) else list(label)
        return Condition(label=torch.tensor([self.label(names[i % len(names)]) for i in range(n)], dtype=torch.int64))

    def label(self, name: str | None) -> int:
        """The number of a label; -1 for none."""
        if name is None:
            return -1
        if name not in self.pictures.labels:
            raise InputError(f"no label is called {name!r}{nearest(name, self.pictures.labels)}")
        return self.pictures.labels.index(name)

    def sampler(self, name: str | None = None) -> Sampler:
        return known(name or self.config.sampling.sampler, SAMPLERS, "sampler")()

    def grid(self, steps: int | None = None, name: str | None = None) -> Tensor:
        """The times of `steps` steps, (steps + 1,)."""
        sampling: Sampling = self.config.sampling
        make = known(name or sampling.grid, GRIDS, "grid")
        return make(self.schedule, steps if steps is not None else sampling.steps)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write config.json and model.safetensors, atomically."""
        checkpoint.save_model(Path(folder), {"model": to_json(self.config)}, self.net.state_dict())

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> "PictureModel":
        """Read a model folder, or a run folder's `model`. On the CPU, in evaluation mode."""
        path = Path(folder)
        if (path / "model" / "config.json").is_file():
            path = path / "model"
        data, tensors = checkpoint.read_model(path)
        model = cls(from_json(ModelConfig, data.get("model"), f"{path / 'config.json'}: model"))
        checkpoint.check_tensors(tensors, model.net.state_dict(), path)
        model.net.load_state_dict(tensors)
        model.hash = checkpoint.model_hash(path)
        return model.eval().requires_grad_(False)


def load(path: str | Path) -> PictureModel:
    """Open a run folder or a model folder: `noisette.load("runs/emoji")`."""
    return PictureModel.from_pretrained(path)
