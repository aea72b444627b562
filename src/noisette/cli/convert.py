"""noisette convert: read the weights of another project, and write a model folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError
from .terminal import get_console, print_json, print_paths
from .units import parse_size

if TYPE_CHECKING:
    from ..interop.convert import ConversionReport

ATTENTION_ORDERS, SCHEDULES, PREDICTION_TYPES = ("legacy", "new"), ("linear", "cosine"), ("epsilon", "x0", "v")


def convert(
    source: Annotated[Path, typer.Argument(help="A .pt, .pth, .bin or .safetensors file, or a diffusers folder.")],
    target: Annotated[Path, typer.Argument(help="The model folder to write. It must not exist.")],
    size_text: Annotated[
        str | None, typer.Option("--size", help="Picture size in pixels: 64, or 32x24 (width x height).")
    ] = None,
    heads: Annotated[int | None, typer.Option(help="Number of attention heads, at every level.")] = None,
    head_channels: Annotated[
        int | None, typer.Option(help="Channels of each attention head; instead of --heads.")
    ] = None,
    attention_order: Annotated[
        str | None, typer.Option(help="Order of q, k and v in guided-diffusion: legacy or new.")
    ] = None,
    schedule: Annotated[str | None, typer.Option(help="Noise schedule: linear or cosine.")] = None,
    train_timesteps: Annotated[
        int | None, typer.Option(help="Number of diffusion steps that the network was trained with.")
    ] = None,
    rescale_timesteps: Annotated[
        bool | None,
        typer.Option(
            "--rescale-timesteps/--no-rescale-timesteps",
            help="Whether the network was given timesteps scaled to 0 … 1000 (guided-diffusion's rescale_timesteps).",
        ),
    ] = None,
    prediction_type: Annotated[str | None, typer.Option(help="What the network predicts: epsilon, x0 or v.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON.")] = False,
) -> None:
    """Convert another project's weights to a model folder. No code in the file is executed.

    Supported: diffusers' folders of a UNet2DModel, an AutoencoderKL or an AutoencoderTiny; improved- and
    guided-diffusion (U-Nets, upsamplers, classifiers); denoising-diffusion-pytorch; the network of the sprites course.
    What cannot be read from the weights is assumed and printed; the options override it.
    """
    for flag, choice, known in (
        ("--attention-order", attention_order, ATTENTION_ORDERS),
        ("--schedule", schedule, SCHEDULES),
        ("--prediction-type", prediction_type, PREDICTION_TYPES),
    ):
        if choice is not None and choice not in known:
            raise InputError(f"{flag} must be {' or '.join(known)}, got {choice!r}")
    numbers = {"--heads": heads, "--head-channels": head_channels, "--train-timesteps": train_timesteps}
    for flag, number in numbers.items():
        if number is not None and number < 1:
            raise InputError(f"{flag} must be 1 or more, got {number}")
    if heads is not None and head_channels is not None:
        raise InputError("--heads and --head-channels both set the width of a head: give one of them")
    from ..interop.base import ConversionOverrides
    from ..interop.convert import convert_model

    choices: dict[str, Any] = {
        "attention_order": attention_order, "schedule": schedule, "prediction_type": prediction_type,
    }  # fmt: skip
    overrides = ConversionOverrides(
        heads=heads,
        head_channels=head_channels,
        train_timesteps=train_timesteps,
        rescale_timesteps=rescale_timesteps,
        size=None if size_text is None else parse_size(size_text),
        **choices,
    )
    print_report(convert_model(source, target, overrides), target, as_json)


def print_report(result: "ConversionReport", target: Path, as_json: bool) -> None:
    """Print the recognized network, its config, the assumptions, and the path of the model folder."""
    from ..models.config import to_json

    if as_json:
        summary = {"family": result.family, "parameters": result.parameters, "notes": result.notes}
        print_json(summary | {"path": str(target.resolve()), "config": to_json(result.config)})
        return
    screen = get_console()
    screen.print(f"{result.family}, {result.parameters / 1e6:.1f} M parameters")
    for name, value in format_config(to_json(result.config)):
        screen.print(f"  {name}: {value}", soft_wrap=True)
    for note in result.notes:
        screen.print(note, soft_wrap=True)
    print_paths([target])


def format_config(config: dict[str, Any]) -> list[tuple[str, str]]:
    """The parts of a config as (name, one line of text); fields that are None, empty or False are left out."""
    lines = []
    for name, part in config.items():
        if isinstance(part, dict):
            kind = part.get("is", "")
            fields = ", ".join(
                f"{k} {format_value(v)}" for k, v in part.items() if k != "is" and v not in (None, [], False)
            )
            lines.append((name, f"{kind} {fields}".strip()))
    return lines


def format_value(value: object) -> str:
    """A value as text; a list of more than 10 items as its first and last item and its length."""
    if isinstance(value, list) and len(value) > 10:
        return f"[{value[0]}, … {value[-1]}] ({len(value)})"
    return str(value)
