"""noisette train: train a model on pictures."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from ..errors import InputError
from .option_groups import expand_option_groups
from .scan import DEFAULT_SHEET_OPTIONS, FollowLinks, NearDuplicates, Percentiles, SheetOptions
from .terminal import is_main_process, print_json, print_paths
from .units import parse_duration, parse_length, parse_percentiles, parse_size

if TYPE_CHECKING:
    from ..data.entry import Source
    from ..models.task import Task
    from ..training import Progress, TrainOptions

PRECISION_ALIASES = {"no": "fp32", "float32": "fp32", "bfloat16": "bf16"}  # names in other trainers


@expand_option_groups
def train(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder, zip, array, tar, Parquet file, sprite sheet, Aseprite file, atlas (.json) or tile set "
            "(.tsx), or a built-in set: emoji, icons, digits.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="The run folder. The same command again resumes the run in it.", show_default=False)
    ],
    preset: Annotated[
        str,
        typer.Option(
            help="tiny, small, base, patch, dit-tiny, or a paper's (docs/networks.md); auto: the network of the model "
            "that the run starts from (--from); from scratch, the largest of tiny, small and base that the time allows."
        ),
    ] = "auto",
    start_from: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Fine-tuning: model or run to start from; its size, mode, labels and task may differ; none: from "
            "scratch. Default: the base model in the package that fits, if there is one.",
            show_default=False,
        ),
    ] = None,
    autoencoder: Annotated[
        str | None,
        typer.Option(
            help="Latent diffusion: the model works on the latents of this autoencoder, a folder of noisette "
            "train-autoencoder or of diffusers (AutoencoderKL, AutoencoderTiny), hf://OWNER/NAME or the name of one in "
            "the package. Give --size, too.",
            show_default=False,
        ),
    ] = None,
    picture_size: Annotated[
        str | None,
        typer.Option(
            "--size",
            help="Picture size in pixels: 16, or 32x24 (width x height). Default: the size that all pictures share, if "
            "at most 64; else 32.",
        ),
    ] = None,
    pixel_art: Annotated[
        bool,
        typer.Option(
            "--pixel-art",
            help="Resize the training pictures by whole factors only, without averaging colors. Samples can still "
            "contain other colors.",
        ),
    ] = False,
    time_box: Annotated[
        str | None,
        typer.Option(
            "--for",
            help="Time for the whole command: 90s, 10m, 1.5h. Default: 10m. Includes a speed measurement of this "
            "machine, a few seconds per preset.",
        ),
    ] = None,
    images: Annotated[
        str | None,
        typer.Option(help="Length of the run in training images (steps times batch), instead of --for: 200k, 1.5M."),
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help="Images per optimizer step, over all processes. Default: the preset's.")
    ] = None,
    accumulate: Annotated[
        int, typer.Option(help="Gradient accumulation: compute each step in this many parts, to save memory.")
    ] = 1,
    lr: Annotated[float | None, typer.Option(help="Highest learning rate. Default: the preset's.")] = None,
    task: Annotated[
        str,
        typer.Option(
            help="draw: generate pictures from noise; upscale: enlarge pictures by --factor; segment: generate masks."
        ),
    ] = "draw",
    factor: Annotated[int | None, typer.Option(help="Factor of --task upscale. Default: 2.")] = None,
    dropout: Annotated[
        float | None, typer.Option(help="Dropout probability; with few pictures, 0.1 to 0.3. Default: the preset's.")
    ] = None,
    flip: Annotated[bool, typer.Option("--flip", help="Mirror each picture with probability 1/2.")] = False,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="A JSON file that overrides parts of the preset: schedule, parametrization, loss, training times, "
            "network."
        ),
    ] = None,
    precision: Annotated[str, typer.Option(help="fp32 or bf16; auto: the faster one on this machine.")] = "auto",
    seed: Annotated[int, typer.Option(help="Seed of all random numbers.")] = 0,
    sheet: SheetOptions = DEFAULT_SHEET_OPTIONS,
    labels: Annotated[str | None, typer.Option(help="The .npy file with the labels of an .npy array.")] = None,
    follow_links: FollowLinks = False,
    near_duplicates: NearDuplicates = None,
    percentiles: Percentiles = None,
    mask_value: Annotated[
        str | None,
        typer.Option(
            help="For --task segment with masks of numbers or colors: the number or color (#ff0000) to segment, or any "
            "for all but 0 and black."
        ),
    ] = None,
    text: Annotated[
        bool, typer.Option("--text", help="Train on captions: texts of the metadata file, or file names.")
    ] = False,
    encoder: Annotated[
        str | None,
        typer.Option(
            help="Sentence encoder for captions instead of the default one: a folder, or hf://OWNER/NAME.",
            show_default=False,
        ),
    ] = None,
    save_every: Annotated[str, typer.Option(help="Time between checkpoints.")] = "60s",
    log: Annotated[
        str,
        typer.Option(
            "--log",
            "--track",
            help="Logger of the metrics: jsonl (metrics.jsonl), or in addition tensorboard or trackio. Under torchrun "
            "use --track, because torchrun has its own --log.",
        ),
    ] = "jsonl",
    evaluations: Annotated[
        int | None,
        typer.Option(help="Number of evaluations during training. Default: as many as fit into 4 % of the time."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print progress and results as lines of JSON.")] = False,
) -> None:
    """Train a model on your pictures in a given time.

    Ctrl-C saves and stops; the same command resumes. Also runs under accelerate launch and torchrun.
    """
    start_time = time.monotonic()  # importing torch counts as part of the time limit
    seconds, number = parse_length(time_box, images, "10m")
    save_seconds = parse_duration(save_every)
    size = None if picture_size is None else parse_size(picture_size)
    precision = PRECISION_ALIASES.get(precision, precision)
    from ..data.mask_values import parse_mask_value
    from ..data.text import DEFAULT_ENCODER
    from ..training import TrainOptions

    parsed_task = parse_task(task, factor)
    check_choice("--precision", precision, TrainOptions, "precision")
    check_choice("--log", log, TrainOptions, "log")
    options = TrainOptions(
        preset=preset, seconds=seconds, images=number, size=size, pixel_art=pixel_art, labels=labels,
        cell=sheet.size, spacing=sheet.spacing, margin=sheet.margin,
        follow_links=follow_links, near_duplicates=near_duplicates,
        percentiles=None if percentiles is None else parse_percentiles(percentiles),
        mask_value=None if mask_value is None else parse_mask_value(mask_value),
        batch=batch, accumulate=accumulate, lr=lr, dropout=dropout, flip=flip, recipe=recipe, task=parsed_task,
        text=encoder or (DEFAULT_ENCODER if text else None), seed=seed, save_every=save_seconds,
        evaluations=evaluations, precision=precision, log=log, start_from=start_from, autoencoder=autoencoder,  # type: ignore[arg-type]
    )  # fmt: skip
    model = run_training(source, out, options, start_time, as_json)
    print_result(model, out, parsed_task.usage, as_json)


def parse_task(name: str, factor: int | None) -> "Task":
    """A task by its name in --task, with --factor for upscale."""
    from ..errors import lookup
    from ..models.registry import OWN_NAME_HINT, TASKS
    from ..models.task import Upscale

    kind = lookup(name, TASKS, "task", OWN_NAME_HINT)
    if factor is None:
        return kind()
    if kind is not Upscale:
        raise InputError(f"--factor belongs to --task upscale: leave it out with --task {name}")
    return Upscale(factor)


def check_choice(flag: str, value: str, cls: type, field: str) -> None:
    """Raise InputError if a value is not among those of a field's Literal type."""
    choices = get_args(cls.__annotations__[field])
    if value not in choices:
        raise InputError(f"{flag} must be {', '.join(choices[:-1])} or {choices[-1]}, got {value!r}")


def run_training(
    source: "str | Source", out: Path, options: "TrainOptions", start_time: float, as_json: bool = False
) -> Path:
    """Train with a progress bar, or with lines if the output is not a terminal. Returns the model's folder."""
    from ..training import train as train_

    with watch_training(out, as_json) as on_progress:
        return train_(source, out, options, on_progress, start_time)


@contextmanager
def watch_training(out: Path, as_json: bool) -> "Iterator[Callable[[Progress], None]]":
    """Shows the progress of the training in this block, which a stop file ends. Yields what is to be called with it."""
    from ..training.stop_file import STOP_FILE_VARIABLE, interrupt_on_stop_file
    from .progress import show_progress

    with interrupt_on_stop_file(os.environ.get(STOP_FILE_VARIABLE)), show_progress(out, as_json) as on_progress:
        yield on_progress


def print_result(model: Path, out: Path, sample_command: str, as_json: bool) -> None:
    """Print the paths that were written, and the command that uses the model (`sample_command`, with MODEL in it)."""
    paths = {"model": model, "samples": out / "samples", "metrics": out / "metrics.jsonl"}
    if as_json:
        print_json({"event": "done"} | {name: str(path.resolve()) for name, path in paths.items()})
        return
    print_paths(paths.values())
    if is_main_process():
        from ..io.metrics_log import read_metrics
        from ..training.snapshots import describe_selection

        if selection := describe_selection(out):
            typer.echo(selection)
        if reason := next(
            (row["reason"] for row in reversed(read_metrics(paths["metrics"])) if "sampling" in row), None
        ):
            typer.echo(reason)
        typer.echo(f"use it: {sample_command.replace('MODEL', str(out))}")
