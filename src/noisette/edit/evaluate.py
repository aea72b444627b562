"""How good, how varied and how original is a model, and how sure can one be?

What it draws, asked for what some of its training pictures are, is scored between a floor, a copycat and noise
(metrics/yardstick.py). Its variational bound on pictures that it was trained on and on held-out ones says, without any
feature net, whether it knows its pictures better than new ones.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from .. import __version__
from ..condition import Condition
from ..data import Dataset, Subset
from ..display import Displayed
from ..errors import InputError
from ..grid import logsnr
from ..guidance import Clipped
from ..likelihood import variational_bound
from ..metrics.agreement import Reader, reader
from ..metrics.features import Extractor, Remembered
from ..metrics.interval import Interval
from ..metrics.memorisation import Memorisation
from ..metrics.yardstick import Score, Set, Yardstick, four
from ..model import PictureModel
from ..noise import Seeded, keyed
from ..shapes import Bytes
from ..team import ALONE, Team, shared
from .generate import ends, generate
from .held_out import everything

LEAST = 20  # pictures on each side of the split, below which nothing is said
CHAIN = 50  # steps of the bound
FINEST = 0.01  # σ/α at which the bound leaves the rest to the decoder: finer noise costs a model of continuous values
COUNTED = 64  # pictures of each side that the bound is computed for


@dataclass(frozen=True)
class Bits:
    """Bits a dimension of the variational bound: means over pictures, with their standard errors."""

    train: float
    train_error: float
    held_out: float
    held_out_error: float

    @property
    def gap(self) -> float:
        """Held out less training: above 0, the model knows its own pictures better than new ones."""
        return self.held_out - self.train


@dataclass(frozen=True)
class Evaluation(Displayed):
    """What was measured, and of what."""

    scores: tuple[Score, ...]  # floor, model, copycat, broken
    bits: Bits
    reader: str | None  # the classifier that read the labels; None: there are no labels to read
    known: Interval | None  # the share of held-out pictures that it reads as what they are
    about: dict[str, Any]  # all that two evaluations must share to be compared

    @property
    def model(self) -> Score:
        return self.scores[1]


@dataclass(frozen=True, eq=False)
class Drawn:
    """Pictures of a model, what each was asked to be, and the nearest training picture of each."""

    pixels: Bytes
    asked: Int[Tensor, "b"] | None  # label numbers; -1, or None for all: nothing
    found: Memorisation


def evaluate(
    model: PictureModel,
    data: Dataset,
    extractor: Extractor,
    *,
    n: int = 1000,
    seed: int = 0,
    batch: int = 64,
    flips: bool = False,
    shifts: int = 0,
    team: Team = ALONE,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> tuple[Evaluation, Drawn]:
    """Draw n pictures in the model's own way, and score them. `data` is what it was trained on.

    n is limited to half of the training pictures, as many as the other rows have. `progress` is told what is being
    done, and how much of how much of it is. Of many processes each draws and looks at its share, and all know the rest.
    """
    _comparable(model, data)
    extractor = Remembered(extractor, team)
    train, held_out = everything(data.train), everything(data.held_out)
    n = min(n, len(train) // 2)
    rows = torch.randperm(len(train), generator=keyed("asked", seed))[:n]
    cond = condition(model, data.train, rows)
    pixels = draw(model, cond, range(seed, seed + n), batch, lambda done: progress("drawing", done, n), team)
    asked = None if cond is None else cond.label
    progress("measuring", 0, 6)
    teller = None if asked is None else _reader(data, train, held_out, extractor)
    progress("measuring", 1, 6)
    yardstick = Yardstick(train, held_out, extractor, teller, flips, shifts)
    progress("measuring", 2, 6)
    done = iter(range(3, 7))
    scores = four(yardstick, Set("model", pixels, asked), scored=lambda _: progress("measuring", next(done), 6))
    sampling = asdict(model.config.sampling)
    evaluation = Evaluation(
        scores,
        bits(model, data, seed, batch),
        None if teller is None else teller.name,
        None if teller is None else teller.known,
        {
            "noisette": __version__, "model": model.hash, "data": data.manifest.pixels_sha256[:16], "seed": seed,
            "samples": n, "training": len(train), "held_out": len(held_out), "sampling": sampling,
            "extractor": extractor.name, "extractor_hash": extractor.hash, "flips": flips, "shifts": shifts,
        },
    )  # fmt: skip
    return evaluation, Drawn(pixels, asked, yardstick.search(pixels))


def condition(model: PictureModel, subset: Subset, rows: Int[Tensor, "b"]) -> Condition | None:
    """Ask for what those pictures are: labels, attributes and captions, as far as the model takes them, and what it has
    to be given of them."""
    net, task = model.config.net, model.config.task
    _, known = task.pose(subset.layers(rows), subset.condition(rows))
    cond = Condition(
        label=known.label if net.classes else None,
        vector=known.vector if net.vector else None,
        tokens=known.tokens if net.tokens else None,
        image=known.image,
    )
    return cond if len(cond) else None


def draw(
    model: PictureModel,
    cond: Condition | None,
    seeds: Sequence[int],
    batch: int,
    progress: Callable[[int], None],
    team: Team = ALONE,
) -> Bytes:
    """A picture for each seed, as the model draws unless it is told otherwise: (N, C, H, W)."""
    grid, sampling = model.grid(), model.config.sampling
    done = 0

    def drawn(rows: slice) -> Tensor:
        nonlocal done
        asked = None if cond is None else cond[rows]
        x = ends(generate(model, seeds[rows], asked, model.sampler(), grid, sampling.guidance, batch), grid)
        done += len(x)
        progress(min(done * team.size, len(seeds)))
        return model.pictures.finished(x)

    return shared(team, len(seeds), batch, drawn)


@torch.no_grad()
def bits(model: PictureModel, data: Dataset, seed: int = 0, batch: int = 64) -> Bits:
    """The variational bound, with CHAIN steps, on up to COUNTED pictures of each side."""
    grid = logsnr(model.schedule, CHAIN, sigma_min=FINEST)
    device = next(model.parameters()).device

    def side(subset: Subset) -> tuple[float, float]:
        rows = torch.randperm(len(subset), generator=keyed("bits", seed))[:COUNTED]
        found = []
        for some in rows.split(batch):
            cond, noise = condition(model, subset, some), Seeded(some.tolist())
            denoise = Clipped(model.given(None if cond is None else cond.to(device)))
            found.append(variational_bound(denoise, subset.x0(some).to(device), grid, noise).total.cpu())
        each = torch.cat(found).double()
        return each.mean().item(), each.std().item() / math.sqrt(len(each))

    return Bits(*side(data.train), *side(data.held_out))


def closest(drawn: Drawn, n: int = 20) -> list[tuple[int, int, float]]:
    """The n samples nearest to a training picture: (sample, training picture, distance), nearest first."""
    order = drawn.found.distance.argsort()[:n].tolist()
    return [(i, int(drawn.found.nearest[i]), float(drawn.found.distance[i])) for i in order]


def _labels(subset: Subset) -> Tensor | None:
    return subset.labels if subset.labels is not None and (subset.labels >= 0).any() else None


def _reader(data: Dataset, train: Bytes, held_out: UInt8[Tensor, "n _ _ _"], extractor: Extractor) -> Reader | None:
    """A classifier, where there is something to classify."""
    known, asked = _labels(data.train), _labels(data.held_out)
    if known is None or asked is None or len(known[known >= 0].unique()) < 2:
        return None
    return reader(train, known, held_out, asked, extractor)


def _comparable(model: PictureModel, data: Dataset) -> None:
    model.config.task.stack(None, model.pictures)  # refuses what does not draw out of noise
    for side, name in ((data.train, "training"), (data.held_out, "held-out")):
        if len(side) < LEAST:
            raise InputError(
                f"{len(side)} {name} pictures are too few to say anything: an evaluation needs at least {LEAST}"
            )
    mine, theirs = model.pictures, data.pictures
    if (mine.mode, mine.shape, mine.labels) != (theirs.mode, theirs.shape, theirs.labels):
        raise InputError(
            f"the model draws {mine.mode} {mine.width}×{mine.height} with {len(mine.labels)} labels, and these "
            f"pictures are {theirs.mode} {theirs.width}×{theirs.height} with {len(theirs.labels)}: give the run that "
            "it was trained in"
        )
