"""noisette export: a trained model for other programs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError, known
from .terminal import machine, wrote


@dataclass(frozen=True)
class Wish:
    """What was said, beside the format. None was not said."""

    model: Path
    target: Path
    label: str | None
    steps: int | None
    licence: str | None
    data_licence: str | None
    push: str | None


def export(
    model: Annotated[Path, typer.Argument(help="A run folder, or a model folder.", show_default=False)],
    target: Annotated[Path, typer.Argument(help="The folder to write: a new or an empty one.", show_default=False)],
    to: Annotated[str, typer.Option(help="What for: diffusers, onnx, hub.", show_default=False)],
    label: Annotated[
        str | None, typer.Option(help="Only this label, for pipelines of diffusers that know none.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Of the sampler beside the ONNX file. The model's own.")] = None,
    licence: Annotated[str | None, typer.Option(help="Of the model, for its card: mit, cc0-1.0, …")] = None,
    data_licence: Annotated[str | None, typer.Option(help="Of the pictures that it learned from.")] = None,
    push: Annotated[
        str | None, typer.Option(help="OWNER/NAME: put the folder into this repository of the hub, too, private.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
) -> None:
    """Write a model in another program's format.

    `diffusers` is a folder that its pipelines open; `onnx` a network in one file, with a sampler that needs no PyTorch;
    `hub` a model folder with a card. Nothing leaves this machine unless --push says so.
    """
    write, takes = known(to, FORMATS, "format")
    wish = Wish(model, target, label, steps, licence, data_licence, push)
    for name, value in vars(wish).items():
        if name not in ("model", "target", *takes) and value is not None:
            raise InputError(f"--{name.replace('_', '-')} says nothing to --to {to}: leave it out")
    if steps is not None and steps < 1:
        raise InputError(f"--steps is {steps}: give 1 or more")
    said, figures = write(wish)
    if as_json:
        machine({"path": str(target.resolve()), "notes": said} | figures)
        return
    for sentence in said:
        typer.echo(f"note: {sentence}")
    for name, figure in figures.items():
        typer.echo(f"{name.replace('_', ' ')}: {figure if isinstance(figure, str) else f'{figure:.3g}'}")
    wrote([target])


Written = tuple[list[str], dict[str, float | str]]  # notes, and figures by name


def _diffusers(wish: Wish) -> Written:
    from ..interop.diffusers_out import exported, write
    from ..model import load

    folder = exported(load(wish.model), wish.label)
    write(folder, wish.target)
    return list(folder.notes), {}


def _onnx(wish: Wish) -> Written:
    from ..interop.onnx import export as to_onnx
    from ..model import load

    report = to_onnx(load(wish.model), wish.target, wish.steps)
    return list(report.notes), {"opset": report.opset, "max_error_against_PyTorch": report.max_error}


def _hub(wish: Wish) -> Written:
    from ..card import Licences
    from ..hub import upload
    from ..model import load

    model = load(wish.model)
    if wish.target.is_dir() and any(wish.target.iterdir()):
        raise InputError(f"{wish.target} already holds something: give a new or an empty folder")
    model.save_with_card(wish.target, Licences(wish.licence, wish.data_licence))
    unsaid = [n for n, v in (("--licence", wish.licence), ("--data-licence", wish.data_licence)) if v is None]
    notes = [f"the card says that a licence is not stated: {' and '.join(unsaid)} would say it"] if unsaid else []
    return notes, {} if wish.push is None else {"pushed": upload(wish.target, wish.push)}


FORMATS: dict[str, tuple[Callable[[Wish], Written], tuple[str, ...]]] = {  # and the options that each takes
    "diffusers": (_diffusers, ("label",)),
    "onnx": (_onnx, ("steps",)),
    "hub": (_hub, ("licence", "data_licence", "push")),
}
