"""noisette train-classifier: a classifier of noisy pictures, for classifier guidance."""

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError
from .scan import FollowLinks
from .terminal import get_console, print_json, print_paths
from .units import parse_length, parse_size

if TYPE_CHECKING:
    from ..data import Dataset
    from ..diffusion.schedule import Schedule
    from ..training.noisy_classifier import ClassifierOptions, ClassifierProgress, NoiseAccuracy


def train_classifier(
    source: Annotated[
        str,
        typer.Argument(
            help="A run folder, for its pictures, labels and noise schedule; or a folder of pictures.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="The folder to write the classifier into.", show_default=False)],
    time_box: Annotated[str | None, typer.Option("--for", help="Training time: 90s, 2m. Default: 2m.")] = None,
    images: Annotated[str | None, typer.Option(help="Length of the training in images, instead of --for: 50k.")] = None,
    picture_size: Annotated[
        str | None,
        typer.Option(
            "--size", help="Picture size in pixels, if SOURCE is a folder of pictures: 16.", show_default=False
        ),
    ] = None,
    follow_links: FollowLinks = False,
    batch: Annotated[int, typer.Option(help="Images per optimizer step.")] = 64,
    lr: Annotated[float, typer.Option(help="Highest learning rate.")] = 1e-3,
    seed: Annotated[int, typer.Option(help="Seed of all random numbers.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print results as lines of JSON.")] = False,
) -> None:
    """Train a classifier for classifier guidance: noisette sample RUN --classifier DIR --label NAME.

    It learns the labels of pictures with noise added, and reports its accuracy on held-out pictures by noise level.
    Ctrl-C ends training early and keeps the result.
    """
    seconds, number = parse_length(time_box, images, "2m", "training")
    size = None if picture_size is None else parse_size(picture_size)
    from ..training.noisy_classifier import ClassifierOptions, classifier_data

    options = ClassifierOptions(seconds, number, batch, lr, seed=seed)
    _check_output_folder(out)
    with tempfile.TemporaryDirectory() as folder:
        _train_and_write(*classifier_data(source, folder, size, seed, follow_links), options, out, as_json)


def _check_output_folder(out: Path) -> None:
    """Refuse a folder that holds other files, before any time is spent on training."""
    from ..io.json_files import read_object

    names = [p.name for p in out.iterdir()] if out.is_dir() else []
    if names and not ("model.safetensors" in names and "classifier" in read_object(out / "config.json")):
        raise InputError(f"{out} holds other files, such as {names[0]}: give a new folder for the classifier")


def _train_and_write(
    data: "Dataset", schedule: "Schedule", options: "ClassifierOptions", out: Path, as_json: bool
) -> None:
    from rich.progress import Progress

    from ..io.json_files import write_json
    from ..training.noisy_classifier import accuracy_by_noise, fit_classifier

    screen = get_console(to_stderr=True)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("training", total=1.0)

        def show(state: "ClassifierProgress") -> None:
            bar.update(task, completed=state.progress, description=f"{state.images} images, loss {state.loss:.3f}")

        classifier = fit_classifier(data, schedule, options, show)
    accuracies = accuracy_by_noise(classifier, data.held_out)
    classifier.save_pretrained(out)
    write_json(out / "accuracy.json", [asdict(a) for a in accuracies])
    if as_json:
        for accuracy in accuracies:
            print_json(asdict(accuracy))
    else:
        _print_accuracy(accuracies, len(data.held_out), len(data.pictures.labels))
        print_paths([out])


def _print_accuracy(accuracies: "list[NoiseAccuracy]", pictures: int, labels: int) -> None:
    from rich.table import Table

    table = Table("noise σ/α", "accuracy", title=f"{pictures} held-out pictures, {labels} labels", min_width=44)
    for entry in accuracies:
        table.add_row(f"{entry.noise:g}", f"{entry.accuracy.scaled(100.0):.1f} %")
    get_console().print(table)
