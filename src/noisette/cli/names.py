"""The names that people bring along: flags of other trainers, and underscores instead of dashes."""

from typing import Any

from typer.core import TyperCommand

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
    "--diffusion-steps": "--chain",
    "--image-size": "--size",
}
POSITIONAL = ("--train-data-dir",)  # flags elsewhere, here a command's first argument


def translated(arguments: list[str]) -> list[str]:
    """A command line in our own words."""
    ours: list[str] = []
    for i, argument in enumerate(arguments):
        if argument == "--":
            return ours + arguments[i:]
        flag, equals, value = argument.partition("=")
        if not flag.startswith("--"):
            ours.append(argument)
            continue
        flag = flag.replace("_", "-")
        if flag in POSITIONAL:
            ours += [value] if equals else []
        else:
            ours.append(ALIASES.get(flag, flag) + equals + value)
    return ours


class PeoplesNames(TyperCommand):
    """A command that understands them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, translated(args))
