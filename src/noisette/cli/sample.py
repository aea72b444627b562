"""noisette sample: new pictures from a trained model."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError
from .drawn import Drawn, grid_of
from .opening import opened
from .spread import spread
from .steering import Judged, guides
from .terminal import console, machine, wrote
from .then import Level, Then, cascade

if TYPE_CHECKING:
    from ..condition import Condition
    from ..edit.cascade import Cascade
    from ..edit.generate import Guidance
    from ..edit.origin import Origin
    from ..edit.steering import Aides, Steering
    from ..model import PictureModel
    from ..shapes import Bytes, Images

LONGEST = 60  # characters of a file's name that say what was asked for


@spread
def sample(
    model: Annotated[Path, typer.Argument(help="A run folder, or a model folder.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The folder to write into.", show_default=False)],
    n: Annotated[int | None, typer.Option("-n", "--number", help="How many pictures: 64 unless said.")] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            help="What to draw, by name, or a mixture: potion:0.5,weapon:0.5. May be given several times. "
            "All labels in turn unless said."
        ),
    ] = None,
    attribute: Annotated[
        list[str] | None, typer.Option(help="hue=0.3 or shape=round, as in your metadata; may be given several times.")
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(help='What to draw, in words: "a red fish". Several: a row of grid.png for each.'),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of the first picture; the next has the next. 0 unless said.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="More are slower and finer. The model's own unless said.")] = None,
    sampler: Annotated[
        str | None, typer.Option(help="ddpm, ddim, heun, dpm++2m, unipc, ipndm, … The model's own unless said.")
    ] = None,
    grid: Annotated[
        str | None, typer.Option(help="Which times the steps visit: karras, logsnr, trailing, … The model's own.")
    ] = None,
    guidance: Annotated[
        float | None,
        typer.Option(help="How much further to go towards the label: 1 to 4. The model's own unless said."),
    ] = None,
    *,
    leads: Judged,
    then: Then = None,
    level: Level = None,
    like: Annotated[Path | None, typer.Option(help="Draw this picture again: a PNG that this command wrote.")] = None,
    batch: Annotated[int | None, typer.Option(help="How many to draw at once: 16 on a CPU, else 256.")] = None,
    snapshot: Annotated[
        str | None, typer.Option(help="last, best, or the images that one of the run's snapshots had seen.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each picture.")] = False,
) -> None:
    """Draw new pictures: PNGs at native size, and grid.png with all of them enlarged.

    Each PNG says how it was drawn, so that `--like PICTURE` can draw it again. Picture i depends on its seed alone.
    """
    loaded, led = opened(model, snapshot), leads.led()
    after = cascade(loaded, [opened(one) for one in then or ()], level)
    if like is not None:
        told: dict[str, object] = {
            "-n": n, "--label": label, "--attribute": attribute, "--text": text, "--seed": seed, "--steps": steps,
            "--sampler": sampler, "--grid": grid, "--guidance": guidance, **leads.said(), "--batch": batch,
            "--level": level,
        }  # fmt: skip
        _alone(told)
        drawn = [_again(loaded, like, out, led.aides, after)]
    else:
        wish = wished(
            loaded, n, label, seed, steps, sampler, grid, guidance, batch, attribute, led.interval, led.steering,
            led.aides, text,
        )  # fmt: skip
        writable(out)
        drawn = list(_with_bar(loaded, wish, out, after))
    paths = [d.path for d in drawn]
    if like is None:
        paths.append(grid_of(drawn, out / "grid.png"))
    if as_json:
        for d in drawn:
            machine({"path": str(d.path.resolve())} | asdict(d.origin))
    else:
        wrote([out / "grid.png", out] if like is None else paths)


@dataclass(frozen=True)
class Wish:
    """What is to be drawn, checked."""

    seeds: range
    labels: tuple[str | None, ...]  # one for each picture
    sampler: str
    grid: str
    steps: int
    guidance: float
    batch: int
    attributes: tuple[str, ...] = ()  # of all pictures, as they were asked for
    interval: tuple[float, float] = (0.0, 1.0)  # the times at which guidance guides
    steering: "Steering | None" = None  # how the walk is led beside
    aides: "Aides | None" = None  # the models that help
    texts: tuple[str | None, ...] = ()  # one for each picture; none: nobody said any
    image: "Images | None" = None  # that all pictures are made of, in model space


def wished(
    model: "PictureModel",
    n: int | None = None,
    labels: Sequence[str | None] | None = None,
    seed: int | None = None,
    steps: int | None = None,
    sampler: str | None = None,
    grid: str | None = None,
    guidance: float | None = None,
    batch: int | None = None,
    attributes: Sequence[str] | None = None,
    interval: tuple[float, float] = (0.0, 1.0),
    steering: "Steering | None" = None,
    aides: "Aides | None" = None,
    texts: Sequence[str] | None = None,
    image: "Images | None" = None,
) -> Wish:
    """What was said, and the model's own ways for what was not. Names that it does not know are refused."""
    from ..edit.generate import steered
    from ..edit.origin import LARGEST

    own = model.config.sampling
    for name, value, least in (("-n", n, 1), ("--batch", batch, 1), ("--steps", steps, 1), ("--seed", seed, 0)):
        if value is not None and value < least:
            raise InputError(f"{name} is {value}: give {least} or more")
    if batch is not None and batch > LARGEST:
        raise InputError(f"--batch is {batch}: give {LARGEST} or less")
    number = 64 if n is None else n
    judge = None if aides is None else aides.classifier
    names = model.pictures.labels if judge is None else judge.config.pictures.labels
    asked: Sequence[str | None] = labels or (() if texts else names) or [None]  # a text says enough
    wish = Wish(
        seeds=range(seed or 0, (seed or 0) + number),
        labels=tuple(asked[i % len(asked)] for i in range(number)),
        sampler=sampler or own.sampler,
        grid=grid or own.grid,
        steps=steps or own.steps,
        guidance=own.guidance if guidance is None else guidance,
        batch=batch or (16 if next(model.parameters()).device.type == "cpu" else 256),
        attributes=tuple(attributes or ()),
        interval=interval,
        steering=steering,
        aides=aides,
        texts=tuple(texts[i % len(texts)] for i in range(number)) if texts else (),
        image=image,
    )
    model.sampler(wish.sampler)
    model.grid(wish.steps, wish.grid)
    if steering is not None:
        guides(wish.guidance, steering, interval)
    steered(model, condition(model, wish), guidance_of(model, wish))
    return wish


def condition(model: "PictureModel", wish: Wish) -> "Condition | None":
    """What all the pictures are asked to be."""
    from ..context import parsed
    from ..edit.steering import asked

    labels = asked(model, wish.labels, None if wish.aides is None else wish.aides.classifier)
    return model.condition(
        labels, len(wish.seeds), attributes=parsed(wish.attributes), text=wish.texts or None, image=wish.image
    )


def guidance_of(model: "PictureModel", wish: Wish) -> "Guidance":
    """Where all the walks are led."""
    from ..edit import steering

    how = (wish.interval, wish.steering, wish.aides, wish.image)
    return steering.guidance_of(model, wish.labels, wish.guidance, *how)


def on_device(model: "PictureModel") -> "PictureModel":
    """On the accelerator, where there is one."""
    import torch

    return model.to(torch.accelerator.current_accelerator(check_available=True) or "cpu")


def writable(out: Path) -> None:
    """Make the folder, and see that it can be written to before an hour is spent on what goes into it."""
    import tempfile

    from ..files import explained

    with explained(out):
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass


def draw(model: "PictureModel", wish: Wish, out: Path, after: "Cascade | None" = None) -> Iterator[Drawn | None]:
    """Draw and write; None after every step that finished nothing. `after` enlarges what was drawn."""
    from ..edit.cascade import Cascade
    from ..edit.generate import generate
    from ..edit.origin import Origin, way_of
    from ..edit.steering import Steering

    after = after or Cascade(())
    then, level = tuple(m.hash for m in after.models), after.level if after.models else 0.0
    ways = tuple(map(way_of, after.models))
    grid, cond, guidance = model.grid(wish.steps, wish.grid), condition(model, wish), guidance_of(model, wish)
    walk = generate(model, wish.seeds, cond, model.sampler(wish.sampler), grid, guidance, wish.batch)
    times, done = Origin.own(model, wish.grid, wish.steps), 0
    for state in walk:
        if state.t != grid[-1]:
            yield None
            continue
        rows = slice(done, done + len(state.x))
        large = after.enlarged(model, state.x, wish.seeds[rows], wish.labels[rows], wish.batch)
        for row in after.last(model).pictures.finished(large).cpu().split(1):
            origin = Origin(
                model.hash, wish.seeds[done], wish.labels[done], wish.sampler, wish.grid, wish.steps, wish.guidance,
                len(state.x), times, wish.attributes, interval=wish.interval, steering=wish.steering or Steering(),
                text=wish.texts[done] if wish.texts else None,
                temperature=model.config.sampling.temperature,
                then=then, level=level, ways=ways,
            )  # fmt: skip
            yield write(out, origin, row)
            done += 1


def write(out: Path, origin: "Origin", pixels: "Bytes") -> Drawn:
    """LABEL-TEXT-SEED.png, with its origin inside."""
    from ..viz.png import write_png

    name = words(f"{origin.label or ''} {origin.text or ''}")[:LONGEST]
    path = out / f"{name}{'-' if name else ''}{origin.seed:06d}.png"
    write_png(path, pixels, asdict(origin))
    return Drawn(path, origin, pixels)


def words(label: str) -> str:
    """A label or a text as a part of a file's name."""
    import re

    return re.sub(r"\W+", "-", label).strip("-").lower()


def _with_bar(model: "PictureModel", wish: Wish, out: Path, after: "Cascade") -> Iterator[Drawn]:
    from rich.progress import track

    chunks = -(-len(wish.seeds) // wish.batch)
    total = chunks * (wish.steps - 1) + len(wish.seeds)
    screen = console(to_stderr=True)
    steps = draw(model, wish, out, after)
    for drawn in track(steps, "drawing", total, console=screen, transient=True, disable=not screen.is_terminal):
        if drawn is not None:
            yield drawn


def _again(model: "PictureModel", like: Path, out: Path, aides: "Aides | None", after: "Cascade") -> Drawn:
    from ..config import from_json
    from ..edit.origin import Origin, again
    from ..viz.png import read_text

    told = read_text(like)
    if "edit" in told:
        raise InputError(
            f"{like} is an edit, by noisette edit {told['edit']}: only what noisette sample drew is drawn again"
        )
    origin = from_json(Origin, told, f"the metadata of {like}")
    drawn = again(model, origin, aides, after.models)
    writable(out)
    return write(out, origin, after.last(model).pictures.finished(drawn).cpu())


def _alone(others: dict[str, object]) -> None:
    """--like says everything; what else was said would contradict it."""
    if also := [name for name, value in others.items() if value is not None and value != []]:
        raise InputError(f"--like draws the same picture again: leave {' and '.join(also)} out")
