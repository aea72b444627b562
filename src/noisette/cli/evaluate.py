"""noisette evaluate: how good, how varied and how original a model is."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError
from .terminal import Bar, console, machine, wrote

if TYPE_CHECKING:
    from ..data import Dataset
    from ..edit.evaluate import Drawn, Evaluation

N = 1000


def evaluate(
    model: Annotated[Path, typer.Argument(help="A run folder, or a model folder with --data.", show_default=False)],
    data: Annotated[
        Path | None, typer.Option(help="The run folder whose pictures to compare with. The model's unless said.")
    ] = None,
    n: Annotated[
        int, typer.Option("-n", "--number", help="How many pictures to draw; at most half of the training pictures.")
    ] = N,
    seed: Annotated[int, typer.Option(help="Of the first picture; the next has the next.")] = 0,
    shifts: Annotated[
        int, typer.Option(help="A training picture moved by up to so many pixels is still that picture.")
    ] = 1,
    out: Annotated[
        Path | None, typer.Option(help="The folder to write into. MODEL/evaluation unless said.", show_default=False)
    ] = None,
    batch: Annotated[int | None, typer.Option(help="How many to draw at once: 64 on a CPU, else 256.")] = None,
    snapshot: Annotated[
        str | None, typer.Option(help="last, best, or the images that one of the run's snapshots had seen.")
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option(help="A file of Inception's weights, for figures like published ones.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Say how good, how varied and how original a model is, and how sure one can be.

    Its pictures are compared with held-out ones, and stand next to a floor (other real pictures), a copycat and noise.
    Writes evaluation.json and evaluation.html, a page with the figures, the pictures and the closest pairs.
    Under accelerate launch and torchrun, each process draws its share.
    """
    from ..data import Dataset
    from ..edit.evaluate import evaluate as measured
    from ..metrics.features import EfficientNetLite
    from ..metrics.inception import Inception
    from ..train.crew import crew
    from .opening import opened
    from .sample import writable

    for name, value, least in (("-n", n, 20), ("--batch", batch, 1), ("--seed", seed, 0), ("--shifts", shifts, 0)):
        if value is not None and value < least:
            raise InputError(f"{name} is {value}: give {least} or more")
    (team, device), run = crew(), data or model
    loaded = opened(model, snapshot).to(device)
    if not (run / "data.json").is_file():
        raise InputError(f"{run} is a model without its pictures: give the run that it was trained in with --data")
    pictures, folder = Dataset.open(run), out or model / "evaluation"
    extractor = EfficientNetLite() if features is None else Inception(features)
    writable(folder)
    with Bar("drawing") as bar:
        evaluation, drawn = measured(
            loaded, pictures, extractor, n=n, seed=seed, shifts=shifts, flips=flipped(run), team=team, progress=bar,
            batch=batch or (64 if next(loaded.parameters()).device.type == "cpu" else 256),
        )  # fmt: skip
    if team.rank != 0:
        return
    paths = keep(folder, str(model), evaluation, drawn, pictures)
    if as_json:
        machine(asdict(evaluation))
        return
    show(evaluation)
    wrote(paths)


def flipped(run: Path) -> bool:
    """Whether the run mirrored its pictures: then a mirrored copy is a copy."""
    from ..files import read_json

    path = run / "config.json"
    plan = read_json(path).get("plan") if path.is_file() else None
    return bool(isinstance(plan, dict) and plan["recipe"]["training"].get("flip"))


def keep(folder: Path, title: str, evaluation: "Evaluation", drawn: "Drawn", data: "Dataset") -> list[Path]:
    """Write the figures and the page."""
    import torch

    from ..edit.evaluate import closest
    from ..edit.held_out import everything
    from ..edit.verdict import verdict
    from ..files import write_json
    from ..noise import keyed
    from ..viz.evaluation import Pair, evaluation_page
    from ..viz.page import write_page

    train = everything(data.train)
    some = torch.randperm(len(train), generator=keyed("half"))
    pairs = [Pair(drawn.pixels[i : i + 1], train[j : j + 1], d) for i, j, d in closest(drawn)]
    sets = {"drawn by the model": drawn.pixels, "training pictures": train[some], "held out": everything(data.held_out)}
    b, sampling = evaluation.bits, evaluation.about["sampling"]
    about = evaluation.about | {
        "sampling": ", ".join(f"{name} {value}" for name, value in sampling.items() if value != ()),
        "bits a dimension": f"training {b.train:.3f} ± {b.train_error:.3f}, held out {b.held_out:.3f} ± "
        f"{b.held_out_error:.3f}",
    }
    document = evaluation_page(f"Evaluation of {title}", verdict(evaluation), evaluation.scores, sets, pairs, about)
    paths = [folder / "evaluation.json", folder / "evaluation.html"]
    write_json(paths[0], asdict(evaluation) | {"says": verdict(evaluation)})
    write_page(paths[1], document)
    return paths


def show(evaluation: "Evaluation") -> None:
    """The table, and what it says."""
    from rich.table import Table

    from ..edit.verdict import verdict

    about = evaluation.about
    title = f"{about['samples']} pictures against {about['held_out']} that were held out"
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for head in ("", "KID × 10³", "95 %", "precision", "recall", "coverage", "labels %", "copies %"):
        table.add_column(head, justify="right" if head else "left", no_wrap=True)
    for score in evaluation.scores:
        f, read = score.fidelity, score.agreement
        table.add_row(
            score.name, f"{score.kid.value:.1f}", f"{score.kid.low:.0f} … {score.kid.high:.0f}",
            *(f"{share:.2f}" for share in (f.precision, f.recall, f.coverage)),
            "–" if read is None else f"{100 * read.value:.0f}", f"{100 * score.memorised.value:.1f}",
            style="bold green" if score is evaluation.model else None,
        )  # fmt: skip
    console().print(table)
    for sentence in verdict(evaluation):
        typer.echo(sentence)
