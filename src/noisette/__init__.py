"""Noisette grows a generative model from a folder of small pictures.

model = noisette.load("runs/emoji")
pictures = noisette.draw(model, 16)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .edit.draw import draw
    from .edit.run import Run
    from .model import PictureModel, load

__all__ = ["PictureModel", "Run", "draw", "load"]
HOME = {"PictureModel": "model", "Run": "edit.run", "draw": "edit.draw", "load": "model"}


def __getattr__(name: str) -> Any:
    """`noisette.load` and the like arrive with torch; asking for the version alone does not wait for it."""
    if name in HOME:
        return getattr(import_module(f".{HOME[name]}", __name__), name)
    raise AttributeError(f"module 'noisette' has no attribute {name!r}")
