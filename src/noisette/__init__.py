"""Train diffusion models on a folder of small pictures, and sample from them.

    run = noisette.train("sprites/", out="runs/sprites")
    pictures = noisette.draw(run.model, 16)
    model = noisette.load("runs/sprites")

The diffusion process itself (schedules, denoisers, guidance, samplers, losses) is in `noisette.diffusion`. The names
below are imported on first use, so that `import noisette` does not import torch.
"""

from typing import TYPE_CHECKING

from .display import register_formatter
from .io.version import __version__
from .lazy import lazy_names

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
HOMES = {
    "data.scan": ("scan",),
    "evaluation.compare_samplers": ("compare_samplers",),
    "evaluation.evaluate_samples": ("evaluate",),
    "interop.tileset": ("tileset",),
    "models.picture_autoencoder": ("PictureAutoencoder",),
    "models.picture_model": ("PictureModel", "load"),
    "models.registry": ("register",),
    "report.api": ("distill", "train", "train_autoencoder", "train_classifier"),
    "report.card": ("push_to_hub", "save_with_card"),
    "report.run": ("Run",),
    "sampling.draw": ("draw",),
}


def _html(value: object) -> str:
    """The HTML of a value in a notebook; the renderer is imported on first use."""
    from .report.notebook import render_html

    return render_html(value)


register_formatter(_html)

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, HOMES)
