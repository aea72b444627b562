"""noisette plan: estimate by how much additional training pictures would lower the loss."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError
from .scan import FollowLinks, NearDuplicates
from .terminal import ProgressBar, get_console, print_json
from .units import format_count, parse_length, parse_size

if TYPE_CHECKING:
    from ..training.learning_curve import DataForecast


def plan(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder, zip, array, tar, Parquet file, sprite sheet, Aseprite file, atlas or tile set, or a "
            "built-in set.",
            show_default=False,
        ),
    ],
    time_box: Annotated[
        str | None,
        typer.Option(
            "--for",
            help="Time for all six models together: 6m, 20m. Default: 6m. Takes longer on a busy CPU.",
        ),
    ] = None,
    images: Annotated[
        str | None, typer.Option(help="Length of each model's training in images, instead of --for: 20k.")
    ] = None,
    extra: Annotated[
        int, typer.Option("--extra-images", help="Number of additional pictures to estimate the loss for.")
    ] = 50,
    preset: Annotated[str, typer.Option(help="As for noisette train.")] = "auto",
    start_from: Annotated[str | None, typer.Option("--from", help="As for noisette train.", show_default=False)] = None,
    picture_size: Annotated[
        str | None, typer.Option("--size", help="Picture size in pixels: 16, or 32x24 (width x height).")
    ] = None,
    pixel_art: Annotated[bool, typer.Option("--pixel-art", help="As for noisette train.")] = False,
    follow_links: FollowLinks = False,
    near_duplicates: NearDuplicates = None,
    seed: Annotated[int, typer.Option(help="Seed of all random numbers.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Estimate by how much additional training pictures would lower the loss.

    Trains six small models with equally many training images: two on a quarter of the pictures, two on half and two on
    all of them. None of them is kept.
    """
    seconds, number = parse_length(time_box, images, "6m", "training")
    if extra < 1:
        raise InputError(f"--extra-images must be 1 or more, got {extra}")
    size = None if picture_size is None else parse_size(picture_size)
    from ..data import prepare
    from ..training import TrainOptions
    from ..training.learning_curve import forecast_more_data, forecast_to_json

    options = TrainOptions(
        preset=preset, seconds=seconds, images=number, size=size, pixel_art=pixel_art, seed=seed, start_from=start_from
    )
    with tempfile.TemporaryDirectory() as folder:
        data = prepare(
            source, Path(folder), size=size, pixel_art=pixel_art, seed=seed, follow_links=follow_links,
            near_duplicates=near_duplicates,
        )  # fmt: skip
        with ProgressBar("training") as bar:
            forecast = forecast_more_data(
                data, options, extra, lambda images, total: bar("training six models", images, total)
            )
    if as_json:
        print_json(forecast_to_json(forecast))
    else:
        print_forecast(forecast)


def print_forecast(forecast: "DataForecast") -> None:
    """Print a table of the six models, and the result in a sentence."""
    from rich.table import Table

    table = Table(
        title=f"Six models, trained on {format_count(forecast.images)} images each"
        + (f", from {forecast.start_from}" if forecast.start_from else ""),
        title_justify="left",
        box=None,
    )
    for head in ("pictures", "held-out loss", "lowest after"):
        table.add_column(head, justify="right")
    for point in forecast.points:
        table.add_row(f"{point.pictures:,}", f"{point.loss:.4f}", f"{format_count(point.best_images)} images")
    get_console().print(table)
    typer.echo(forecast.summary)
