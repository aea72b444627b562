"""What a visitor is looking at, as values: nothing here changes, and every step gives a new one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..edit.kin import Kin
from ..edit.origin import Origin
from ..errors import InputError
from ..sampler import State
from ..shapes import Bytes


@dataclass(frozen=True)
class Way:
    """How pictures are walked to."""

    sampler: str
    grid: str
    steps: int
    guidance: float
    eta: float | None
    interval: tuple[float, float]  # of t, in which guidance guides


def way_of(o: Origin) -> Way:
    """How a picture was walked to."""
    return Way(o.sampler, o.grid, o.steps, o.guidance, o.eta, o.interval)


@dataclass(frozen=True)
class Wish:
    """What is to be drawn: one noise and one label a picture."""

    model: str  # its name in the workspace
    kin: tuple[Kin, ...]
    labels: tuple[str | None, ...]  # names, or mixtures: bread:0.5,sword:0.5
    way: Way
    attributes: tuple[tuple[str, ...], ...] = ()  # of each picture, like hue=0.3; none at all where there are none
    texts: tuple[str | None, ...] = ()  # of each picture; none at all where there are none

    @property
    def asked(self) -> tuple[str | None, ...]:
        """What each picture is asked to be, in a word or in some."""
        return tuple(label or text for label, text in zip(self.labels, self.texts or self.labels, strict=True))


@dataclass(frozen=True)
class Branch:
    """Where a walk left another one, and what was asked from there on; None: the same as before."""

    step: int
    seed: int | None
    label: str | None


@dataclass(frozen=True, eq=False)
class Walk:
    """A walk as far as it is: `states[k]` is after step k, on the CPU."""

    wish: Wish
    model: str  # the model's hash
    states: tuple[State, ...]
    branch: Branch | None = None

    @property
    def steps(self) -> int:
        return len(self.states) - 1

    @property
    def asked(self) -> tuple[str | None, ...]:
        """What each picture was asked to be at last, in a word or in some."""
        label = None if self.branch is None else self.branch.label
        return self.wish.asked if label is None else (label,) * len(self.wish.kin)

    @property
    def done(self) -> bool:
        return bool(self.states[-1].t == 0)


@dataclass(frozen=True, eq=False)
class Cell:
    """A finished picture, (1, C, H, W), and all that is needed to draw it, or kin of it, again."""

    name: str  # of the model, in the workspace
    pixels: Bytes
    origin: Origin
    branch: Branch | None = None

    @property
    def asked(self) -> str | None:
        """What it was asked to be, in a word or in some; of a branch, at last."""
        at_last = None if self.branch is None else self.branch.label
        return at_last or self.origin.label or self.origin.text

    @property
    def kin(self) -> Kin:
        return Kin(self.origin.seed, self.origin.turns)

    def alike(self, kin: Sequence[Kin]) -> Wish:
        """The same wish for other noises."""
        n, o = len(kin), self.origin
        return Wish(self.name, tuple(kin), (o.label,) * n, way_of(o), (o.attributes,) * n, (o.text,) * n)


@dataclass(frozen=True, eq=False)
class Board:
    """A grid of pictures to choose from, and the shelf of those that were kept."""

    cells: tuple[Cell, ...] = ()
    rejected: frozenset[int] = frozenset()
    kept: tuple[Cell, ...] = ()
    generation: int = 0  # how often the grid was filled

    def cell(self, i: int) -> Cell:
        if not 0 <= i < len(self.cells):
            raise InputError(f"there is no picture {i + 1} on the board: it has {len(self.cells)}")
        return self.cells[i]

    def filled(self, cells: Sequence[Cell]) -> "Board":
        """Other pictures to choose from, beside the same shelf."""
        return replace(self, cells=tuple(cells), rejected=frozenset(), generation=self.generation + 1)

    def keep(self, i: int) -> "Board":
        """Put picture i on the shelf; if it is there, take it off."""
        cell = self.cell(i)
        if self.holds(cell):
            return replace(self, kept=tuple(k for k in self.kept if k is not cell))
        return replace(self, kept=(*self.kept, cell), rejected=self.rejected - {i})

    def placed(self, came: "Came") -> "Board":
        """With pictures that were asked for when it was as `came` says: it may have been pressed on meanwhile."""
        if came.places is None:
            return self.filled(came.cells)
        if came.generation != self.generation:
            raise InputError("the board was filled anew meanwhile: nothing was replaced")
        new = dict(zip(came.places, came.cells, strict=True))
        return self.filled([new.get(i, cell) for i, cell in enumerate(self.cells)])

    def reject(self, i: int) -> "Board":
        """Mark picture i as one to be replaced; if it is, no longer. What is rejected is not kept."""
        cell = self.cell(i)
        kept = tuple(k for k in self.kept if k is not cell)
        return replace(self, rejected=self.rejected ^ {i}, kept=kept)

    def drop(self, i: int) -> "Board":
        """Take picture i off the shelf."""
        return replace(self, kept=self.kept[:i] + self.kept[i + 1 :])

    def holds(self, cell: Cell) -> bool:
        return any(k is cell for k in self.kept)


@dataclass(frozen=True, eq=False)
class Came:
    """Pictures that came of what was asked for on the board of a generation."""

    cells: tuple[Cell, ...]
    generation: int
    places: tuple[int, ...] | None = None  # of the cells that they replace; None: of all
