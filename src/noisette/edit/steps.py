"""Quality against steps against seconds: with which sampler, grid and number of steps does *this* model draw best?

Every way draws from the same seeds, is compared with the same held-out pictures and resampled alike, so the difference
of two ways is surer than either figure. The rule by which one is recommended is `recommended`.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..condition import Condition
from ..config import GRIDS, Sampling, from_json, to_json
from ..denoiser import Denoiser
from ..display import Displayed
from ..errors import InputError, known
from ..files import read_json, write_json
from ..guidance import Counted
from ..metrics.distribution import Fidelity, fidelity
from ..metrics.features import Extractor, Features, Others
from ..metrics.interval import Interval
from ..metrics.kid import kid, kid_draws, kid_interval
from ..model import PictureModel
from ..noise import keyed
from ..sampler import trajectory
from ..shapes import Bytes
from ..viz.trilemma import Point, trilemma
from .fit import FINE, fit
from .generate import start, steered
from .held_out import HeldOut

if TYPE_CHECKING:
    from ..viz.figure import Plot

FITTED_ON = 64  # pictures of the walk that grids are fitted to
MARGIN, LOST = 0.1, 0.1  # of RULE
RULE = (
    "the fewest evaluations, and of those the lowest KID, among all whose KID is above the best one by at most 10 %, "
    "or by at most one standard error of the difference, and whose recall and coverage are at most 0.1 below its own"
)


@dataclass(frozen=True)
class Way:
    """How to draw, in names of config's tables."""

    sampler: str
    grid: str
    steps: int


@dataclass(frozen=True)
class Measured:
    """What a way is worth."""

    way: Way
    calls: int  # evaluations of the denoiser for a picture
    seconds: float  # of drawing a picture, in batches, nothing else
    kid: Interval  # × 1000
    resampled: tuple[float, ...]  # KID × 1000 on resampled pictures, the same ones for every way
    fidelity: Fidelity  # as many pictures as are held out


@dataclass(frozen=True)
class About:
    """What figures must have in common to be compared."""

    model: str
    data: str
    held_out: int
    n: int
    seed: int
    guidance: float
    extractor: str
    temperature: float = 1.0


@dataclass(frozen=True)
class Report(Displayed):
    """All that was measured of a model."""

    about: About
    floor: Interval | None = None  # KID × 1000 of as many training pictures, where they are known
    fitted: tuple[tuple[float, ...], ...] = ()
    rows: tuple[Measured, ...] = ()

    def of(self, way: Way) -> Measured | None:
        return next((row for row in self.rows if row.way == way), None)

    def write(self, path: Path) -> None:
        best = asdict(recommended(self.rows).way) if self.rows else None
        write_json(path, to_json(self) | {"recommended": best, "rule": RULE})

    def plot(self) -> "Plot":
        """Quality and diversity over evaluations, with what is recommended ringed."""
        points = {
            row.way: Point(row.way.sampler, row.way.grid, row.calls, row.seconds,
                           (row.kid.value, row.kid.low, row.kid.high), row.fidelity.coverage)
            for row in self.rows
        }  # fmt: skip
        title = f"Quality, diversity, speed: {self.about.n} pictures each, {self.about.held_out} held out"
        floor = None if self.floor is None else self.floor.value
        return trilemma(list(points.values()), points[recommended(self.rows).way], title, floor)

    @property
    def sampling(self) -> Sampling:
        """The recommended way, as a model keeps it."""
        way = recommended(self.rows).way
        return Sampling(way.sampler, way.grid, way.steps, self.about.guidance, self.about.temperature, self.fitted)

    @classmethod
    def read(cls, path: Path, about: About) -> "Report":
        """The figures that are there, to go on with; none where there are none of this model.

        Figures of this model that are not comparable are not thrown away: they are an InputError.
        """
        if not path.is_file():
            return cls(about)
        data = read_json(path)
        if not isinstance(data, dict):
            raise InputError(f"{path} holds no figures: move it away, or give another --out")
        found = from_json(cls, {k: v for k, v in data.items() if k not in ("recommended", "rule")}, str(path))
        if found.about.model != about.model:
            return cls(about)
        if found.about != about:
            old, new = to_json(found.about), to_json(about)
            told = ", ".join(f"{k} was {old[k]} and is {new[k]}" for k in new if old[k] != new[k])
            raise InputError(f"{path} holds other figures of this model ({told}): give the same, or another --out")
        return found


def recommended(rows: Sequence[Measured]) -> Measured:
    """By RULE: the cheapest that cannot be told from the best (the rule of one standard error, Breiman et al. 1984),
    but not for less diversity, of which KID forgives the lack."""
    best = min(rows, key=lambda row: row.kid.value)

    def good(row: Measured) -> bool:
        apart = [a - b for a, b in zip(row.resampled, best.resampled, strict=True)]
        allowed = max(MARGIN * abs(best.kid.value), statistics.stdev(apart))
        lost = max(getattr(best.fidelity, name) - getattr(row.fidelity, name) for name in ("recall", "coverage"))
        return row.kid.value - best.kid.value <= allowed and lost <= LOST

    return min(filter(good, rows), key=lambda row: (row.calls, row.kid.value))


@dataclass(frozen=True)
class Contest:
    """Which ways are measured: every sampler on every grid in every number of steps, and one that all are held to."""

    samplers: tuple[str, ...] = ("ddim", "heun", "dpm++2m", "unipc", "ipndm")
    grids: tuple[str, ...] = ("karras", "fitted")
    steps: tuple[int, ...] = (4, 6, 8, 10, 16, 25)
    reference: Way | None = Way("ddim", "karras", 100)

    def ways(self, model: PictureModel) -> list[Way]:
        """Those that this model can go; names and numbers that it cannot are refused."""
        ways = [Way(s, g, n) for s in self.samplers for g in self.grids for n in self.steps]
        for way in ways:
            model.sampler(way.sampler)
            if known(way.grid, GRIDS, "grid") is not GRIDS["fitted"]:
                model.grid(way.steps, way.grid)
            elif way.steps < 1:
                raise InputError(f"{way.steps} steps lead nowhere: ask for at least 1")
        return [*ways, self.reference] if self.reference is not None and self.reference not in ways else ways


QUICK = Contest(("dpm++2m", "unipc"), ("karras", "fitted"), (4, 8, 16), reference=None)


class Bench:
    """Measures ways of drawing with a model, always from the same seeds and for the same labels."""

    def __init__(
        self,
        model: PictureModel,
        held_out: HeldOut,
        extractor: Extractor,
        *,
        n: int = 500,
        seed: int = 0,
        guidance: float | None = None,
        batch: int = 16,
    ) -> None:
        if n < 2:
            raise InputError(f"{n} pictures say nothing of a model: draw at least 2")
        self.model, self.extractor, self.batch = model, extractor, batch
        self.seeds = range(seed, seed + n)
        self.guidance = model.config.sampling.guidance if guidance is None else guidance
        self.labels = held_out.labels(n)
        self.reference: Features = extractor(held_out.pixels)
        self.about = About(
            model.hash,
            held_out.fingerprint,
            len(held_out.pixels),
            n,
            seed,
            self.guidance,
            extractor.hash,
            model.config.sampling.temperature,
        )
        self.training = held_out.training

    def floor(self) -> Interval | None:
        """KID × 1000 of as many training pictures as a way draws, or of all."""
        if self.training is None:
            return None
        some = torch.randperm(len(self.training), generator=keyed("floor"))[: len(self.seeds)]
        return kid_interval(self.extractor(self.training[some]), self.reference).scaled(1000)

    def fit(self, numbers: Sequence[int], fine: int = FINE) -> tuple[tuple[float, ...], ...]:
        """A grid of each of these numbers of steps, made for the model on pictures that no way draws.

        The model's grid "fitted" is from then on one of them. Nothing is written.
        """
        seeds = range(self.seeds.stop, self.seeds.stop + FITTED_ON)
        cond = self._condition([self.labels[i % len(self.labels)] for i in range(FITTED_ON)])
        grids = fit(self.model, seeds, cond, numbers, fine, self.guidance)
        self.use(grids)
        return grids

    def use(self, fitted: tuple[tuple[float, ...], ...]) -> None:
        """Give the model, in memory, the grids that `fit` once made for it."""
        sampling = replace(self.model.config.sampling, fitted=fitted)
        self.model.config = replace(self.model.config, sampling=sampling)

    def __call__(self, way: Way, tick: Callable[[], None] = lambda: None) -> Measured:
        """Draw and measure. `tick` is called after every step of every batch."""
        pixels, calls, seconds = self.draw(way, tick)
        features = self.extractor(pixels)
        draws = kid_draws(features, self.reference) * 1000
        low, high = draws.quantile(draws.new_tensor([0.025, 0.975])).tolist()
        value = kid(features, self.reference) * 1000
        rounded = tuple(round(value, 4) for value in draws.tolist())
        interval = Interval(value, low, high)
        return Measured(way, calls, seconds, interval, rounded, averaged(self.reference, features))

    def draw(self, way: Way, tick: Callable[[], None] = lambda: None) -> tuple[Bytes, int, float]:
        """The pictures, how often the denoiser was asked for each, and the seconds that each took."""
        sampler, grid = self.model.sampler(way.sampler), self.model.grid(way.steps, way.grid)
        parts, calls, seconds = [], 0, 0.0
        for first in range(0, len(self.seeds), self.batch):
            denoise = Counted(self._denoiser(self.labels[first : first + self.batch]))
            begun = time.perf_counter()
            here, noise = start(self.model, self.seeds[first : first + self.batch], grid)
            for state in trajectory(denoise, sampler, grid, here.x, noise):
                here = state
                tick()
            parts.append(self.model.pictures.decode(here.x).cpu())
            seconds += time.perf_counter() - begun
            calls = denoise.calls
        return torch.cat(parts), calls, seconds / len(self.seeds)

    def _condition(self, labels: Sequence[str | None]) -> Condition | None:
        return self.model.condition(None if set(labels) == {None} else labels, len(labels))

    def _denoiser(self, labels: Sequence[str | None]) -> Denoiser:
        cond = self._condition(labels)
        device = next(self.model.parameters()).device
        return steered(self.model, None if cond is None else cond.to(device), self.guidance)


def averaged(reference: Features, samples: Others) -> Fidelity:
    """Fidelity with as many samples as there are real pictures, averaged over all such parts of the samples."""
    size = min(len(reference), len(samples))
    found = [fidelity(reference[:size], part) for part in samples.split(size) if len(part) == size]
    return Fidelity(**{key: sum(asdict(one)[key] for one in found) / len(found) for key in asdict(found[0])})


def compared(
    bench: Bench, ways: Sequence[Way], path: Path, tick: Callable[[], None] = lambda: None
) -> Iterator[Report]:
    """The report after each way. It is on the disk before it is told of, and what is there is not measured again."""
    report = Report.read(path, bench.about)
    report = replace(report, floor=report.floor or bench.floor())
    numbers = {way.steps for way in ways if way.grid == "fitted"}
    if numbers - {len(times) - 1 for times in report.fitted}:
        before = {len(times) - 1: times for times in report.fitted}
        fresh = {len(times) - 1: times for times in bench.fit(sorted(numbers))}
        report = replace(report, fitted=tuple(times for _, times in sorted((fresh | before).items())))
    bench.use(report.fitted)
    for way in ways:
        if report.of(way) is None:
            report = replace(report, rows=(*report.rows, bench(way, tick)))
            report.write(path)
        yield report
