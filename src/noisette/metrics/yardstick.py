"""Sets of pictures, each scored against the same held-out ones: a figure means something next to the others'."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import torch
from jaxtyping import UInt8
from torch import Tensor

from ..noise import keyed
from ..shapes import Bytes
from .agreement import Labels, Reader
from .colour import Drift, Palette, drift, palette
from .distribution import Fidelity, Principal, fidelity, frechet, frechet_infinity, least_for_fid
from .features import Extractor, Features, Others
from .interval import Interval
from .kid import Gaussian, kid_interval
from .memorisation import Memorisation, closer, memorisation

DIMS = 64  # principal directions of the Fréchet distance that small sets can bear
DRAWS = 20  # random choices of as many pictures of a row as are held out, that fidelity is averaged over


@dataclass(frozen=True)
class Set:
    """Some pictures to score."""

    name: str
    pixels: Bytes
    asked: Labels | None = None  # what they were asked to be; -1: nothing
    about: str = ""
    searched: UInt8[Tensor, "n _ _ _"] | None = None  # for copies, instead of the pictures


@dataclass(frozen=True)
class Score:
    """What a set of pictures is found to be."""

    name: str
    n: int
    kid: Interval  # × 1000
    mmd: Interval  # × 1000, Gaussian kernel
    fidelity: Fidelity
    fd: float | None  # in DIMS principal directions of the training pictures; None: too few pictures
    fid: float | None  # at infinitely many pictures, in all dimensions of the features; None: too few
    agreement: Interval | None  # with what was asked for; None: nothing was
    memorised: Interval
    closer: float  # p-value: small, if the set lies closer to the training pictures than held-out pictures do
    drift: Drift
    palette: Palette
    about: str = ""


class Yardstick:
    """Scores sets of pictures against the held-out pictures of a data set."""

    def __init__(
        self,
        train: Bytes,
        held_out: UInt8[Tensor, "n _ _ _"],
        extractor: Extractor,
        reader: Reader | None = None,
        flips: bool = False,
        shifts: int = 0,
    ) -> None:
        """`flips`, `shifts`: a mirrored training picture, or one moved by so many pixels, is still that picture."""
        self.train, self.held_out, self.extractor, self.reader = train, held_out, extractor, reader
        self.flips, self.shifts = flips, shifts
        self.reference, training = extractor(held_out), extractor(train)
        dims = min(DIMS, len(held_out) // 2, len(train) // 4)
        self.principal = Principal.of(training, dims) if dims > 0 else None
        self.kernel = Gaussian.median(self.reference)
        self.distances = self.search(held_out).distance

    def search(self, pixels: Bytes) -> Memorisation:
        return memorisation(pixels, self.train, flips=self.flips, shifts=self.shifts)

    def __call__(self, some: Set) -> Score:
        features = self.extractor(some.pixels)
        found = self.search(some.pixels if some.searched is None else some.searched)
        read = None
        if self.reader is not None and some.asked is not None and (some.asked >= 0).any():
            read = self.reader.agreement(some.pixels, some.asked)
        return Score(
            name=some.name,
            n=len(some.pixels),
            kid=kid_interval(self.reference, features).scaled(1000.0),
            mmd=kid_interval(self.reference, features, kernel=self.kernel).scaled(1000.0),
            fidelity=self.fidelity(features),
            fd=self.fd(features),
            fid=self.fid(features),
            agreement=read,
            memorised=found.share,
            closer=closer(found.distance, self.distances),
            drift=drift(some.pixels, self.train),
            palette=palette(some.pixels),
            about=some.about,
        )

    def fidelity(self, features: Features) -> Fidelity:
        """With as many pictures as are held out, since these figures compare only at equal numbers: DRAWS choices."""
        generator, n = keyed("fidelity"), min(len(features), len(self.reference))

        def some(of: Features) -> Others:  # pictures lie in the order of their labels
            return of[torch.randperm(len(of), generator=generator)[:n]]

        found = [asdict(fidelity(some(self.reference), some(features))) for _ in range(DRAWS)]
        return Fidelity(**{key: sum(one[key] for one in found) / DRAWS for key in found[0]})

    def fd(self, features: Features) -> float | None:
        if self.principal is None or len(features) <= len(self.principal.directions):
            return None
        return frechet(self.principal(self.reference), self.principal(features))

    def fid(self, features: Features) -> float | None:
        if min(len(features), len(self.reference)) < least_for_fid(features):
            return None
        return frechet_infinity(self.reference, features)


def four(
    yardstick: Yardstick,
    model: Set,
    more: Sequence[Set] = (),
    scored: Callable[[Score], None] = lambda score: None,
) -> tuple[Score, ...]:
    """The row of the model between the three that tell what it means, all with as many pictures: at most half of the
    training pictures.

    Floor: half of the training pictures; no model can be expected to do better. Copycat: the other half. Broken: every
    pixel at random. `more` comes after the model. `scored` hears of each as it is done.
    """
    train = yardstick.train
    n = min(len(model.pixels), len(train) // 2)
    half, rest = torch.randperm(len(train), generator=keyed("half")).split(
        [len(train) // 2, len(train) - len(train) // 2]
    )
    noise = torch.randint(0, 256, train[:n].shape, generator=keyed("broken"), dtype=torch.uint8)

    sets = (
        Set("floor", train[half[:n]], about="training pictures; copies counted among the held-out ones",
            searched=yardstick.held_out),
        model,
        *more,
        Set("copycat", train[rest[:n]], about="other training pictures"),
        Set("broken", noise, about="every pixel at random"),
    )  # fmt: skip
    scores = []
    for some in sets:
        scores.append(yardstick(some))
        scored(scores[-1])
    return tuple(scores)
