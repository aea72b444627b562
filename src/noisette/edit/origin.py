"""How a picture was drawn: all that is needed to draw it again."""

from dataclasses import dataclass

from .. import __version__
from ..errors import InputError
from ..model import PictureModel
from ..shapes import Images
from .generate import ends, generate

LARGEST = 4096  # images that may be drawn at once


@dataclass(frozen=True)
class Origin:
    """What each PNG carries. `batch` is how many images were drawn at once: a processor sums in another order for
    another number of them, which can move a byte by one."""

    model: str  # the model's hash
    seed: int
    label: str | None
    sampler: str
    grid: str
    steps: int
    guidance: float
    batch: int
    noisette: str = __version__

    def __post_init__(self) -> None:
        if not 1 <= self.batch <= LARGEST:
            raise InputError(f"a picture was hardly drawn {self.batch} at a time: its metadata are damaged")


def again(model: PictureModel, origin: Origin) -> Images:
    """Draw one picture again, (1, C, H, W) in model space: byte for byte, on the kind of machine that it came from."""
    if origin.model != model.hash:
        raise InputError(
            f"that picture was drawn by another model, {origin.model[:12]}…, and this one is {model.hash[:12]}…: "
            "give the model that drew it"
        )
    grid = model.grid(origin.steps, origin.grid)
    cond = model.condition(origin.label, origin.batch)
    seeds = [origin.seed] * origin.batch
    walk = generate(model, seeds, cond, model.sampler(origin.sampler), grid, origin.guidance, origin.batch)
    return ends(walk, grid)[:1]
