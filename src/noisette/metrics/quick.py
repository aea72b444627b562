"""A short rule for small sets of samples of one model as it trains: KID, copies, colours, and what they are for real
pictures."""

from dataclasses import dataclass

import torch
from jaxtyping import UInt8
from torch import Tensor

from ..noise import keyed
from ..shapes import Bytes
from .colour import Drift, drift
from .features import Extractor
from .interval import Interval
from .kid import kid, kid_draws
from .memorisation import memorisation

REFERENCE = 256  # held-out pictures at most: each costs a pass of the feature net
LEAST = 10  # held-out pictures, below which no KID is taken


@dataclass(frozen=True)
class Quick:
    """What some samples were found to be."""

    kid: Interval | None  # × 1000; None: there is no feature net, or too few held-out pictures
    draws: tuple[float, ...]  # of the bootstrap behind it, × 1000; paired between sets of equal size
    copies: Interval
    drift: Drift


class QuickRule:
    """Measures samples against held-out and training pictures. It looks at those once."""

    def __init__(
        self, train: Bytes, held_out: UInt8[Tensor, "n _ _ _"], extractor: Extractor | None, samples: int, flips: bool
    ) -> None:
        """`samples`: how many there will be, for the floor to be of as many training pictures."""
        self.train, self.flips = train, flips
        self.extractor = extractor if len(held_out) >= LEAST else None
        order = torch.randperm(len(held_out), generator=keyed("quick"))[:REFERENCE]
        self.reference = None if self.extractor is None else self.extractor(held_out[order])
        self.expected = memorisation(held_out, train, flips=flips).share  # of copies, among pictures that are none
        some = torch.randperm(len(train), generator=keyed("quick floor"))[:samples]
        self.floor = None if self.extractor is None else self._kid(self.extractor(train[some]))[0]

    def __call__(self, samples: UInt8[Tensor, "m _ _ _"]) -> Quick:
        share, off = memorisation(samples, self.train, flips=self.flips).share, drift(samples, self.train)
        if self.extractor is None:
            return Quick(None, (), share, off)
        return Quick(*self._kid(self.extractor(samples)), share, off)

    def _kid(self, features: Tensor) -> tuple[Interval, tuple[float, ...]]:
        assert self.reference is not None
        draws = kid_draws(self.reference, features) * 1000
        low, high = draws.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
        return Interval(1000 * kid(self.reference, features), low, high), tuple(draws.tolist())
