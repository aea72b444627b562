"""Options of `noisette sample`, most of which other commands have, too."""

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[Path, typer.Argument(help="Run folder, model folder, or shipped model's name.", show_default=False)]
Out = Annotated[Path, typer.Option(help="Folder to write into.", show_default=False)]
Labels = Annotated[
    list[str] | None,
    typer.Option(
        "--label",
        help="Label, or mixture of labels like potion:0.5,weapon:0.5. Repeatable: used in turn. Default: all labels in "
        "turn.",
    ),
]
Attributes = Annotated[
    list[str] | None,
    typer.Option("--attribute", help="Attribute, like hue=0.3 or shape=round. Repeatable."),
]
Texts = Annotated[
    list[str] | None,
    typer.Option(
        "--text",
        help='Caption like "a red fish". Repeatable: captions are used in turn, and each has a row in grid.png.',
    ),
]
Seed = Annotated[
    int | None, typer.Option(help="Seed of the first picture; picture i has seed + i. Default: 0.", show_default=False)
]
Steps = Annotated[int | None, typer.Option(help="Sampling steps. Default: the model's own, see `noisette steps`.")]
SamplerName = Annotated[
    str | None,
    typer.Option("--sampler", help="ddpm, ddim, heun, dpm++2m, unipc, ipndm, … Default: the model's own."),
]
GridName = Annotated[
    str | None,
    typer.Option("--grid", help="Time grid: karras, logsnr, trailing, … Default: the model's own."),
]
GuidanceScale = Annotated[
    float | None,
    typer.Option(
        "--guidance",
        help="Classifier-free guidance scale. 1: none; 2 to 4: closer to the label, less diverse. Default: the "
        "model's own.",
    ),
]
Eta = Annotated[
    float | None,
    typer.Option(help="η of ddim, 0 (deterministic) to 1 (as much noise as ddpm). Default: the sampler's own."),
]
Temperature = Annotated[
    float | None,
    typer.Option(help="Factor of all noise, above 0, at most 2; lower: smoother. Default: the model's own."),
]
Batch = Annotated[int | None, typer.Option(help="Pictures per batch. Default: 16 on a CPU, else 256.")]
SampleBatch = Annotated[
    int | None,
    typer.Option("--batch", help="Pictures per batch, or windows of larger pictures. Default: 16 on a CPU, else 256."),
]
PictureSize = Annotated[
    str | None,
    typer.Option(
        "--size",
        help="Size of the pictures in pixels: 128x48 (width x height) or 64 (64x64), at least the model's own size. "
        "Larger pictures are drawn in overlapping windows. Default: the model's own size.",
    ),
]
Seamless = Annotated[
    str | None,
    typer.Option(help="Opposite edges fit together. x: left and right; y: top and bottom; xy: both. Default: none."),
]
