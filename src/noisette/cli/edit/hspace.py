"""noisette edit hspace: directions inside one's own model, and pictures moved along them."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import InputError, known
from ..spread import spread
from ..terminal import console, machine, wrote
from .job import Job, begin, positive, ready, report, sheet_of
from .options import Asked, Model, Number, Out

if TYPE_CHECKING:
    from ...denoiser import Denoiser
    from ...edit.hspace import Direction, Place
    from ...edit.measured import Bench, Effect
    from ...edit.retouch import Turn
    from ...shapes import Images

TESTED = 8  # pictures on which a direction is measured


@spread
def hspace(
    model: Model,
    out: Out,
    directions: Annotated[
        Path | None, typer.Option(help="A file that this command wrote; found anew unless said.", show_default=False)
    ] = None,
    along: Annotated[
        list[str] | None,
        typer.Option(help="NAME=STRENGTH, of --directions: -2 to 2 is much. May be given several times."),
    ] = None,
    components: Annotated[int, typer.Option(help="Principal directions to find.")] = 4,
    origin: Annotated[Path | None, typer.Option("--from", help="A folder of pictures without something.")] = None,
    towards: Annotated[Path | None, typer.Option("--to", help="A folder of the same pictures with it.")] = None,
    place: Annotated[
        str | None,
        typer.Option(
            "--at",
            help="Where in the network to look for them: mid, the bottleneck; or decoder, at half of the picture's "
            "size, unless said.",
            show_default=False,
        ),
    ] = None,
    n: Number = 32,
    *,
    asked: Asked,
) -> None:
    """Find directions inside the model, in its h-space, or draw pictures moved along them. No other network is asked.

    Finding: principal components of -n new pictures, what sets each label apart, and what --to has and --from has
    not. directions.safetensors belongs to this model alone; grid.png shows each direction, a row, from -2 to 2.
    Drawing, with --directions and --along: hspace-SEED.png, and grid.png.
    """
    if (directions is None) != (not along):
        raise InputError("--directions and --along go together: a file, and which of its directions to go along")
    if (origin is None) != (towards is None):
        raise InputError("--from and --to go together: two folders of pictures, without something and with it")
    if directions is not None and place is not None:
        raise InputError("--at is for finding directions: those of a file know where they were found")
    positive("--components", components)
    job = begin(model, out, "hspace", {}, n, asked)
    from ...edit.hspace import PLACES, semantic

    at = known(place or "decoder", PLACES, "place in a network")
    semantic(job.model.net, at)
    if directions is not None:
        _draw(job, directions, along or [], asked.as_json)
        return
    if n <= components:
        raise InputError(f"-n is {n}: {components} components need more pictures than that")
    pairs = None if origin is None or towards is None else (_pictures(job, origin), _pictures(job, towards))
    ready(job)
    name = "" if origin is None or towards is None else f"{towards.name} - {origin.name}"
    _find(job, components, pairs, name, at, asked.as_json)


# ── drawing ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _draw(job: Job, path: Path, along: Sequence[str], as_json: bool) -> None:
    from ...edit.directions import chosen, load
    from ...edit.hspace import semantic
    from ...edit.retouch import moved

    there, moves = load(path, job.model.hash), []
    for text in along:
        name, equals, strength = text.rpartition("=")
        try:
            moves.append((chosen(there, name if equals else text), float(strength) if equals else 1.0))
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{text!r} is no way to go: write NAME=STRENGTH, like 1=1.5") from error
    job = job.telling({"along": {d.name: s for d, s in moves}})
    ready(job)
    part = semantic(job.model.net, there[0].place)
    made = job.draw(lambda turn: moved(job.model.pictures, turn, part, moves), "hspace", temperature=job.temperature)
    report(made, [sheet_of(job.out / "grid.png", [m.pixels for m in made])], as_json)


# ── finding ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _find(
    job: Job, components: int, pairs: "tuple[Images, Images] | None", name: str, place: "Place", as_json: bool
) -> None:
    from ...edit.directions import save
    from ...edit.finding import components as common
    from ...edit.finding import of_labels
    from ...edit.measured import STRENGTHS, measured

    model, wish = job.model, job.wish
    found = common(model, (replace(turn, denoise=_plain(job, turn)) for turn in job.turns()), components, place)
    grid = model.grid(wish.steps, wish.grid)
    found += of_labels(model, model.pictures.labels, wish.seeds[: wish.batch], grid, place)
    found += [] if pairs is None else [_pair(job, pairs, name, place)]
    effects, sliders = measured(_bench(job, place), found)
    path = job.out / "directions.safetensors"
    save(path, found, job.model.hash, f"{len(job.wish.seeds)} pictures from seed {job.wish.seeds[0]}")
    rows = [s[:: s.shape[0] // len(STRENGTHS)] for s in sliders]  # of the first picture
    sheet = sheet_of(job.out / "grid.png", [job.model.pictures.finished(r).cpu() for r in rows], len(STRENGTHS))
    if as_json:
        for effect in effects:
            machine(asdict(effect))
    else:
        _table(effects)
        wrote([path, sheet])


def _pair(job: Job, pairs: "tuple[Images, Images]", name: str, place: "Place") -> "Direction":
    """What one kind of pictures has and the other has not, under the same noises."""
    from ...edit.hspace import difference, looked_at, semantic
    from ...noise import Seeded

    without, with_it = pairs
    grid, part = job.model.grid(job.wish.steps, job.wish.grid), semantic(job.model.net, place)
    d = job.model.given(None)
    times, against = looked_at(d, part, grid, without, Seeded(range(len(without))))
    _, of = looked_at(d, part, grid, with_it, Seeded(range(len(with_it))))
    return difference(name, times, of, against, place)


def _plain(job: Job, turn: "Turn") -> "Denoiser":
    """The model without guidance: its network sees each picture once."""
    from ..sample import condition

    cond = condition(job.model, job.wish)
    rows = slice(turn.first, turn.first + turn.size)
    return job.model.given(None if cond is None else cond[rows].to(next(job.model.parameters()).device))


def _bench(job: Job, place: "Place") -> "Bench":
    """A few new pictures, of seeds that nothing was found with, by a sampler that draws no noise."""
    from ...edit.generate import start, steered
    from ...edit.hspace import semantic
    from ...edit.measured import Bench
    from ...sampler import DDIM

    model, wish = job.model, job.wish
    grid = model.grid(wish.steps, wish.grid)
    first = wish.seeds[-1] + 1
    state, noise = start(model, range(first, first + TESTED), grid)
    cond = model.condition(None, TESTED)
    d = steered(model, None if cond is None else cond.to(state.x.device))
    return Bench(d, semantic(model.net, place), DDIM(), grid, state.x, noise)


def _pictures(job: Job, folder: Path) -> "Images":
    """All pictures of a folder, by name."""
    import torch

    from ...edit.picture import read_picture
    from .job import in_model_space

    files = sorted(p for p in folder.iterdir() if p.is_file()) if folder.is_dir() else []
    if not files:
        raise InputError(f"{folder} is no folder of pictures: give one for --from and one for --to")
    return in_model_space(job, torch.cat([read_picture(p, job.model.pictures).pixels for p in files]))


def _table(effects: "Sequence[Effect]") -> None:
    from rich.table import Table

    table = Table("", "direction", "change", "R² of a line", "alike", "adds up with the next")
    for i, e in enumerate(effects, 1):
        both = "" if e.composition is None else f"{e.composition:.2f}"
        table.add_row(str(i), e.name, f"{e.size:.3f}", f"{e.r2:.3f}", f"{e.homogeneity:.2f}", both)
    console().print(table)
