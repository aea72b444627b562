"""Option names of other trainers, and underscores instead of dashes, translated to ours."""

import math
from pathlib import Path
from typing import Any

from typer.core import TyperArgument, TyperCommand, TyperOption

from ..errors import InputError
from .bounds import check_maximum

ALIASES = {
    "--resolution": "--size",
    "--train-batch-size": "--batch",
    "--batch-size": "--batch",
    "--learning-rate": "--lr",
    "--mixed-precision": "--precision",
    "--gradient-accumulation-steps": "--accumulate",
    "--report-to": "--log",
    "--logger": "--log",
    "--output-dir": "--out",
    "--outdir": "--out",
    "--random-flip": "--flip",
    "--num-inference-steps": "--steps",
    "--guidance-scale": "--guidance",
    "--class": "--label",
    "--num-heads": "--heads",
    "--num-head-channels": "--head-channels",
    "--noise-schedule": "--schedule",
    "--diffusion-steps": "--train-timesteps",
    "--num-train-timesteps": "--train-timesteps",
    "--prompt": "--text",
    "--negative-prompt": "--negative-text",
    "--image-size": "--size",
}
POSITIONAL_ALIASES = ("--train-data-dir",)  # options elsewhere, here the first argument of a command


def translate_arguments(arguments: list[str]) -> list[str]:
    """Command-line arguments with the option names that our commands have."""
    ours: list[str] = []
    for i, argument in enumerate(arguments):
        if argument == "--":
            return ours + arguments[i:]
        flag, equals, value = argument.partition("=")
        if not flag.startswith("--"):
            ours.append(argument)
            continue
        flag = flag.replace("_", "-")
        if flag in POSITIONAL_ALIASES:
            ours += [value] if equals else []
        else:
            ours.append(ALIASES.get(flag, flag) + equals + value)
    return ours


class AliasedCommand(TyperCommand):
    """A command that accepts these names, and no empty path, nor a number that is infinite or above its maximum."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        args = translate_arguments(args)
        texts, _, _ = self.make_parser(ctx).parse_args(args=list(args))
        for parameter in self.params:
            if isinstance(parameter, TyperArgument | TyperOption) and is_path(parameter):
                check_path(parameter.opts[0], texts.get(str(parameter.name)))
        rest = super().parse_args(ctx, args)
        for parameter in self.params:
            value = ctx.params.get(parameter.name)
            check_finite(parameter.opts[-1], value)
            check_maximum(str(ctx.info_name), parameter.opts[0], value)
        return rest


def is_path(parameter: TyperArgument | TyperOption) -> bool:
    """Whether a parameter takes a path, or several."""
    return parameter.type_descriptor.annotation in (Path, list[Path])


def check_path(name: str, text: object) -> None:
    """Raise InputError for a path, or one in a list, that is empty: Python takes that for the current folder."""
    if "" in (text if isinstance(text, list | tuple) else (text,)):
        raise InputError(f"{name} must not be empty: give a path; the current folder is .")


def check_finite(name: str, value: object) -> None:
    """Raise InputError for a number, or one in a list, that is infinite or not a number."""
    for number in value if isinstance(value, list | tuple) else (value,):
        if isinstance(number, float) and not math.isfinite(number):
            raise InputError(f"{name} must be a finite number, got {number:g}")
