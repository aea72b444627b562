"""Export a model to ONNX: model.onnx, model.json and sample.py, for programs without PyTorch.

model.onnx is the network alone, in one file, for any batch size:

    inputs   x            (batch, channels, height, width) float32: x_t times `c_in`
             noise_label  (batch,) float32: the input of the time embedding, c_noise
             label        (batch,) int64, for models with labels: −1 for no label
             vector       (batch, d) float32, for models with attributes: all NaN for no attributes
    output   out          (batch, channels or 2 × channels, height, width): the prediction F; then, for models with a
                          learned variance, its logits

model.json describes the rest (`make_table`): a table of sampling steps, computed by `sampler_table`. Each network call
in it has α, σ, `noise_label`, `c_in`, and `x0`: the two weights of x̂0 = x0[0] · out + x0[1] · x_t. sample.py is a copy
of `onnx_sample.py`.
"""

import contextlib
import io
import logging
import shutil
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..data.origin_mark import xmp_packet
from ..data.pictures import DEFAULT_ALPHA_SNAP
from ..diffusion.condition import Condition
from ..diffusion.posterior import LearnedRange
from ..diffusion.sampler import DDPM, scale_noise
from ..errors import InputError
from ..io.files import atomic_folder, read_bytes
from ..io.json_files import json_bytes
from ..io.version import __version__
from ..models.config import to_json
from ..models.picture_model import NO_PRIOR_NOTE, PictureModel
from ..nn.kernels.library import without_kernels
from .sampler_table import HISTORY_SIZE, NetworkCall, unroll_sampler

OPSET = 18
MAX_BYTES = 2**31 - 1  # limit of a protocol buffer, so of one ONNX file
TOLERANCE = 1e-3  # largest error of a correct export, relative to the largest output
SAMPLE_SCRIPT = Path(__file__).with_name("onnx_sample.py")


@dataclass(frozen=True)
class OnnxReport:
    """The result of an export."""

    opset: int
    max_error: float  # largest difference of outputs between ONNX Runtime and PyTorch, over several batch sizes
    notes: tuple[str, ...]  # what was changed, a sentence each


def export_onnx(model: PictureModel, target: Path, steps: int | None = None) -> OnnxReport:
    """Write model.onnx, model.json and sample.py to `target`, atomically. `steps`: sampling steps of the table.

    InputError if the folder is not new or empty, if `noisette[onnx]` is not installed, for networks over 2 GB, and for
    networks that take text or an input picture.
    """
    require_packages()
    notes: list[str] = []
    with atomic_folder(target, required_bytes=2 * sum(p.nbytes for p in model.parameters())) as part:
        table = make_table(model, steps, notes)
        if model.prior is not None:
            notes.append(NO_PRIOR_NOTE)
        path = part / "model.onnx"
        path.write_bytes(network_bytes(model))
        reject_external_data(path)
        table["max_error"] = error = measure_max_error(model, path)
        (part / "model.json").write_bytes(json_bytes(table, target / "model.json", checksum=False))
        shutil.copyfile(SAMPLE_SCRIPT, part / "sample.py")
    return OnnxReport(OPSET, error, tuple(notes))


def require_packages() -> None:
    """Raise InputError if a needed package is not installed."""
    if missing := [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]:
        raise InputError(f"the export to ONNX needs {missing[0]}, which is not installed: pip install 'noisette[onnx]'")


# ── the network ───────────────────────────────────────────────────────────────────────────────────────────────────


class ExportableNet(nn.Module):
    """The network with named tensors as arguments instead of a `Condition`."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(
        self, x: Tensor, noise_label: Tensor, label: Tensor | None = None, vector: Tensor | None = None
    ) -> Tensor:
        """The prediction for x_t · c_in (batch, c, h, w); see the module docstring for the other inputs."""
        return self.net(x, noise_label, Condition(label=label, vector=vector))


def make_inputs(model: PictureModel, batch: int) -> dict[str, Tensor]:
    """Random inputs of the network by name, including "no label" and "no attributes" if the network supports them."""
    net, generator = model.config.net, torch.Generator().manual_seed(batch)
    inputs = {"x": torch.randn(batch, *model.codec.shape, generator=generator)}
    inputs["noise_label"] = model.schedule.noise_label(torch.linspace(1, 0.2, batch, dtype=torch.float64)).float()
    if net.classes:
        inputs["label"] = torch.randint(-int(net.null_class), net.classes, (batch,), generator=generator)
    if net.vector:
        inputs["vector"] = torch.randn(batch, net.vector, generator=generator)
        inputs["vector"][0] = torch.nan
    return inputs


def network_bytes(model: PictureModel) -> bytes:
    """The network with its weights as one ONNX file. InputError for more than 2 GB of weights."""
    if sum(p.nbytes for p in model.parameters()) > MAX_BYTES:
        raise InputError("this network has more than 2 GB of weights, which one ONNX file cannot hold")
    return module_bytes(ExportableNet(model.net.cpu()).eval(), make_inputs(model, 2))


def module_bytes(module: nn.Module, inputs: Mapping[str, Tensor]) -> bytes:
    """A module as an ONNX file, for these inputs by name and any batch size. Its output is called out."""
    batch = torch.export.Dim("batch", min=1)
    with without_kernels(), torch.no_grad(), silence_exporter():
        program = torch.onnx.export(
            module,
            kwargs=dict(inputs),
            dynamic_shapes={name: {0: batch} for name in inputs},
            input_names=list(inputs),
            output_names=["out"],
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    assert program is not None
    return strip_metadata(program.model_proto).SerializeToString()


def strip_metadata(proto: Any) -> Any:
    """Remove the exporter's metadata about source lines, which contain local paths and fill most of the file."""
    graph = proto.graph
    for part in (proto, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        part.doc_string = ""
        del part.metadata_props[:]
    del graph.value_info[:]
    proto.producer_name, proto.producer_version = "noisette", __version__
    return proto


@contextlib.contextmanager
def silence_exporter() -> Iterator[None]:
    """A context without the exporter's log messages, warnings and prints."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def reject_external_data(path: Path) -> None:
    """Raise InputError for a file that is not ONNX, or whose weights are in other files.

    External weights can name any path, so loading such a file could read any file of the machine.
    """
    import onnx

    try:
        proto = onnx.load_model_from_string(read_bytes(path))
    except Exception as error:  # protobuf has its own exception types
        raise InputError(f"{path} is not an ONNX file") from error
    external = [t.name for t in proto.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]
    if external:
        raise InputError(
            f"{path} stores weights in other files (the first is {external[0]!r}): only models in one file are "
            "supported"
        )


def measure_max_error(model: PictureModel, path: Path) -> float:
    """The largest output difference between ONNX Runtime and PyTorch, for batches of 1, 2 and 3 random pictures."""
    return compare_outputs(ExportableNet(model.net), read_bytes(path), [make_inputs(model, n) for n in (1, 2, 3)])


def compare_outputs(module: nn.Module, data: bytes, batches: Iterable[Mapping[str, Tensor]]) -> float:
    """The largest output difference between a module in PyTorch and its ONNX file in ONNX Runtime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    error = limit = 0.0
    for inputs in batches:
        with torch.no_grad(), without_kernels():
            expected = module(**inputs)
        actual = torch.from_numpy(session.run(["out"], {k: v.numpy() for k, v in inputs.items()})[0])
        error = max(error, (actual - expected).abs().max().item())
        limit = max(limit, expected.abs().max().item())
    assert error <= TOLERANCE * max(limit, 1.0), f"outputs of ONNX Runtime and PyTorch differ by {error}"
    return error


# ── the sampling table ───────────────────────────────────────────────────────────────────────────────────────────


def make_table(model: PictureModel, steps: int | None, notes: list[str]) -> dict[str, Any]:
    """The contents of model.json. Adds to `notes` what differs from sampling the model itself."""
    model.codec.require_pixels("the ONNX export")
    config, net = model.config, model.config.net
    if net.tokens:
        raise InputError("this network takes text, which the ONNX export does not support")
    if net.in_channels != model.pictures.channels:
        raise InputError("this network takes an input picture, which the ONNX export does not support")
    sampling, name = config.sampling, config.sampling.sampler
    sampler = model.sampler(name)
    if isinstance(sampler, DDPM) and isinstance(sampler.variance, LearnedRange):
        notes.append("a learned variance depends on the picture and is not exported: the steps are those of ddpm")
        sampler = model.sampler(name := "ddpm")
    sampler, grid = scale_noise(sampler, sampling.temperature), model.grid(steps)
    shapes: dict[str, list[Any]] = {"x": ["batch", *model.codec.shape], "noise_label": ["batch"]}
    shapes |= {"label": ["batch"]} if net.classes else {}
    shapes |= {"vector": ["batch", net.vector]} if net.vector else {}
    return {
        "made_by": f"noisette {__version__}",
        "model": model.hash,
        "opset": OPSET,
        "inputs": shapes,
        "pictures": to_json(model.pictures),
        "alpha_snap": (127, 128) if model.pictures.binary_alpha else model.pictures.alpha_snap or DEFAULT_ALPHA_SNAP,
        "xmp": xmp_packet("generated"),
        "has_null_class": bool(net.null_class or not net.classes),
        "schedule": to_json(model.schedule),
        "parametrization": to_json(model.parametrization),
        "sampling": to_json(sampling) | {"steps": len(grid) - 1, "sampler": name},
        "guidance": sampling.guidance,
        "history_size": HISTORY_SIZE,
        "initial_scale": sampling.temperature * model.schedule(grid[0])[1].item(),
        "steps": [
            {
                "calls": [make_call_entry(model, call) for call in step.calls],
                "noises": step.noises,
                "result": step.result,
            }
            for step in unroll_sampler(sampler, model.schedule, grid)
        ],
    }


def make_call_entry(model: PictureModel, call: NetworkCall) -> dict[str, Any]:
    """One network call in model.json: its time, its input, and how x0 is computed from its output."""
    alpha, sigma = model.schedule(call.t)
    ones, zeros = torch.ones_like(alpha), torch.zeros_like(alpha)
    solve = model.parametrization.solve
    return {
        "t": call.t.item(),
        "alpha": alpha.item(),
        "sigma": sigma.item(),
        "noise_label": model.schedule.noise_label(call.t).item(),
        "c_in": model.parametrization.input_scale(alpha, sigma).item(),
        "x0": [solve(ones, zeros, alpha, sigma)[0].item(), solve(zeros, ones, alpha, sigma)[0].item()],
        "x": call.x,
    }
