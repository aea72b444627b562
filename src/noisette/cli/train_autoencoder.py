"""noisette train-autoencoder: an autoencoder for latent diffusion."""

from pathlib import Path
from typing import Annotated

import typer

from .scan import FollowLinks
from .terminal import print_json, print_paths
from .train import watch_training
from .units import parse_duration, parse_length, parse_size


def train_autoencoder(
    source: Annotated[str, typer.Argument(help="A source of pictures, as for noisette train.", show_default=False)],
    out: Annotated[
        Path, typer.Option(help="The folder to write into; the same command resumes a run.", show_default=False)
    ],
    factor: Annotated[int, typer.Option(help="Pixels per latent pixel and side: 2, 4, 8, 16 or 32.")] = 4,
    channels: Annotated[int, typer.Option(help="Channels of the latents, 1 to 64.")] = 4,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="Without the KL term and its noise: a plain autoencoder.")
    ] = False,
    kl_weight: Annotated[float, typer.Option(help="Weight of the KL term, 0 to 1000.")] = 1e-3,
    perceptual: Annotated[
        float,
        typer.Option(
            help="Weight of the difference of feature maps of a network that was trained on photographs (after LPIPS); "
            "slower. Needs the extra noisette[metrics].",
        ),
    ] = 0.0,
    start_from: Annotated[
        str | None,
        typer.Option("--from", help="Start from this autoencoder, of the same network.", show_default=False),
    ] = None,
    time_box: Annotated[str | None, typer.Option("--for", help="Training time: 90s, 10m, 2h. Default: 10m.")] = None,
    images: Annotated[str | None, typer.Option(help="Length of the run in training crops, instead of --for.")] = None,
    size: Annotated[
        str | None, typer.Option(help="Size of the pictures in pixels: 64 or 64x48. Default: as for noisette train.")
    ] = None,
    crop: Annotated[
        int, typer.Option(help="Side in pixels of the random squares that are trained on; 0: whole pictures.")
    ] = 32,
    follow_links: FollowLinks = False,
    batch: Annotated[int, typer.Option(help="Crops per optimizer step.")] = 16,
    lr: Annotated[float, typer.Option(help="Highest learning rate.")] = 1e-2,
    seed: Annotated[int, typer.Option(help="Seed of all random numbers.")] = 0,
    save_every: Annotated[str, typer.Option(help="Time between checkpoints.")] = "60s",
    as_json: Annotated[bool, typer.Option("--json", help="Print progress and results as lines of JSON.")] = False,
) -> None:
    """Train an autoencoder: pictures to small latent images and back, for noisette train --autoencoder.

    Reports the PSNR of held-out pictures that are encoded and decoded again. Ctrl-C saves and stops; the same command
    continues.
    """
    seconds, number = parse_length(time_box, images, "10m", "training")
    save_seconds, pixels = parse_duration(save_every), None if size is None else parse_size(size)
    from ..training.autoencoder import AutoencoderOptions
    from ..training.autoencoder import train_autoencoder as train_

    options = AutoencoderOptions(
        seconds, number, factor, channels, variational=not deterministic, kl_weight=kl_weight,
        perceptual_weight=perceptual, size=pixels,
        crop=crop or None, batch=batch, lr=lr, seed=seed, follow_links=follow_links, start_from=start_from,
        save_every=save_seconds,
    )  # fmt: skip
    with watch_training(out, as_json) as on_progress:
        model = train_(source, out, options, on_progress)
    paths = {"model": model, "samples": out / "samples", "metrics": out / "metrics.jsonl"}
    if as_json:
        print_json({"event": "done"} | {name: str(path.resolve()) for name, path in paths.items()})
        return
    print_paths(paths.values())
    typer.echo(f"use it: noisette train SOURCE --autoencoder {out} --out RUN")
