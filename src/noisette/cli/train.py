"""noisette train: from pictures to a model."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from ..errors import InputError
from .terminal import is_first, machine, wrote
from .units import count, duration, size

if TYPE_CHECKING:
    from ..task import Task
    from ..train import TrainOptions

PRECISIONS = {"no": "fp32", "float32": "fp32", "bfloat16": "bf16"}  # what others call them


def train(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder, zip, array or sprite sheet, or a built-in set: emoji, digits.", show_default=False
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="The run folder. The same command again goes on with it.", show_default=False)
    ],
    preset: Annotated[
        str,
        typer.Option(help="tiny, small, base, or a paper's (docs/networks.md); auto: the largest that fits the time."),
    ] = "auto",
    picture: Annotated[
        str | None, typer.Option("--size", help="16, or 32x24 (wide x high). What the pictures suggest unless said.")
    ] = None,
    pixel_art: Annotated[bool, typer.Option("--pixel-art", help="Resize by whole numbers; invent no colour.")] = False,
    time_box: Annotated[str | None, typer.Option("--for", help="How long: 90s, 10m, 1.5h. 10m unless said.")] = None,
    images: Annotated[str | None, typer.Option(help="How many images instead of how long: 200k, 1.5M.")] = None,
    batch: Annotated[
        int | None, typer.Option(help="Images a step, over all processes. The preset's unless said.")
    ] = None,
    accumulate: Annotated[int, typer.Option(help="Parts that a step is computed in, to save memory.")] = 1,
    lr: Annotated[float | None, typer.Option(help="The highest learning rate. The preset's unless said.")] = None,
    task: Annotated[
        str, typer.Option(help="draw; upscale: small pictures made --factor times as large; segment: masks.")
    ] = "draw",
    factor: Annotated[int | None, typer.Option(help="Of --task upscale: 2 unless said.")] = None,
    dropout: Annotated[
        float | None, typer.Option(help="For few pictures: 0.1 to 0.3. The preset's unless said.")
    ] = None,
    flip: Annotated[bool, typer.Option("--flip", help="Mirror half of the pictures.")] = False,
    recipe: Annotated[
        str | None,
        typer.Option(help="A JSON file: schedule, parametrization, loss, times or network, if not the preset's."),
    ] = None,
    precision: Annotated[str, typer.Option(help="fp32, bf16; auto: the faster one here.")] = "auto",
    seed: Annotated[int, typer.Option(help="Of all that is random.")] = 0,
    cell: Annotated[str | None, typer.Option(help="The size of a sprite sheet's cells: 16, or 32x24.")] = None,
    labels: Annotated[str | None, typer.Option(help="The array of labels that belongs to an .npy array.")] = None,
    text: Annotated[
        bool, typer.Option("--text", help="Read the captions: metadata's texts, or the files' names.")
    ] = False,
    encoder: Annotated[
        str | None,
        typer.Option(
            help="Another sentence encoder to read them by: a folder, or hf://OWNER/NAME.", show_default=False
        ),
    ] = None,
    save_every: Annotated[str, typer.Option(help="Time between checkpoints.")] = "60s",
    log: Annotated[
        str,
        typer.Option(
            "--log", "--track", help="jsonl alone; or tensorboard, trackio as well. Torchrun takes --log for its own."
        ),
    ] = "jsonl",
    checkups: Annotated[
        int | None, typer.Option(help="Small evaluations along the way. What 4 % of the time allow, unless said.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Report in lines of JSON.")] = False,
) -> None:
    """Train a model on your pictures, in the time that you have.

    Ctrl-C saves; the same command goes on. Runs alike under accelerate launch and torchrun.
    """
    began = time.monotonic()  # a time box is for the whole command, and importing torch is a part of it
    precision = PRECISIONS.get(precision, precision)
    if time_box is not None and images is not None:
        raise InputError("--for and --images both say how long the run is: give one of them")
    if time_box is None and images is None:
        time_box = "10m"
    seconds = None if time_box is None else duration(time_box)
    number = None if images is None else count(images)
    every = duration(save_every)
    side, cells = None if picture is None else size(picture), None if cell is None else size(cell)
    from ..text import DEFAULT
    from ..train import TrainOptions

    posed = task_of(task, factor)
    one_of("--precision", precision, TrainOptions, "precision")
    one_of("--log", log, TrainOptions, "log")
    options = TrainOptions(
        preset=preset, seconds=seconds, images=number, size=side, pixel_art=pixel_art, cell=cells, labels=labels,
        batch=batch, accumulate=accumulate, lr=lr, dropout=dropout, flip=flip, recipe=recipe,
        task=posed, text=encoder or (DEFAULT if text else None), seed=seed, save_every=every, checkups=checkups,
        precision=precision, log=log,  # type: ignore[arg-type]
    )  # fmt: skip
    report(run(source, out, options, began, as_json), out, posed.use, as_json)


def task_of(name: str, factor: int | None) -> "Task":
    """What is to be learned, by name."""
    from ..config import TASKS
    from ..errors import known
    from ..task import Upscale

    kind = known(name, TASKS, "task")
    if factor is None:
        return kind()
    if kind is not Upscale:
        raise InputError(f"--factor is how many times as large --task upscale makes a picture: {name} has none")
    return Upscale(factor)


def one_of(flag: str, value: str, cls: type, field: str) -> None:
    """Refuse what a field's Literal does not list."""
    choices = get_args(cls.__annotations__[field])
    if value not in choices:
        raise InputError(f"{flag} is {value!r}: it should be {', '.join(choices[:-1])} or {choices[-1]}")


def run(source: str, out: Path, options: "TrainOptions", began: float, as_json: bool = False) -> Path:
    """Train with a bar, or with lines where nobody looks at a terminal. Returns the model's folder."""
    from ..train import train as train_
    from .watch import watch

    with watch(out, as_json) as watcher:
        return train_(source, out, options, watcher, began)


def report(model: Path, out: Path, use: str, as_json: bool) -> None:
    """What was made, and what to do with it: the command `use`."""
    made = {"model": model, "samples": out / "samples", "metrics": out / "metrics.jsonl"}
    if as_json:
        machine({"event": "done"} | {name: str(path.resolve()) for name, path in made.items()})
        return
    wrote(made.values())
    if is_first():
        from ..snapshots import told

        if said := told(out):
            typer.echo(said)
        typer.echo(f"draw with it: {use.replace('MODEL', str(out))}")
