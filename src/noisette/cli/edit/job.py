"""What the edits share: a model that is asked for something, progress while it draws, files that say what they are."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ..sample import Wish, condition, guidance_of, on_device, wished, writable
from ..terminal import complain, console, machine, wrote
from .options import Asked

if TYPE_CHECKING:
    from torch import Tensor

    from ...denoiser import Denoiser
    from ...edit.picture import Given
    from ...edit.retouch import Turn
    from ...model import PictureModel
    from ...sampler import Sampler
    from ...shapes import Bytes, Images


@dataclass(frozen=True)
class Job:
    """A model, and what is wanted of it."""

    model: "PictureModel"
    wish: Wish
    edit: str
    out: Path
    told: Mapping[str, Any]  # of the edit itself, for the files: strength, mask, …

    @property
    def temperature(self) -> float:
        """Of the noise that the model's own pictures begin with."""
        return self.model.config.sampling.temperature

    def telling(self, more: Mapping[str, Any]) -> "Job":
        """The same, with more to say in the files."""
        return replace(self, told=dict(self.told) | dict(more))

    def turns(self, passes: int = 1) -> "Iterator[Turn]":
        """The batches, with a bar over all their steps; `passes` is how often each step is taken."""
        from rich.progress import Progress

        from ...edit.generate import steered
        from ...edit.retouch import Turn
        from ...noise import Seeded

        wish, model = self.wish, self.model
        grid, cond, guidance = model.grid(wish.steps, wish.grid), condition(model, wish), guidance_of(model, wish)
        device, screen = next(model.parameters()).device, console(to_stderr=True)
        batches = range(0, len(wish.seeds), wish.batch)
        with Progress(console=screen, transient=True, disable=not screen.is_terminal) as bar:
            task = bar.add_task(self.edit, total=len(batches) * (passes * (wish.steps - 1) + 1))
            sampler = Ticking(model.sampler(wish.sampler), lambda: bar.advance(task))
            for first in batches:
                rows = slice(first, first + wish.batch)
                asked = None if cond is None else cond[rows].to(device)
                seeds = wish.seeds[rows]
                denoise = steered(model, asked, guidance.of(rows, device))
                temperature = model.config.sampling.temperature
                yield Turn(denoise, sampler, grid, Seeded(seeds), len(seeds), device, first, temperature)

    def draw(
        self,
        one: "Callable[[Turn], Bytes]",
        name: str,
        passes: int = 1,
        about: "Callable[[Bytes], Mapping[str, Any]]" = lambda pixels: {},
        temperature: float = 1.0,
    ) -> "list[Written]":
        """Draw every batch by `one`, and write NAME-SEED.png; `about` is what there is to say of each, `temperature`
        that of the noise which `one` begins with."""
        made = []
        for turn in self.turns(passes):
            for i, row in enumerate(one(turn).cpu().split(1)):
                made.append(self.write(name, turn.first + i, row, turn.size, about(row), temperature))
        return made

    def write(
        self, name: str, number: int, pixels: "Bytes", size: int, more: Mapping[str, Any], temperature: float
    ) -> "Written":
        """One picture, with what it is inside."""
        from ...edit.origin import Origin
        from ...edit.steering import Steering
        from ...viz.png import write_png

        wish = self.wish
        origin = Origin(
            self.model.hash, wish.seeds[number], wish.labels[number], wish.sampler, wish.grid, wish.steps,
            wish.guidance, size, Origin.own(self.model, wish.grid, wish.steps), wish.attributes,
            interval=wish.interval, steering=wish.steering or Steering(),
            text=wish.texts[number] if wish.texts else None, temperature=temperature,
        )  # fmt: skip
        path = self.out / f"{name}-{wish.seeds[number]:06d}.png"
        told = {"edit": self.edit} | dict(self.told) | dict(more) | asdict(origin)
        write_png(path, pixels, told)
        return Written(path, pixels, told)


@dataclass(frozen=True)
class Written:
    """A picture that was written."""

    path: Path
    pixels: "Bytes"  # (1, C, H, W)
    told: Mapping[str, Any]


@dataclass(frozen=True)
class Ticking:
    """A sampler that tells of each step."""

    sampler: "Sampler"
    tick: Callable[[], None]

    def step(self, denoise: "Denoiser", state: Any, s: "Tensor", noise: Any) -> Any:
        new = self.sampler.step(denoise, state, s, noise)
        self.tick()
        return new


def begin(model: Path, out: Path, edit: str, told: Mapping[str, Any], n: int, asked: Asked) -> Job:
    """Open the model and check what is wanted; nothing is written yet. Without a label, any."""
    return begun(opened(model), out, edit, told, n, asked)


def opened(model: Path) -> "PictureModel":
    from ...model import load

    return on_device(load(model))


def begun(
    model: "PictureModel",
    out: Path,
    edit: str,
    told: Mapping[str, Any],
    n: int,
    asked: Asked,
    image: "Images | None" = None,
) -> Job:
    """`begin`, of a model that is open, with the picture that its task needs."""
    led = asked.led()
    wish = wished(
        model, n, asked.label or [None], asked.seed, asked.steps, asked.sampler,
        guidance=asked.guidance, batch=asked.batch, attributes=asked.attribute, texts=asked.text,
        interval=led.interval, steering=led.steering, aides=led.aides, image=image,
    )  # fmt: skip
    return Job(model, wish, edit, out, told)


def told_of(given: "Given") -> dict[str, Any]:
    """What a file says of the picture that it was made of."""
    return {"picture": given.path.name, "picture_sha256": given.sha256}


def note(given: "Given") -> None:
    """Say what was changed of a picture before anything was drawn."""
    for sentence in given.notes:
        complain(sentence)


def ready(job: Job) -> None:
    """See that the folder can be written to."""
    writable(job.out)


def report(made: Sequence[Written], others: Sequence[Path], as_json: bool) -> None:
    """Lines of JSON, or the paths."""
    if as_json:
        for one in made:
            machine({"path": str(one.path.resolve())} | dict(one.told))
    else:
        wrote([*(one.path for one in made), *others])


def sheet_of(path: Path, pictures: "Sequence[Bytes]", columns: int | None = None) -> Path:
    """All of them, enlarged."""
    import torch

    from ...viz.grid import sheet
    from ...viz.png import write_png

    write_png(path, sheet(torch.cat(list(pictures)), columns))
    return path


def in_model_space(job: Job, pixels: "Bytes") -> "Images":
    return encoded(job.model, pixels)


def encoded(model: "PictureModel", pixels: "Bytes") -> "Images":
    return model.pictures.encode(pixels).to(next(model.parameters()).device)


def positive(name: str, value: int) -> None:
    if value < 1:
        raise InputError(f"{name} is {value}: give 1 or more")
