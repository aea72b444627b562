"""The page "Sliders": directions in a model's features, found once a model, and pictures moved along several."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence

from ..diffusion.sampler import State
from ..edit.batch import sample_along
from ..edit.hspace import Direction, find_components, find_label_directions, find_layer, load_directions
from ..errors import InputError
from ..models.picture_model import PictureModel
from ..sampling.record import SampleSettings, check_integer
from ..shapes import UInt8Images
from .editing import make_batch
from .previews import MODEL_LOCK, StepCallback, stream_previews
from .trajectories import make_settings, request_images

FILE = "directions.safetensors"  # written by `noisette edit hspace`, beside a model or in its run
MAX_DIRECTIONS = 8  # sliders
NUM_BATCHES, BATCH_SIZE = 2, 16  # pictures that directions are found with
NUM_COMPONENTS = 4
MAX_LABELS = MAX_DIRECTIONS - NUM_COMPONENTS
MAX_STRENGTH = 3.0
MAX_CACHED = 3  # models


class DirectionCache:
    """The directions of models, by the models' hashes."""

    def __init__(self) -> None:
        self.cache: OrderedDict[str, list[Direction]] = OrderedDict()

    def get(self, model: PictureModel) -> list[Direction]:
        """The known directions, from memory or from a file beside the model; empty where there are none yet."""
        if model.hash not in self.cache and model.folder is not None:
            for folder in (model.folder, model.folder.parent):
                if (folder / FILE).is_file():
                    self._store(model, load_directions(folder / FILE, model.hash))
                    break
        return self.cache.get(model.hash, [])

    def find(self, model: PictureModel) -> list[Direction]:
        """Find directions: principal components of 32 pictures, and the means of labels."""
        find_layer(model.net)
        settings = make_settings(model, steps=min(12, model.config.sampling.steps), guidance=1.0)
        requests = [
            request_images(model, settings, BATCH_SIZE, [None], seed=part * BATCH_SIZE) for part in range(NUM_BATCHES)
        ]
        batches = (make_batch(model, request, lambda state: None) for request in requests)
        components = find_components(model, batches, NUM_COMPONENTS)
        with MODEL_LOCK:
            labels = find_label_directions(
                model, model.pictures.labels[:MAX_LABELS], range(BATCH_SIZE), requests[0].make_grid(model)
            )
        self._store(model, [*components, *labels])
        return self.get(model)

    def _store(self, model: PictureModel, directions: Sequence[Direction]) -> None:
        self.cache[model.hash] = list(directions)[:MAX_DIRECTIONS]
        while len(self.cache) > MAX_CACHED:
            self.cache.popitem(last=False)


def draw_moved(
    model: PictureModel, directions: Sequence[Direction], strengths: Sequence[float], settings: SampleSettings,
    label: str | None, seed: int, number: int,
) -> Iterator[tuple[UInt8Images, bool]]:  # fmt: skip
    """Previews of pictures moved along directions with these strengths, and at last the pictures.

    With each, whether it is the last. Raises InputError for a strength beyond -3 to 3.
    """
    if not all(abs(s) <= MAX_STRENGTH for s in strengths):
        raise InputError(f"the strength of a direction must be between {-MAX_STRENGTH:g} and {MAX_STRENGTH:g}")
    check_integer("number", number, 1, BATCH_SIZE)
    moves = list(zip(directions, strengths, strict=True))
    module = find_layer(model.net, *{d.layer for d in directions})
    request = request_images(model, settings, number, [label], seed=seed)

    def draw(on_step: StepCallback) -> UInt8Images:
        return sample_along(model.codec, make_batch(model, request, on_step), module, moves)

    for seen in stream_previews(draw):
        yield (model.codec.decode(seen.preview.cpu()), False) if isinstance(seen, State) else (seen, True)
