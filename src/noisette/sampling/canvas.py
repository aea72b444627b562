"""Pictures of another size than the model's, and seamless ones, as people ask for them."""

from dataclasses import replace

from ..diffusion.windows import Canvas
from ..errors import InputError
from ..models.picture_model import PictureModel

SEAMLESS_AXES = ("x", "y", "xy")  # the axes in which opposite edges can fit


def own_canvas(model: PictureModel) -> Canvas:
    """The canvas of pictures of the model's own size, in its space: one window."""
    _, height, width = model.codec.shape
    return Canvas(height, width, height, width)


def make_canvas(model: PictureModel, size: tuple[int, int] | None = None, seamless: str | None = None) -> Canvas | None:
    """The canvas of pictures of this (height, width) that are seamless in these axes: x, y or xy; None for pictures of
    the model's own size that are not seamless. Raises InputError for sizes below the model's."""
    if seamless not in (None, *SEAMLESS_AXES):
        raise InputError(f"seamless must be x, y or xy, got {seamless!r}")
    if seamless is None and size in (None, model.pictures.shape[1:]):
        return None
    model.codec.require_pixels("a seamless edge, or another size than the model's,")
    own, axes = own_canvas(model), seamless or ""
    height, width = size or (own.height, own.width)
    canvas = replace(own, height=height, width=width, wrap_x="x" in axes, wrap_y="y" in axes)
    return None if canvas == own else canvas
