"""noisette edit walk: from noise to noise, from label to label, as a film."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import InputError
from ..sample import condition, guidance_of
from ..spread import spread
from .job import Job, Written, begin, positive, ready, report
from .options import Guided, Model, Out

if TYPE_CHECKING:
    from ...edit.walk import Place
    from ...shapes import Bytes

FILMS = ("gif", "png", "mp4", "none")


@spread
def walk(
    model: Model,
    out: Out,
    stops: Annotated[int, typer.Option(help="Noises to pass through, of the seeds from --seed on.")] = 4,
    frames: Annotated[int, typer.Option(help="Pictures in all.")] = 48,
    one_way: Annotated[bool, typer.Option("--one-way", help="End at the last stop; a loop unless said.")] = False,
    film: Annotated[str, typer.Option(help="gif, png (animated), mp4 (needs noisette\\[mp4]), or none.")] = "gif",
    each: Annotated[int, typer.Option("--ms", help="How long a frame is shown, in milliseconds.")] = 80,
    *,
    asked: Guided,
) -> None:
    """Walk through what the model can draw, frame by frame; through labels or texts, if several are given.

    frame-00.png, …, and walk.gif. The frame after the last one of a loop would be its first, exactly.
    """
    if film not in FILMS:
        raise InputError(f"--film is {film!r}: give {', '.join(FILMS[:-1])} or {FILMS[-1]}")
    positive("--ms", each)
    from ...edit.walk import places
    from ...viz.film import framed, kind_of, write_film

    path = out / f"walk.{film}"
    if film != "none":
        kind_of(path)
    found = places(stops, frames, closed=not one_way)
    told = {"stops": stops, "frames": frames, "loop": not one_way}
    job = begin(model, out, "walk", told, stops, asked)
    ready(job)
    made = [_write(job, i, found, pixels) for i, pixels in enumerate(_frames(job, found))]
    if film != "none":
        write_film(path, framed([m.pixels for m in made], even=film == "mp4"), each, each)
    report(made, [] if film == "none" else [path], asked.as_json)


def _frames(job: Job, found: "Sequence[Place]") -> "Iterator[Bytes]":
    """(1, C, H, W) each."""
    from rich.progress import track

    from ...edit.walk import walked
    from ..terminal import console

    wish, model, screen = job.wish, job.model, console(to_stderr=True)
    grid, sampler = model.grid(wish.steps, wish.grid), model.sampler(wish.sampler)
    parts = walked(
        model, wish.seeds, condition(model, wish), found, sampler, grid, guidance_of(model, wish), wish.batch
    )
    number = -(-len(found) // wish.batch)
    for part in track(parts, "walk", number, console=screen, transient=True, disable=not screen.is_terminal):
        yield from part.split(1)


def _write(job: Job, number: int, found: "Sequence[Place]", pixels: "Bytes") -> Written:
    """One frame, with where it lies."""
    from ... import __version__
    from ...edit.origin import Origin
    from ...edit.steering import Steering
    from ...viz.png import write_png

    wish, place = job.wish, found[number]
    ends = {"from": place.start, "to": place.end}
    told = {"edit": "walk", "model": job.model.hash, "frame": number, "weight": round(place.weight, 6)}
    told |= {f"{end}_seed": wish.seeds[i] for end, i in ends.items()}
    told |= {f"{end}_label": wish.labels[i] for end, i in ends.items()}
    told |= {f"{end}_text": wish.texts[i] for end, i in ends.items()} if wish.texts else {}
    told |= {"attributes": wish.attributes, "sampler": wish.sampler, "grid": wish.grid, "steps": wish.steps}
    told |= {"temperature": job.temperature, "times": Origin.own(job.model, wish.grid, wish.steps)}
    told |= {"interval": wish.interval, "steering": asdict(wish.steering or Steering())}
    told |= {"guidance": wish.guidance, "batch": wish.batch, "noisette": __version__} | dict(job.told)
    path = job.out / f"frame-{number:0{len(str(len(found) - 1))}d}.png"
    write_png(path, pixels, told)
    return Written(path, pixels, told)
