"""Train diffusion models on a folder of small pictures, and sample from them.

    run = noisette.train("sprites/", out="runs/sprites")
    pictures = noisette.draw(run.model, 16)
    model = noisette.load("runs/sprites")

The diffusion process itself (schedules, denoisers, guidance, samplers, losses) is in `noisette.diffusion`. The names
below are imported on first use, so that `import noisette` does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .display import register_formatter
from .io.version import __version__

if TYPE_CHECKING:
    from .data.scan import scan
    from .evaluation.compare_samplers import compare_samplers
    from .evaluation.evaluate_samples import evaluate
    from .interop.tileset import tileset
    from .models.picture_autoencoder import PictureAutoencoder
    from .models.picture_model import PictureModel, load
    from .models.registry import register
    from .report.api import distill, train, train_autoencoder, train_classifier
    from .report.card import push_to_hub, save_with_card
    from .report.run import Run
    from .sampling.draw import draw

__all__ = [
    "PictureAutoencoder",
    "PictureModel",
    "Run",
    "__version__",
    "compare_samplers",
    "distill",
    "draw",
    "evaluate",
    "load",
    "push_to_hub",
    "register",
    "save_with_card",
    "scan",
    "tileset",
    "train",
    "train_autoencoder",
    "train_classifier",
]
HOME = {
    "PictureAutoencoder": "models.picture_autoencoder",
    "PictureModel": "models.picture_model",
    "Run": "report.run",
    "compare_samplers": "evaluation.compare_samplers",
    "distill": "report.api",
    "draw": "sampling.draw",
    "evaluate": "evaluation.evaluate_samples",
    "load": "models.picture_model",
    "push_to_hub": "report.card",
    "register": "models.registry",
    "save_with_card": "report.card",
    "scan": "data.scan",
    "tileset": "interop.tileset",
    "train": "report.api",
    "train_autoencoder": "report.api",
    "train_classifier": "report.api",
}


def _html(value: object) -> str:
    """The HTML of a value in a notebook; the renderer is imported on first use."""
    from .report.notebook import render_html

    return render_html(value)


register_formatter(_html)


def __getattr__(name: str) -> Any:
    """Import a public name from its module on first use (PEP 562)."""
    if name in HOME:
        return getattr(import_module(f".{HOME[name]}", __name__), name)
    raise AttributeError(f"module 'noisette' has no attribute {name!r}")
