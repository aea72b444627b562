"""noisette train-classifier: what a model is steered by that was trained without labels, or beyond its own."""

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError
from .terminal import console, machine, wrote
from .units import count, duration, size

if TYPE_CHECKING:
    from ..data import Dataset
    from ..schedule import Schedule
    from ..train.classify import ClassifyOptions, Learning, Reading


def train_classifier(
    source: Annotated[
        str,
        typer.Argument(
            help="A run folder: its pictures, its labels, its noise. Or a folder of pictures.", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Option(help="The folder to write the classifier into.", show_default=False)],
    time_box: Annotated[str | None, typer.Option("--for", help="How long: 90s, 2m. 2m unless said.")] = None,
    images: Annotated[str | None, typer.Option(help="How many images instead of how long: 50k.")] = None,
    picture: Annotated[
        str | None, typer.Option("--size", help="Of a folder's pictures; a run has its own.", show_default=False)
    ] = None,
    batch: Annotated[int, typer.Option(help="Images a step.")] = 64,
    lr: Annotated[float, typer.Option(help="The highest learning rate.")] = 1e-3,
    seed: Annotated[int, typer.Option(help="Of all that is random.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Report in lines of JSON.")] = False,
) -> None:
    """Train a noisy classifier, which steers a model: noisette sample RUN --classifier DIR --label NAME.

    It reads the labels of pictures under noise. Says how well it reads held-out ones, by noise. Ctrl-C ends early.
    """
    if time_box is not None and images is not None:
        raise InputError("--for and --images both say how long it is: give one of them")
    number = None if images is None else count(images)
    seconds = None if number is not None else duration(time_box or "2m")
    side = None if picture is None else size(picture)
    if batch < 1 or not lr > 0:
        raise InputError("--batch and --lr are above 0")
    from ..train.classify import ClassifyOptions

    options = ClassifyOptions(seconds, number, batch, lr, seed=seed)
    _free(out)
    if (Path(source) / "data.json").is_file():
        if side is not None:
            raise InputError(f"{source} is a run, whose pictures have their size: leave --size out")
        _learn(*_of_run(Path(source)), options, out, as_json)
        return
    from ..data import prepare
    from ..schedule import VarianceExploding

    with tempfile.TemporaryDirectory() as folder:  # as the presets noise pictures
        _learn(prepare(source, folder, size=side, seed=seed), VarianceExploding(), options, out, as_json)


def _free(out: Path) -> None:
    """Refuse a folder of something else before an hour is spent."""
    from ..files import read_json

    there = [p.name for p in out.iterdir()] if out.is_dir() else []
    if there and not ("model.safetensors" in there and "classifier" in read_json(out / "config.json")):
        raise InputError(f"{out} holds other things, such as {there[0]}: give a new folder for the classifier")


def _of_run(run: Path) -> "tuple[Dataset, Schedule]":
    """The pictures of a run, and the noise of its model."""
    from ..config import from_json
    from ..data import Dataset
    from ..files import read_json
    from ..schedule import Schedule

    path = run / "config.json"
    try:
        told = read_json(path)["plan"]["recipe"]["model"]["schedule"]
    except (KeyError, TypeError) as error:
        raise InputError(f"{path} is not the config of a run") from error
    return Dataset.open(run), from_json(Schedule, told, f"{path}: schedule")  # type: ignore[type-abstract]


def _learn(data: "Dataset", schedule: "Schedule", options: "ClassifyOptions", out: Path, as_json: bool) -> None:
    from rich.progress import Progress

    from ..files import write_json
    from ..train.classify import by_noise, classify

    screen = console(to_stderr=True)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("reading", total=1.0)

        def show(now: "Learning") -> None:
            bar.update(task, completed=now.progress, description=f"{now.images} images, loss {now.loss:.3f}")

        made = classify(data, schedule, options, show)
    readings = by_noise(made, data.held_out)
    made.save_pretrained(out)
    write_json(out / "accuracy.json", [asdict(r) for r in readings])
    if as_json:
        for reading in readings:
            machine(asdict(reading))
    else:
        _table(readings, len(data.held_out), len(data.pictures.labels))
        wrote([out])


def _table(readings: "list[Reading]", pictures: int, labels: int) -> None:
    from rich.table import Table

    table = Table("noise σ/α", "read rightly", title=f"{pictures} held-out pictures, {labels} labels", min_width=44)
    for one in readings:
        table.add_row(f"{one.noise:g}", f"{one.right.scaled(100.0):.1f} %")
    console().print(table)
