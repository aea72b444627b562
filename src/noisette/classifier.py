"""A classifier that knows its pictures: p(y | x_t, t), which steers a model that was trained without labels.

guided = GradientGuided(model.given(), classifier.log_prob("cat", n=4), scale=1.0)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from . import checkpoint
from .config import from_json, to_json
from .errors import InputError, nearest
from .nn.classifier import Classifier, ClassifierConfig
from .pictures import Pictures
from .schedule import Schedule
from .shapes import Images, PerImage, Time

LogProb = Callable[[Tensor, Tensor, Tensor], Tensor]  # (x_t, x0, t) -> (B,), as guidance.GradientGuided takes it


@dataclass(frozen=True)
class ClassifierModelConfig:
    """All that is needed to rebuild a classifier before its weights are loaded, and to ask it by name."""

    net: ClassifierConfig
    schedule: Schedule
    pictures: Pictures


class PictureClassifier(nn.Module):
    """A noisy classifier with its config."""

    def __init__(self, config: ClassifierModelConfig) -> None:
        super().__init__()
        if config.net.classes != len(config.pictures.labels):
            raise InputError(
                f"a classifier of {config.net.classes} classes needs as many labels, not {len(config.pictures.labels)}"
            )
        self.config = config
        self.net = Classifier(config.net)

    def forward(self, x: Images, t: Time) -> Tensor:
        """Logits (B, classes) of x_t at time t."""
        return self.net(x, self.config.schedule.label(t).to(x).expand(len(x)))

    def log_prob(self, label: str | Sequence[str], n: int = 1) -> LogProb:
        """log p(y | x_t) of what `n` images should be, by name: one for all, or of several the i-th for image i."""
        names = [label] if isinstance(label, str) else list(label)
        wanted = torch.tensor([self._number(names[i % len(names)]) for i in range(n)])

        def of(x: Images, x0: Images, t: Time) -> PerImage:
            return self(x, t).log_softmax(1).gather(1, wanted.to(x.device)[:, None])[:, 0]

        return of

    def _number(self, name: str) -> int:
        labels = self.config.pictures.labels
        if name not in labels:
            raise InputError(f"no label is called {name!r}{nearest(name, labels)}")
        return labels.index(name)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write config.json and model.safetensors, atomically."""
        checkpoint.save_model(Path(folder), {"classifier": to_json(self.config)}, self.net.state_dict())

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> "PictureClassifier":
        """Read a classifier's folder. On the CPU, in evaluation mode."""
        path = Path(folder)
        data, tensors = checkpoint.read_model(path)
        if "classifier" not in data:
            raise InputError(f"{path} is no classifier: `noisette.load` opens models that draw")
        made = cls(from_json(ClassifierModelConfig, data["classifier"], f"{path / 'config.json'}: classifier"))
        checkpoint.check_tensors(tensors, made.net.state_dict(), path)
        made.net.load_state_dict(tensors)
        return made.eval().requires_grad_(False)
