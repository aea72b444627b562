"""Noisette grows a generative model from a folder of small pictures.

model = noisette.load("runs/emoji")
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .model import PictureModel, load

__all__ = ["PictureModel", "load"]


def __getattr__(name: str) -> Any:
    """`noisette.load` and the like arrive with torch; asking for the version alone does not wait for it."""
    if name in __all__:
        from . import model

        return getattr(model, name)
    raise AttributeError(f"module 'noisette' has no attribute {name!r}")
