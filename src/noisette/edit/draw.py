"""Draw in one line: `draw(model, 16, "potion", seed=3)`."""

from collections.abc import Sequence

from ..context import Attributes, Label
from ..errors import InputError
from ..model import PictureModel
from ..viz.gallery import Gallery
from .generate import ends, generate


def draw(
    model: PictureModel,
    n: int = 16,
    label: Label | Sequence[Label | None] | None = None,
    *,
    attributes: Attributes | None = None,
    seed: int = 0,
    steps: int | None = None,
    sampler: str | None = None,
    grid: str | None = None,
    guidance: float | None = None,
    batch: int = 16,
) -> Gallery:
    """`n` new pictures, of seeds from `seed` on; what is not said is the model's own way.

    Without a label, all of the model's in turn: as `noisette sample` draws, and with the same seeds the same pictures.
    """
    if n < 1 or seed < 0:
        raise InputError(f"{n} pictures from seed {seed} on cannot be drawn: give 1 or more, from 0 on")
    own, labels = model.config.sampling, label if label is not None else model.pictures.labels or None
    times, cond = model.grid(steps, grid), model.condition(labels, n, attributes=attributes)
    scale = own.guidance if guidance is None else guidance
    states = generate(model, range(seed, seed + n), cond, model.sampler(sampler), times, scale, batch)
    asked = [labels] if isinstance(labels, str) else list(labels) if isinstance(labels, Sequence) else [None]
    words = [one if isinstance(one, str) else "" for one in asked]
    names = tuple(", ".join(filter(None, (words[i % len(words)], f"seed {seed + i}"))) for i in range(n))
    return Gallery(model.pictures.finished(ends(states, times)), names)
