"""Quality and time of a model's sampler settings: sampler, time grid and number of steps.

All settings use the same seeds, the same held-out pictures and the same bootstrap resamples, so the difference between
two settings is known more exactly than either figure. `recommend` chooses one by RECOMMENDATION_RULE.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path

import torch

from ..diffusion.condition import Condition
from ..diffusion.denoiser import Denoiser
from ..diffusion.guidance import CallCounter
from ..diffusion.noise import make_generator
from ..diffusion.sampler import trajectory
from ..display import Displayed
from ..errors import InputError, lookup
from ..io.json_files import read_json, write_json
from ..models.config import SamplingDefaults, from_json, to_json
from ..models.picture_model import PictureModel
from ..models.registry import GRIDS, OWN_NAME_HINT
from ..sampling.fitted_grid import FINE_STEPS, fit_grids
from ..sampling.generate import build_denoiser, initial_state
from ..shapes import UInt8Images
from .held_out import HeldOut
from .metrics.distribution import PRDC, compute_prdc
from .metrics.features import FeatureExtractor, Features, OtherFeatures
from .metrics.interval import ConfidenceInterval
from .metrics.kid import kid, kid_bootstrap, kid_interval

FIT_PICTURES = 64  # pictures of the trajectory that grids are fitted to
KID_MARGIN, MAX_DIVERSITY_LOSS = 0.1, 0.1  # of RECOMMENDATION_RULE
RECOMMENDATION_RULE = (
    "the fewest network evaluations (of equals, the lower KID) among the settings whose KID exceeds the lowest by at "
    "most 10 % or one standard error of the difference, and whose recall and coverage are at most 0.1 below those of "
    "the setting with the lowest KID"
)


@dataclass(frozen=True)
class SamplerSetting:
    """A sampler, a time grid and a number of steps, by registered names."""

    sampler: str
    grid: str
    steps: int
    temperature: float | None = None  # None: the model's

    def resolve(self, sampling: SamplingDefaults) -> SamplingDefaults:
        """The model's defaults with this setting."""
        temperature = sampling.temperature if self.temperature is None else self.temperature
        return replace(sampling, sampler=self.sampler, grid=self.grid, steps=self.steps, temperature=temperature)


@dataclass(frozen=True)
class Measurement:
    """The quality and cost of one setting: network calls and seconds for each picture, KID × 10³ with its interval."""

    setting: SamplerSetting
    calls: int  # network evaluations per picture
    seconds: float  # per picture, sampling in batches only
    kid: ConfidenceInterval  # × 1000
    kid_resamples: tuple[float, ...]  # KID × 1000 of bootstrap resamples, the same ones for every setting
    fidelity: PRDC  # with as many samples as held-out pictures


@dataclass(frozen=True)
class MeasurementSettings:
    """What all measurements of a report share; figures with other values cannot be compared."""

    model: str
    data: str
    held_out: int
    n: int
    seed: int
    guidance: float
    extractor: str
    temperature: float = 1.0  # the model's; it need only agree if a setting has none of its own


@dataclass(frozen=True)
class StepsReport(Displayed):
    """The measurements of a model."""

    settings: MeasurementSettings
    floor: ConfidenceInterval | None = None  # KID × 1000 of as many training pictures; None without a data set
    fitted: tuple[tuple[float, ...], ...] = ()
    rows: tuple[Measurement, ...] = ()

    def __str__(self) -> str:
        """A Markdown table, the cheapest setting first."""
        lines = ["| sampler | grid | steps | calls | KID × 10³ | 95 % | recall | coverage |", "|---" * 8 + "|"]
        for row in sorted(self.rows, key=lambda row: (row.calls, row.kid.value)):
            way, kid = row.setting, row.kid
            lines.append(
                f"| {way.sampler} | {way.grid} | {way.steps} | {row.calls} | {kid.value:.1f} | {kid.low:.1f} … "
                f"{kid.high:.1f} | {row.fidelity.recall:.2f} | {row.fidelity.coverage:.2f} |"
            )
        return "\n".join(lines)

    def find(self, setting: SamplerSetting) -> Measurement | None:
        return next((row for row in self.rows if row.setting == setting), None)

    @property
    def best_rows(self) -> tuple[Measurement, ...]:
        """Of the rows that differ in their temperature only, the one of the lowest KID."""
        best = dict[SamplerSetting, Measurement]()
        for row in sorted(self.rows, key=lambda row: row.kid.value):
            best.setdefault(replace(row.setting, temperature=None), row)
        return tuple(row for row in self.rows if row in best.values())

    def write(self, path: Path) -> None:
        best = asdict(recommend(self.rows).setting) if self.rows else None
        write_json(path, to_json(self) | {"recommended": best, "rule": RECOMMENDATION_RULE})

    @property
    def recommended_sampling(self) -> SamplingDefaults:
        """The recommended setting as a model's sampling defaults."""
        base = SamplingDefaults(guidance=self.settings.guidance, temperature=self.settings.temperature)
        return replace(recommend(self.rows).setting.resolve(base), fitted=self.fitted)

    @classmethod
    def parse(cls, path: Path) -> "StepsReport":
        """What a file holds that `write` wrote, of any model. Raises InputError for another file."""
        content = read_json(path)
        if not isinstance(content, dict):
            raise InputError(f"{path} is not a report of noisette steps: move it away, or give another --out")
        data = {k: v for k, v in content.items() if k not in ("recommended", "rule")}
        found = from_json(cls, data, str(path))
        resamples = {len(row.kid_resamples) for row in found.rows}
        if len(resamples) > 1 or min(resamples, default=2) < 2:
            raise InputError(f"{path} has rows without the same number of kid_resamples, at least 2: move it away")
        return found

    @classmethod
    def read(cls, path: Path, settings: MeasurementSettings) -> "StepsReport":
        """The report at `path`, to be continued; an empty one if there is none, or only one of another model.

        Raises InputError for a report of this model with other settings, which is not overwritten.
        """
        if not path.is_file():
            return cls(settings)
        found = cls.parse(path)
        if found.settings.model != settings.model:
            return cls(settings)
        if all(row.setting.temperature is not None for row in found.rows):
            found = replace(found, settings=replace(found.settings, temperature=settings.temperature))
        if found.settings != settings:
            old, new = to_json(found.settings), to_json(settings)
            changes = ", ".join(f"{k} was {old[k]} and is {new[k]}" for k in new if old[k] != new[k])
            raise InputError(f"{path} was measured with other settings ({changes}): give the same, or another --out")
        return found


def recommend(rows: Sequence[Measurement]) -> Measurement:
    """The measurement chosen by RECOMMENDATION_RULE: the cheapest within one standard error of the best (the rule of
    Breiman et al. 1984). Recall and coverage are part of the rule because KID does not show every loss of diversity."""
    best = min(rows, key=lambda row: row.kid.value)

    def is_close(row: Measurement) -> bool:
        differences = [a - b for a, b in zip(row.kid_resamples, best.kid_resamples, strict=True)]
        margin = max(KID_MARGIN * abs(best.kid.value), statistics.stdev(differences))
        lost = max(getattr(best.fidelity, name) - getattr(row.fidelity, name) for name in ("recall", "coverage"))
        return row.kid.value - best.kid.value <= margin and lost <= MAX_DIVERSITY_LOSS

    return min(filter(is_close, rows), key=lambda row: (row.calls, row.kid.value))


@dataclass(frozen=True)
class SearchSpace:
    """The settings to measure: every sampler on every grid with every number of steps at every temperature, and a
    reference setting."""

    samplers: tuple[str, ...] = ("dpm++sde", "dpm++2m", "heun", "unipc")
    grids: tuple[str, ...] = ("karras", "fitted")
    steps: tuple[int, ...] = (6, 10, 16)
    temperatures: tuple[float | None, ...] = (1.0, 0.93, 0.86)
    reference: SamplerSetting | None = SamplerSetting("ddim", "karras", 100, 1.0)

    def list_settings(self, model: PictureModel) -> list[SamplerSetting]:
        """All settings. Raises InputError for a sampler, grid or number of steps that the model cannot use."""
        parts = product(self.samplers, self.grids, self.steps, self.temperatures)
        found = [SamplerSetting(*part) for part in parts]
        for setting in found:
            model.sampler(setting.sampler)
            if lookup(setting.grid, GRIDS, "grid", OWN_NAME_HINT) is not GRIDS["fitted"]:
                model.grid(setting.steps, setting.grid)
            elif setting.steps < 1:
                raise InputError(f"the number of steps must be at least 1, got {setting.steps}")
            setting.resolve(model.config.sampling)
        return [*found, self.reference] if self.reference is not None and self.reference not in found else found


QUICK_SEARCH = SearchSpace(("dpm++sde", "dpm++2m"), ("fitted",), (8, 16), (1.0, 0.93, 0.86), reference=None)


class SamplerBenchmark:
    """Measures sampler settings of a model, always with the same seeds and labels."""

    def __init__(
        self,
        model: PictureModel,
        held_out: HeldOut,
        extractor: FeatureExtractor,
        *,
        n: int = 500,
        seed: int = 0,
        guidance: float | None = None,
        batch: int = 16,
    ) -> None:
        if n < 2:
            raise InputError(f"-n must be at least 2, got {n}")
        self.model, self.extractor, self.batch = model, extractor, batch
        self.seeds = range(seed, seed + n)
        self.guidance = model.config.sampling.guidance if guidance is None else guidance
        self.labels = held_out.draw_labels(n)
        self.reference: Features = extractor(held_out.pixels)
        self.settings = MeasurementSettings(
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

    def measure_floor(self) -> ConfidenceInterval | None:
        """KID × 1000 of as many training pictures as there are samples per setting (or of all, if fewer)."""
        if self.training is None:
            return None
        some = torch.randperm(len(self.training), generator=make_generator("floor"))[: len(self.seeds)]
        return kid_interval(self.extractor(self.training[some]), self.reference).scaled(1000)

    def fit_grids(self, step_counts: Sequence[int], fine_steps: int = FINE_STEPS) -> tuple[tuple[float, ...], ...]:
        """Fit a time grid of each number of steps to the model, with seeds that no measurement uses.

        From then on the model's grid "fitted" is one of these. Nothing is written.
        """
        seeds = range(self.seeds.stop, self.seeds.stop + FIT_PICTURES)
        cond = self._condition([self.labels[i % len(self.labels)] for i in range(FIT_PICTURES)])
        grids = fit_grids(self.model, seeds, cond, step_counts, fine_steps, self.guidance)
        self.set_fitted_grids(grids)
        return grids

    def set_fitted_grids(self, fitted: tuple[tuple[float, ...], ...]) -> None:
        """Set the model's fitted grids, in memory only."""
        sampling = replace(self.model.config.sampling, fitted=fitted)
        self.model.config = replace(self.model.config, sampling=sampling)

    def __call__(self, setting: SamplerSetting, on_step: Callable[[], None] = lambda: None) -> Measurement:
        """Generate and measure. `on_step` is called after every step of every batch."""
        pixels, calls, seconds = self.draw(setting, on_step)
        features = self.extractor(pixels)
        draws = kid_bootstrap(features, self.reference) * 1000
        low, high = draws.quantile(draws.new_tensor([0.025, 0.975])).tolist()
        value = kid(features, self.reference) * 1000
        rounded = tuple(round(value, 4) for value in draws.tolist())
        interval = ConfidenceInterval(value, low, high)
        return Measurement(setting, calls, seconds, interval, rounded, average_fidelity(self.reference, features))

    def draw(
        self, setting: SamplerSetting, on_step: Callable[[], None] = lambda: None
    ) -> tuple[UInt8Images, int, float]:
        """(pictures, network evaluations per picture, seconds per picture)."""
        model = self.model.with_sampling(setting.resolve(self.model.config.sampling))
        sampler, grid = model.sampler(), model.grid()
        parts, calls, seconds = [], 0, 0.0
        for first in range(0, len(self.seeds), self.batch):
            denoise = CallCounter(
                self._build_denoiser(self.labels[first : first + self.batch]), is_counted=model.calls_network
            )
            begun = time.perf_counter()
            here, noise = initial_state(model, self.seeds[first : first + self.batch], grid)
            for state in trajectory(denoise, sampler, grid, here.x, noise):
                here = state
                on_step()
            parts.append(self.model.codec.decode_samples(here.x).cpu())
            seconds += time.perf_counter() - begun
            calls = denoise.num_calls
        return torch.cat(parts), calls, seconds / len(self.seeds)

    def _condition(self, labels: Sequence[str | None]) -> Condition | None:
        return self.model.condition(None if set(labels) == {None} else labels, len(labels))

    def _build_denoiser(self, labels: Sequence[str | None]) -> Denoiser:
        cond = self._condition(labels)
        device = next(self.model.parameters()).device
        return build_denoiser(self.model, None if cond is None else cond.to(device), self.guidance)


def average_fidelity(reference: Features, samples: OtherFeatures) -> PRDC:
    """Precision, recall, density and coverage with as many samples as real pictures, averaged over all such parts of
    the samples."""
    size = min(len(reference), len(samples))
    found = [compute_prdc(reference[:size], part) for part in samples.split(size) if len(part) == size]
    return PRDC(**{key: sum(asdict(one)[key] for one in found) / len(found) for key in asdict(found[0])})


def compare_settings(
    benchmark: SamplerBenchmark,
    settings: Sequence[SamplerSetting],
    path: Path,
    on_step: Callable[[], None] = lambda: None,
) -> Iterator[StepsReport]:
    """Yield the report after each setting, once it is written to `path`. Settings in `path` are not measured again."""
    report = StepsReport.read(path, benchmark.settings)
    report = replace(report, floor=report.floor or benchmark.measure_floor())
    numbers = {setting.steps for setting in settings if setting.grid == "fitted"}
    own = {len(times) - 1: times for times in benchmark.model.config.sampling.fitted if len(times) - 1 in numbers}
    known = own | {len(times) - 1: times for times in report.fitted}
    if missing := sorted(numbers - known.keys()):
        known |= {len(times) - 1: times for times in benchmark.fit_grids(missing)}
    report = replace(report, fitted=tuple(times for _, times in sorted(known.items())))
    benchmark.set_fitted_grids(report.fitted)
    for setting in settings:
        if report.find(setting) is None:
            report = replace(report, rows=(*report.rows, benchmark(setting, on_step)))
            report.write(path)
        yield report
