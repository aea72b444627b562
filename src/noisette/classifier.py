"""A classifier that knows its pictures: p(y | x_t, t), which steers a model that was trained without labels.

guided = GradientGuided(model.given(), classifier.log_prob("cat", n=4), scale=1.0)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from . import checkpoint
from .config import from_json, to_json
from .context import label_weights
from .errors import InputError
from .guidance import LogProb
from .nn.classifier import Classifier, ClassifierConfig
from .pictures import Pictures
from .schedule import Schedule, like
from .shapes import Images, PerImage, Time


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
        self.hash = "untrained"  # of the weights and the config
        self.net = Classifier(config.net)

    def forward(self, x: Images, t: Time) -> Tensor:
        """Logits (B, classes) of x_t at time t. The network sees x_t / √(α² + σ²): x_t, where variance is kept."""
        alpha, sigma = self.config.schedule(t)
        return self.net(x / like(torch.hypot(alpha, sigma), x), self.config.schedule.label(t).to(x).expand(len(x)))

    def log_prob(self, label: str | Sequence[str | None] | None, n: int = 1) -> LogProb:
        """log p(y | x_t) of what `n` images should be, by name: one for all, or of several the i-th for image i.

        Of a mixture, that of each label by its weight; of None, 0.
        """
        names = [label] if label is None or isinstance(label, str) else list(label)
        labels = self.config.pictures.labels
        wanted = torch.zeros(n, len(labels))
        for i, row in enumerate(wanted):
            name = names[i % len(names)]
            for known, weight in ({} if name is None else label_weights(name, labels)).items():
                row[labels.index(known)] = weight

        def of(x: Images, x0: Images, t: Time) -> PerImage:
            return (self(x, t).log_softmax(1) * wanted.to(x)).sum(1)

        return of

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
        made.hash = checkpoint.model_hash(path)
        return made.eval().requires_grad_(False)
