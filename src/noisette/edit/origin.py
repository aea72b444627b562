"""How a picture was drawn: all that is needed to draw it again."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .. import __version__
from ..config import Sampling
from ..context import parsed
from ..errors import InputError
from ..grid import checked
from ..model import PictureModel
from ..shapes import Images
from .cascade import Cascade
from .generate import ALWAYS, ends, generate, with_eta
from .kin import Kin, Turn
from .steering import Aides, Steering, aides_of, asked, guidance_of

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
    times: tuple[float, ...] = ()  # of a grid that the model was given, since it may be given another
    attributes: tuple[str, ...] = ()  # as they were asked for: hue=0.3
    eta: float | None = None  # of DDIM, where it was said
    interval: tuple[float, float] = ALWAYS  # the times at which guidance guided
    turns: tuple[Turn, ...] = ()  # of the seed's noise
    steering: Steering = Steering()  # how the walk was led beside
    text: str | None = None
    temperature: float = 1.0  # of the noise that the walk began with
    then: tuple[str, ...] = ()  # the hashes of the models that enlarged it
    level: float = 0.0  # of the noise that was put on what each of these was given
    ways: tuple[Sampling, ...] = ()  # how each of these drew; none in what earlier versions wrote
    noisette: str = __version__

    def __post_init__(self) -> None:
        if not 1 <= self.batch <= LARGEST:
            raise InputError(f"a picture was hardly drawn {self.batch} at a time: its metadata are damaged")
        if len(self.interval) != 2 or not 0 <= self.interval[0] <= self.interval[1] <= 1:
            raise InputError(f"guidance at times of {self.interval} is never: the metadata are damaged")
        if self.times and len(checked(self.times)) != self.steps + 1:
            raise InputError(f"{len(self.times)} times are no grid of {self.steps} steps: the metadata are damaged")

        if self.ways and len(self.ways) != len(self.then):
            raise InputError(f"{len(self.then)} models draw in no {len(self.ways)} ways: the metadata are damaged")

    @classmethod
    def own(cls, model: PictureModel, grid: str, steps: int) -> tuple[float, ...]:
        """What `times` must hold for this grid of this model."""
        return tuple(model.grid(steps, grid).tolist()) if grid == "fitted" else ()


def way_of(model: PictureModel) -> Sampling:
    """How a model draws by itself, with no fitted times but those that it walks."""
    own = model.config.sampling
    times = Origin.own(model, own.grid, own.steps)
    return replace(own, fitted=(times,) if times else ())


def again(model: PictureModel, origin: Origin, aides: Aides | None = None, then: Sequence[PictureModel] = ()) -> Images:
    """Draw one picture again, (1, C, H, W) in the last model's space: byte for byte, on the kind of machine it came
    from.

    `aides` are the models that helped; an early snapshot is found in the model's run folder, if it is there. `then` are
    the models that enlarged it; each draws as it did then.
    """
    if origin.model != model.hash:
        raise InputError(
            f"that picture was drawn by another model, {origin.model[:12]}…, and this one is {model.hash[:12]}…: "
            "give the model that drew it"
        )
    aides = aides_of(model, origin.steering, aides or Aides())
    if (given := tuple(after.hash for after in then)) != origin.then:
        raise InputError(
            f"that picture was enlarged by {len(origin.then)} models, {_short(origin.then)}, and these are "
            f"{len(given)}, {_short(given)}: give those that enlarged it by --then"
        )
    grid = checked(origin.times) if origin.times else model.grid(origin.steps, origin.grid)
    labels = [origin.label] * origin.batch
    names = asked(model, labels, aides.classifier)
    cond = model.condition(names, origin.batch, attributes=parsed(origin.attributes), text=origin.text)
    seeds = [Kin(origin.seed, origin.turns)] * origin.batch
    sampler = with_eta(model.sampler(origin.sampler), origin.eta)
    guidance = guidance_of(model, labels, origin.guidance, origin.interval, origin.steering, aides)
    walk = generate(model, seeds, cond, sampler, grid, guidance, origin.batch, origin.temperature)
    drawn = ends(walk, grid)
    models = tuple(one.by(way) for one, way in zip(then, origin.ways or map(way_of, then), strict=True))
    seeds_then, after = [origin.seed] * origin.batch, Cascade(models, origin.level)
    return after.enlarged(model, drawn, seeds_then, labels, origin.batch)[:1]


def _short(hashes: Sequence[str]) -> str:
    return " and ".join(f"{one[:12]}…" for one in hashes) or "none"
