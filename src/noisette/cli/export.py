"""noisette export: write a trained model in the format of other programs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError, lookup
from .terminal import print_json, print_paths


@dataclass(frozen=True)
class ExportRequest:
    """The command's options, without the format. None: the option was not given."""

    model: Path
    target: Path
    label: str | None
    steps: int | None
    license: str | None
    data_license: str | None
    push_to_hub: str | None
    half: bool | None
    runtime: Path | None


def export(
    model: Annotated[Path, typer.Argument(help="A run folder or a model folder.", show_default=False)],
    target: Annotated[
        Path,
        typer.Argument(help="The folder or file to write. It must be new; a folder may be empty.", show_default=False),
    ],
    target_format: Annotated[
        str, typer.Option("--to", help="Target format: diffusers, onnx, web, web-folder or hub.", show_default=False)
    ],
    label: Annotated[
        str | None,
        typer.Option(help="diffusers: export this label only, for pipelines without labels. Default: all labels."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="onnx, web: sampling steps stored with the network. Default: the model's own.")
    ] = None,
    license: Annotated[
        str | None, typer.Option(help="hub: license of the model, for its card: mit, cc0-1.0, …")
    ] = None,
    data_license: Annotated[
        str | None, typer.Option(help="hub: license of the training pictures, for the card.")
    ] = None,
    push_to_hub: Annotated[
        str | None,
        typer.Option(help="hub: also upload the folder to the repository OWNER/NAME, which is created private."),
    ] = None,
    half: Annotated[
        bool | None,
        typer.Option(
            "--half",
            help="web: weights in half precision, if that costs less than 5 % of the KID, which is measured. A third "
            "smaller; pictures of a seed are not quite those of `noisette sample`.",
        ),
    ] = None,
    runtime: Annotated[
        Path | None,
        typer.Option(
            help="web: folder of the npm package onnxruntime-web. Default: found where npm installs it.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Write a model in another program's format.

    `diffusers`: a folder that diffusers' pipelines load. `onnx`: the network in one file, with a sampling script that
    does not need PyTorch. `web`: an HTML file that draws pictures in a browser, without a network; `web-folder`: the
    same for a site, in several files. `hub`: a model folder with a model card. Nothing is uploaded without
    --push-to-hub.
    """
    write, options = lookup(target_format, FORMATS, "format")
    request = ExportRequest(model, target, label, steps, license, data_license, push_to_hub, half, runtime)
    for name, value in vars(request).items():
        if name not in ("model", "target", *options) and value is not None:
            flag = f"--{name.replace('_', '-')}"
            raise InputError(f"{flag} has no effect with --to {target_format}: leave it out")
    if steps is not None and steps < 1:
        raise InputError(f"--steps must be 1 or more, got {steps}")
    notes, results = write(request)
    if as_json:
        print_json({"path": str(target.resolve()), "notes": notes} | results)
        return
    for note in notes:
        typer.echo(f"note: {note}")
    for name, value in results.items():
        typer.echo(f"{name.replace('_', ' ')}: {value if isinstance(value, str) else f'{value:.3g}'}")
    print_paths([target])


ExportResult = tuple[list[str], dict[str, float | str]]  # notes, and further results by name


def _export_diffusers(request: ExportRequest) -> ExportResult:
    from ..interop.diffusers_export import to_diffusers, write_diffusers
    from ..models.picture_model import load

    folder = to_diffusers(load(request.model), request.label)
    write_diffusers(folder, request.target)
    return list(folder.notes), {}


def _export_onnx(request: ExportRequest) -> ExportResult:
    from ..interop.onnx import export_onnx
    from ..models.picture_model import load

    report = export_onnx(load(request.model), request.target, request.steps)
    return list(report.notes), {"opset": report.opset, "max_error_against_PyTorch": report.max_error}


def _export_web(request: ExportRequest, folder: bool = False) -> ExportResult:
    from ..interop.web_page import export_page
    from ..models.picture_model import load

    report = export_page(
        load(request.model), request.target, folder=folder, steps=request.steps, half=bool(request.half),
        runtime=request.runtime,
    )  # fmt: skip
    results: dict[str, float | str] = {"megabytes": report.bytes / 1e6, "max_error_against_PyTorch": report.max_error}
    if report.kid is not None:
        results |= {"KID_x_1000": report.kid.full, "KID_x_1000_in_half_precision": report.kid.half}
    return list(report.notes), results


def _export_web_folder(request: ExportRequest) -> ExportResult:
    return _export_web(request, folder=True)


def _export_hub(request: ExportRequest) -> ExportResult:
    from ..io.hub import upload
    from ..models.picture_model import load
    from ..report.card import Licenses, save_with_card

    model = load(request.model)
    if request.target.is_dir() and any(request.target.iterdir()):
        raise InputError(f"{request.target} is not empty: give a new or an empty folder")
    save_with_card(model, request.target, Licenses(request.license, request.data_license))
    licenses = {"--license": request.license, "--data-license": request.data_license}
    missing = " and ".join(flag for flag, value in licenses.items() if value is None)
    notes = [f'the model card says "license not stated": add {missing}'] if missing else []
    return notes, {} if request.push_to_hub is None else {"pushed": upload(request.target, request.push_to_hub)}


FORMATS: dict[  # format → the function that writes it, and the options that it uses
    str, tuple[Callable[[ExportRequest], ExportResult], tuple[str, ...]]
] = {
    "diffusers": (_export_diffusers, ("label",)),
    "onnx": (_export_onnx, ("steps",)),
    "web": (_export_web, ("steps", "half", "runtime")),
    "web-folder": (_export_web_folder, ("steps", "half", "runtime")),
    "hub": (_export_hub, ("license", "data_license", "push_to_hub")),
}
