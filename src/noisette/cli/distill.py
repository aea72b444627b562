"""noisette distill: a student that draws in 1, 2 or 4 network calls what a finished model draws in many."""

import time
from pathlib import Path
from typing import Annotated

import typer

from .sample_options import Batch
from .train import PRECISION_ALIASES, check_choice, print_result, watch_training
from .units import parse_duration, parse_length


def distill(
    run: Annotated[Path, typer.Argument(help="The teacher: a finished run folder.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option(
            help="The student's run folder; the same command again resumes the run in it. Default: RUN-STEPS-steps.",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[int, typer.Option(help="Network calls of the student for a picture, 1 to 8.")] = 4,
    time_box: Annotated[
        str | None, typer.Option("--for", help="Time for the training: 90s, 10m, 1.5h. Default: 5m.")
    ] = None,
    images: Annotated[
        str | None,
        typer.Option(help="Length of the run in training examples (steps times batch), instead of --for: 40k."),
    ] = None,
    guidance: Annotated[
        float | None,
        typer.Option(
            help="Classifier-free guidance scale of the teacher, which the student learns. Default: the teacher's own, "
            "and autoguidance by RUN/early where there is one."
        ),
    ] = None,
    batch: Batch = None,
    lr: Annotated[float | None, typer.Option(help="Highest learning rate. Default: 2e-3.")] = None,
    precision: Annotated[str, typer.Option(help="fp32 or bf16; auto: the faster one on this machine.")] = "auto",
    seed: Annotated[int, typer.Option(help="Seed of all random numbers.")] = 0,
    save_every: Annotated[str, typer.Option(help="Time between checkpoints.")] = "60s",
    log: Annotated[
        str,
        typer.Option("--log", "--track", help="Logger of the metrics: jsonl, or in addition tensorboard or trackio."),
    ] = "jsonl",
    any_quality: Annotated[
        bool, typer.Option("--any-quality", help="Keep the student without comparing it with its teacher.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print progress and results as lines of JSON.")] = False,
) -> None:
    """Distill a finished model: a student that draws with few network calls.

    The student is a run folder like any other. It is kept if its held-out KID is at most 1.15 times its teacher's (1.5
    times with 2 or 3 network calls) and no more of its pictures are copies. Ctrl-C saves and stops.
    """
    start_time = time.monotonic()
    seconds, number = parse_length(time_box, images, "5m")
    save_seconds = parse_duration(save_every)
    precision = PRECISION_ALIASES.get(precision, precision)
    from ..training import TrainOptions, make_distill_options
    from ..training import distill as distill_

    check_choice("--precision", precision, TrainOptions, "precision")
    check_choice("--log", log, TrainOptions, "log")
    folder = Path(f"{str(run).rstrip('/')}-{steps}-steps") if out is None else out
    options = make_distill_options(
        run, folder, steps, guidance, seconds=seconds, images=number, batch=batch, lr=lr, precision=precision,
        seed=seed, save_every=save_seconds, log=log, any_quality=any_quality,
    )  # fmt: skip
    with watch_training(folder, as_json) as on_progress:
        model = distill_(run, folder, options, on_progress, start_time)
    print_result(model, folder, options.task.usage, as_json)
