"""A classifier of noisy pictures, p(y | x_t, t), for classifier guidance (Dhariwal & Nichol 2021).

guided = GradientGuided(model.given(), classifier.log_prob("cat", n=4), scale=1.0)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..data.pictures import Pictures
from ..diffusion.guidance import LogProbFn
from ..diffusion.schedule import Schedule, broadcast_like
from ..errors import InputError
from ..io import checkpoint
from ..io.json_types import get_only
from ..nn.classifier import Classifier, ClassifierConfig
from ..shapes import Images, PerImage, Time
from ..team import torch_defaults
from .config import from_json, to_json
from .context import label_weights


@dataclass(frozen=True)
class ClassifierModelConfig:
    """All that is needed to rebuild a classifier before its weights are loaded, and to use its labels by name."""

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
        """Logits (B, classes) of x_t at time t. The network receives x_t / √(α² + σ²), which has variance 1."""
        alpha, sigma = self.config.schedule(t)
        return self.net(
            x / broadcast_like(torch.hypot(alpha, sigma), x), self.config.schedule.noise_label(t).to(x).expand(len(x))
        )

    def log_prob(self, label: str | Sequence[str | None] | None, n: int = 1) -> LogProbFn:
        """The function (x_t, x̂0, t) → log p(y | x_t), (n,), for the labels of `n` images.

        label: one for all images, or a sequence of which image i takes the i-th, repeated. For a mixture, the weighted
        sum of its labels' log-probabilities; for None, 0. Raises InputError for unknown labels.
        """
        names = [label] if label is None or isinstance(label, str) else list(label)
        labels = self.config.pictures.labels
        wanted = torch.zeros(n, len(labels), dtype=torch.float32, device="cpu")
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
    @torch_defaults()
    def from_pretrained(cls, folder: str | Path) -> "PictureClassifier":
        """Read a classifier's folder, onto the CPU, in evaluation mode. Raises InputError for anything else."""
        path = Path(folder)
        data, tensors = checkpoint.read_model(path, _describe)
        with torch.random.fork_rng(devices=[]):  # of the initial weights
            made = cls(_parse_config(data, path / "config.json"))
        made.net.load_state_dict(tensors)
        made.hash = checkpoint.model_hash(path)
        return made.eval().requires_grad_(False)


def _parse_config(data: Mapping[str, Any], path: Path) -> ClassifierModelConfig:
    """The config in the content of a classifier folder's config.json."""
    if "classifier" not in data:
        raise InputError(f"{path.parent} is not a classifier: open it with noisette.load")
    return from_json(ClassifierModelConfig, get_only(data, "classifier", path), f"{path}: classifier")


def _describe(data: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    with torch.device("meta"):
        return Classifier(_parse_config(data, path).net).state_dict()
