"""The state of a visit as immutable values: every action gives a new one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..diffusion.sampler import State
from ..errors import InputError
from ..sampling.lineage import NoiseLineage
from ..sampling.record import SampleRecord
from ..sampling.request import SampleRequest, repeat_record
from ..shapes import UInt8Images


@dataclass(frozen=True)
class BoardRequest:
    """A request to a model of the workspace."""

    model_name: str
    request: SampleRequest


@dataclass(frozen=True)
class Branch:
    """The step at which a trajectory left another one, with a new seed, a new label or both; None: as before."""

    step: int
    seed: int | None
    label: str | None


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Sampling so far: `states[k]` is the state after step k, on the CPU."""

    model_name: str  # in the workspace
    request: SampleRequest
    states: tuple[State, ...]
    branch: Branch | None = None

    @property
    def num_steps(self) -> int:
        return len(self.states) - 1

    @property
    def prompts(self) -> tuple[str | None, ...]:
        """The label or text of each picture; of a branch, after it."""
        label = None if self.branch is None else self.branch.label
        return self.request.prompts if label is None else (label,) * len(self.request)

    @property
    def is_finished(self) -> bool:
        return bool(self.states[-1].t == 0)


@dataclass(frozen=True, eq=False)
class BoardSample:
    """A finished picture, (1, C, H, W), with its record."""

    model_name: str  # in the workspace
    pixels: UInt8Images
    record: SampleRecord
    branch: Branch | None = None

    @property
    def prompt(self) -> str | None:
        """Its label or text; of a branch, after it."""
        label = None if self.branch is None else self.branch.label
        return label or self.record.label or self.record.text

    @property
    def lineage(self) -> NoiseLineage:
        return NoiseLineage(self.record.seed, self.record.rotations)

    def make_request(self, lineages: Sequence[NoiseLineage]) -> BoardRequest:
        """The request of pictures like this one with other noises."""
        return BoardRequest(self.model_name, repeat_record(self.record, lineages))


@dataclass(frozen=True, eq=False)
class Board:
    """A grid of pictures to choose from, and those that were kept."""

    samples: tuple[BoardSample, ...] = ()
    rejected: frozenset[int] = frozenset()
    kept: tuple[BoardSample, ...] = ()
    generation: int = 0  # how many times the grid was filled

    def get_sample(self, index: int) -> BoardSample:
        if not 0 <= index < len(self.samples):
            raise InputError(f"there is no picture {index + 1}: there are {len(self.samples)}")
        return self.samples[index]

    def with_samples(self, samples: Sequence[BoardSample]) -> "Board":
        """Other pictures to choose from; the same ones are kept."""
        return replace(self, samples=tuple(samples), rejected=frozenset(), generation=self.generation + 1)

    def toggle_kept(self, index: int) -> "Board":
        """Keep picture `index`, or no longer keep it."""
        sample = self.get_sample(index)
        if self.is_kept(sample):
            return replace(self, kept=tuple(k for k in self.kept if k is not sample))
        return replace(self, kept=(*self.kept, sample), rejected=self.rejected - {index})

    def insert(self, samples: Sequence[BoardSample], index: int) -> "Board":
        """More pictures, before that at `index`; all others stay, kept and rejected as they are."""
        rejected = frozenset(i + len(samples) * (i >= index) for i in self.rejected)
        both = (*self.samples[:index], *samples, *self.samples[index:])
        return replace(self, samples=both, rejected=rejected, generation=self.generation + 1)

    def apply_update(self, update: "BoardUpdate | None") -> "Board":
        """With new pictures. Raises InputError where their places are those of a board that was filled anew since."""
        if update is None:
            raise InputError("there are no new pictures: press Draw first")
        if update.indices is None and update.index is None:
            return self.with_samples(update.samples)
        if update.generation != self.generation:
            raise InputError("the pictures were replaced meanwhile: nothing was changed")
        if update.index is not None:
            return self.insert(update.samples, update.index)
        new = dict(zip(update.indices or (), update.samples, strict=True))
        return self.with_samples([new.get(i, sample) for i, sample in enumerate(self.samples)])

    def toggle_rejected(self, index: int) -> "Board":
        """Reject picture `index`, or no longer reject it. A rejected picture is not kept."""
        sample = self.get_sample(index)
        kept = tuple(k for k in self.kept if k is not sample)
        return replace(self, rejected=self.rejected ^ {index}, kept=kept)

    def remove_kept(self, index: int) -> "Board":
        """No longer keep the picture at `index` of those kept."""
        return replace(self, kept=self.kept[:index] + self.kept[index + 1 :])

    def is_kept(self, sample: BoardSample) -> bool:
        return any(k is sample for k in self.kept)


@dataclass(frozen=True, eq=False)
class BoardUpdate:
    """New pictures for the board of a generation."""

    samples: tuple[BoardSample, ...]
    generation: int
    indices: tuple[int, ...] | None = None  # of the pictures that they replace; None: all
    index: int | None = None  # of the picture that they are put before; None: they replace others
