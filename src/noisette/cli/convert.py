"""noisette convert: other people's weights, as a model folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError
from .terminal import console, machine, wrote
from .units import size as size_

if TYPE_CHECKING:
    from ..interop.convert import Report

ORDERS, SCHEDULES, TARGETS = ("legacy", "new"), ("linear", "cosine"), ("epsilon", "x0", "v")


def convert(
    theirs: Annotated[Path, typer.Argument(help="A .pt, .pth or .safetensors file, or a diffusers folder.")],
    ours: Annotated[Path, typer.Argument(help="The model folder to write.")],
    picture: Annotated[str | None, typer.Option("--size", help="Of the pictures: 64, or 32x24 (wide x high).")] = None,
    heads: Annotated[int | None, typer.Option(help="Attention heads, at every width.")] = None,
    head_channels: Annotated[int | None, typer.Option(help="Channels of an attention head, instead.")] = None,
    attention_order: Annotated[str | None, typer.Option(help="Of q, k and v in guided-diffusion: legacy, new.")] = None,
    schedule: Annotated[str | None, typer.Option(help="Of the noise: linear, cosine.")] = None,
    chain: Annotated[int | None, typer.Option(help="Steps that the process was trained with.")] = None,
    rescale: Annotated[
        bool | None, typer.Option("--rescale/--no-rescale", help="Whether times were shown as of 1000 steps.")
    ] = None,
    predicts: Annotated[str | None, typer.Option(help="What the network answers: epsilon, x0, v.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Report in a line of JSON.")] = False,
) -> None:
    """Make a model folder of another project's weights. Nothing in the file is executed.

    Knows diffusers' UNet2DModel folders, improved- and guided-diffusion (drawing, upsampling, classifying),
    denoising-diffusion-pytorch, and the sprites course. What weights cannot tell is assumed and said; the options
    correct it.
    """
    for flag, value, known in (
        ("--attention-order", attention_order, ORDERS),
        ("--schedule", schedule, SCHEDULES),
        ("--predicts", predicts, TARGETS),
    ):
        if value is not None and value not in known:
            raise InputError(f"{flag} is {value!r}: it should be {' or '.join(known)}")
    for flag, number in (("--heads", heads), ("--head-channels", head_channels), ("--chain", chain)):
        if number is not None and number < 1:
            raise InputError(f"{flag} is {number}: give 1 or more")
    if heads is not None and head_channels is not None:
        raise InputError("--heads and --head-channels both say how wide a head is: give one of them")
    from ..interop.convert import convert as convert_
    from ..interop.foreign import Said

    words: dict[str, Any] = {"attention_order": attention_order, "schedule": schedule, "predicts": predicts}
    side = None if picture is None else size_(picture)
    said = Said(heads=heads, head_channels=head_channels, chain=chain, rescale=rescale, size=side, **words)
    report(convert_(theirs, ours, said), ours, as_json)


def report(made: "Report", ours: Path, as_json: bool) -> None:
    """What was recognised, what was assumed, and where it lies."""
    from ..config import to_json

    if as_json:
        told = {"family": made.family, "parameters": made.parameters, "notes": made.notes}
        machine(told | {"path": str(ours.resolve()), "config": to_json(made.config)})
        return
    screen = console()
    screen.print(f"{made.family}, {made.parameters / 1e6:.1f} M parameters")
    for name, value in lines(to_json(made.config)):
        screen.print(f"  {name}: {value}", soft_wrap=True)
    for note in made.notes:
        screen.print(note, soft_wrap=True)
    wrote([ours])


def lines(config: dict[str, Any]) -> list[tuple[str, str]]:
    """A configuration for people: a line for each part."""
    shown = []
    for name, part in config.items():
        if isinstance(part, dict):
            kind = part.get("is", "")
            fields = ", ".join(f"{k} {brief(v)}" for k, v in part.items() if k != "is" and v not in (None, [], False))
            shown.append((name, f"{kind} {fields}".strip()))
    return shown


def brief(value: object) -> str:
    """Long lists by their ends."""
    if isinstance(value, list) and len(value) > 10:
        return f"[{value[0]}, … {value[-1]}] ({len(value)})"
    return str(value)
