"""Directions inside a model for the page "Sliders": found once a model, several gone along at once."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence

from ..edit.directions import load
from ..edit.finding import components, of_labels
from ..edit.hspace import Direction, semantic
from ..edit.retouch import moved
from ..errors import InputError
from ..model import PictureModel
from ..sampler import State
from ..shapes import Bytes
from . import drawing
from .editing import turn
from .live import WALKING, Tell, watched
from .session import Way

FILE = "directions.safetensors"  # what `noisette edit hspace` writes, beside a model or in its run
MOST = 8  # sliders
PARTS, BATCH, COMMON = 2, 16, 4  # turns of 16 pictures that directions are found with, and components
LABELS = MOST - COMMON
STRONGEST = 3.0
KEPT = 3  # models whose directions are in memory


class Directions:
    """The directions of models, by what the models are."""

    def __init__(self) -> None:
        self.found: OrderedDict[str, list[Direction]] = OrderedDict()

    def of(self, model: PictureModel) -> list[Direction]:
        """Those that are known: from memory, or from a file beside the model. None: they are to be found."""
        if model.hash not in self.found and model.folder is not None:
            for folder in (model.folder, model.folder.parent):
                if (folder / FILE).is_file():
                    self._keep(model, load(folder / FILE, model.hash))
                    break
        return self.found.get(model.hash, [])

    def find(self, model: PictureModel) -> list[Direction]:
        """Find them: what varies most in 32 pictures, and what sets labels apart."""
        semantic(model.net)
        way = drawing.way(model, steps=min(12, model.config.sampling.steps), guidance=1.0)

        turns = (turn(model, way, None, part * BATCH, BATCH, lambda state: None) for part in range(PARTS))
        common = components(model, turns, COMMON)
        with WALKING:
            labels = of_labels(model, model.pictures.labels[:LABELS], range(BATCH), model.grid(way.steps, way.grid))
        self._keep(model, [*common, *labels])
        return self.of(model)

    def _keep(self, model: PictureModel, found: Sequence[Direction]) -> None:
        self.found[model.hash] = list(found)[:MOST]
        while len(self.found) > KEPT:
            self.found.popitem(last=False)


def gone(
    model: PictureModel, directions: Sequence[Direction], strengths: Sequence[float], way: Way, label: str | None,
    seed: int, number: int,
) -> Iterator[tuple[Bytes, bool]]:  # fmt: skip
    """Pictures moved along directions, each as strongly as said; what is seen of them on the way, first.

    With each: whether they are done.
    """
    if not all(abs(s) <= STRONGEST for s in strengths):
        raise InputError(f"a direction is gone along by {-STRONGEST:g} to {STRONGEST:g}")
    if not 1 <= number <= BATCH or seed < 0:
        raise InputError(f"{number} pictures of seed {seed} are not drawn here: ask for 1 to {BATCH}, and 0 or more")
    along = list(zip(directions, strengths, strict=True))
    part = semantic(model.net, *{d.place for d in directions})
    cond = model.condition(label, number)

    def drawn(tell: Tell) -> Bytes:
        return moved(model.pictures, turn(model, way, cond, seed, number, tell), part, along)

    for seen in watched(drawn):
        yield (model.pictures.decode(seen.preview.cpu()), False) if isinstance(seen, State) else (seen, True)
