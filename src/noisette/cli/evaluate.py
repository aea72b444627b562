"""noisette evaluate: measure the quality, diversity and memorization of a model."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError
from .bounds import check_minimum
from .terminal import ProgressBar, get_console, print_json, print_paths

if TYPE_CHECKING:
    from ..data import Dataset
    from ..evaluation.evaluate import EvaluatedSamples, Evaluation

DEFAULT_SAMPLES = 1000


def evaluate(
    model: Annotated[Path, typer.Argument(help="A run folder; or a model folder, with --data.", show_default=False)],
    data: Annotated[
        Path | None, typer.Option(help="Run folder with the pictures to compare with. Default: MODEL.")
    ] = None,
    n: Annotated[
        int, typer.Option("-n", "--number", help="Number of samples; at most half of the training pictures.")
    ] = DEFAULT_SAMPLES,
    seed: Annotated[int, typer.Option(help="Seed of the first sample; each further one adds 1.")] = 0,
    max_shift: Annotated[
        int,
        typer.Option(
            help="For memorization: a training picture moved by up to this many pixels counts as the same picture."
        ),
    ] = 1,
    out: Annotated[
        Path | None, typer.Option(help="Output folder. Default: MODEL/evaluation.", show_default=False)
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Samples per batch. Default: 64 on a CPU, else 256.")] = None,
    snapshot: Annotated[
        str | None, typer.Option(help="Snapshot of the run: last, best, or its number of training images.")
    ] = None,
    inception_weights: Annotated[
        Path | None,
        typer.Option(
            help="Weights file of Inception v3 (that of pytorch-fid), for a FID comparable with published ones. "
            "Default: the EfficientNet of noisette[metrics].",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure the quality, diversity and memorization of a model, with 95 % intervals.

    Compares samples with held-out pictures, and gives the same figures for real data, training copies and noise. Writes
    evaluation.json and evaluation.html, a page with the figures, the samples, and the samples that are closest to a
    training picture. Under accelerate launch and torchrun, each process computes a share.
    """
    from ..data import Dataset
    from ..evaluation.evaluate import evaluate_model, is_flip_augmented
    from ..evaluation.metrics.features import EfficientNetExtractor
    from ..evaluation.metrics.inception import InceptionExtractor
    from ..sampling.files import ensure_writable
    from ..training.distributed import get_distributed_context
    from .sample import open_model

    for name, value, least in (
        ("-n", n, 20),
        ("--batch", batch, 1),
        ("--seed", seed, 0),
        ("--max-shift", max_shift, 0),
    ):
        check_minimum(name, value, least)
    (team, device), run = get_distributed_context(), data or model
    loaded = open_model(model, snapshot).to(device)
    if not (run / "data.json").is_file():
        raise InputError(f"{run} has no training pictures: give --data with the run folder of the model")
    pictures, folder = Dataset.open(run), out or model / "evaluation"
    extractor = EfficientNetExtractor() if inception_weights is None else InceptionExtractor(inception_weights)
    ensure_writable(folder)
    with ProgressBar("sampling") as bar:
        evaluation, drawn = evaluate_model(
            loaded, pictures, extractor, n=n, seed=seed, max_shift=max_shift, flips=is_flip_augmented(run),
            team=team, progress=bar,
            batch=batch or (64 if next(loaded.parameters()).device.type == "cpu" else 256),
        )  # fmt: skip
    if team.rank != 0:
        return
    paths = write_evaluation(folder, str(model), evaluation, drawn, pictures)
    if as_json:
        print_json(asdict(evaluation))
        return
    print_evaluation(evaluation)
    print_paths(paths)


def write_evaluation(
    folder: Path, title: str, evaluation: "Evaluation", samples: "EvaluatedSamples", data: "Dataset"
) -> list[Path]:
    """Write the figures and the page."""
    import torch

    from ..diffusion.noise import make_generator
    from ..evaluation.evaluate import find_closest
    from ..evaluation.held_out import all_pixels
    from ..evaluation.verdict import summarize
    from ..io.json_files import write_json
    from ..report.viz.evaluation import NearestPair, render_evaluation_page
    from ..report.viz.page import write_page

    train = all_pixels(data.train)
    some = torch.randperm(len(train), generator=make_generator("half"))
    pairs = [NearestPair(samples.pixels[i : i + 1], train[j : j + 1], d) for i, j, d in find_closest(samples)]
    sets = {
        "samples": samples.pixels,
        "training pictures": train[some],
        "held-out pictures": all_pixels(data.held_out),
    }
    b, sampling = evaluation.bits_per_dim, evaluation.settings["sampling"]
    about = evaluation.settings | {
        "sampling": ", ".join(f"{name} {value}" for name, value in sampling.items() if value != ()),
        "bits per dimension": "not defined for a latent model"
        if b is None
        else f"training {b.train:.3f} ± {b.train_error:.3f}, held out {b.held_out:.3f} ± {b.held_out_error:.3f}",
    }
    document = render_evaluation_page(
        f"Evaluation of {title}", summarize(evaluation), evaluation.scores, sets, pairs, about
    )
    paths = [folder / "evaluation.json", folder / "evaluation.html"]
    write_json(paths[0], asdict(evaluation) | {"verdict": summarize(evaluation)})
    write_page(paths[1], document)
    return paths


def print_evaluation(evaluation: "Evaluation") -> None:
    """Print the table of figures, and what they mean in sentences."""
    from rich.table import Table

    from ..evaluation.verdict import summarize

    about = evaluation.settings
    title = f"{about['samples']} samples against {about['held_out']} held-out pictures"
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    has_fid = any(score.fid is not None for score in evaluation.scores)
    heads = (
        "",
        "KID × 10³",
        "95 %",
        *(("FID∞",) if has_fid else ()),
        "precision",
        "recall",
        "coverage",
        "labels %",
        "copies %",
    )
    for head in heads:
        table.add_column(head, justify="right" if head else "left", no_wrap=True)
    for score in evaluation.scores:
        f, read = score.prdc, score.agreement
        table.add_row(
            score.name, f"{score.kid.value:.1f}", f"{score.kid.low:.0f} … {score.kid.high:.0f}",
            *(("–" if score.fid is None else f"{score.fid:.1f}",) if has_fid else ()),
            *(f"{share:.2f}" for share in (f.precision, f.recall, f.coverage)),
            "–" if read is None else f"{100 * read.value:.0f}", f"{100 * score.memorized.value:.1f}",
            style="bold green" if score is evaluation.model else None,
        )  # fmt: skip
    get_console().print(table)
    for sentence in summarize(evaluation):
        typer.echo(sentence)
