"""A model for programs without PyTorch: model.onnx, model.json and sample.py.

model.onnx is the network alone, in one file, for any number of pictures at once:

    inputs   x       (batch, channels, height, width) float32: x_t times `scale`
             level   (batch,) float32: the noise label, c_noise
             label   (batch,) int64, where there are labels: -1 for none
             vector  (batch, d) float32, where there are attributes: NaN throughout for none
    output   out     (batch, channels or twice as many, height, width): F; after it, logits of a learned variance

model.json says what is done with it (`told`): a table of steps, made by `unrolled`, in which every call has its α, σ,
`level`, `scale`, and `x0`: the weights of out and of x_t in the clean picture. sample.py is `onnx_sample.py`.
"""

import contextlib
import io
import logging
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .. import __version__
from ..condition import Condition
from ..config import to_json
from ..errors import InputError
from ..files import atomic_folder, json_bytes, read_bytes
from ..model import PictureModel
from ..nn.kernels.library import without_kernels
from ..posterior import LearnedRange
from ..sampler import DDPM
from .unrolled import KEPT, Call, unrolled

OPSET = 18
LIMIT = 2**31 - 1  # bytes of a protocol buffer: what fits into one file
TRUST = 1e-3  # of the largest answer: an export that is further off is a defect
SCRIPT = Path(__file__).with_name("onnx_sample.py")


@dataclass(frozen=True)
class Report:
    """What was written, checked."""

    opset: int
    max_error: float  # of the network in ONNX Runtime against PyTorch, over several batch sizes
    notes: tuple[str, ...]


def export(model: PictureModel, target: Path, steps: int | None = None) -> Report:
    """Write the three files as a new folder, wholly or not at all. `steps` is the model's own unless said.

    Raises InputError where something is in the way, where the extra is missing, and where one file is too small.
    """
    installed()
    notes: list[str] = []
    with atomic_folder(target, need=2 * sum(p.nbytes for p in model.parameters())) as part:
        table = told(model, steps, notes)
        path = part / "model.onnx"
        traced(model, path)
        refuse_external(path)
        table["max_error"] = error = largest_error(model, path)
        (part / "model.json").write_bytes(json_bytes(table, target / "model.json"))
        shutil.copyfile(SCRIPT, part / "sample.py")
    return Report(OPSET, error, tuple(notes))


def installed() -> None:
    """Refuse to begin where what is needed is missing."""
    if missing := [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]:
        raise InputError(f"{missing[0]} is not installed, which an export to ONNX needs: pip install 'noisette[onnx]'")


# ── the network ───────────────────────────────────────────────────────────────────────────────────────────────────


class Plain(nn.Module):
    """The network with tensors for arguments, by their names."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, level: Tensor, label: Tensor | None = None, vector: Tensor | None = None) -> Tensor:
        return self.net(x, level, Condition(label=label, vector=vector))


def inputs(model: PictureModel, batch: int) -> dict[str, Tensor]:
    """Random ones that the network may be given, a null among them where there is one."""
    net, generator = model.config.net, torch.Generator().manual_seed(batch)
    given = {"x": torch.randn(batch, *model.pictures.shape, generator=generator)}
    given["level"] = model.schedule.label(torch.linspace(1, 0.2, batch, dtype=torch.float64)).float()
    if net.classes:
        given["label"] = torch.randint(-int(net.null_class), net.classes, (batch,), generator=generator)
    if net.vector:
        given["vector"] = torch.randn(batch, net.vector, generator=generator)
        given["vector"][0] = torch.nan
    return given


def traced(model: PictureModel, path: Path) -> None:
    """Write the network. Its weights are in the file, or it is refused."""
    if sum(p.nbytes for p in model.parameters()) > LIMIT:
        raise InputError("this network has more than 2 GB of weights, which one ONNX file cannot hold")
    net = Plain(model.net.cpu()).eval()
    given = inputs(model, 2)
    batch = torch.export.Dim("batch", min=1)
    with without_kernels(), torch.no_grad(), hushed():
        program = torch.onnx.export(
            net,
            kwargs=given,
            dynamic_shapes={name: {0: batch} for name in given},
            input_names=list(given),
            output_names=["out"],
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    assert program is not None
    path.write_bytes(bare(program.model_proto).SerializeToString())


def bare(proto: Any) -> Any:
    """Without what the exporter says of where each operation came from: paths of this machine, and most of the file."""
    graph = proto.graph
    for thing in (proto, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        thing.doc_string = ""
        del thing.metadata_props[:]
    del graph.value_info[:]
    proto.producer_name, proto.producer_version = "noisette", __version__
    return proto


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Without what the exporter says of packages that it could use."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def refuse_external(path: Path) -> None:
    """Refuse an ONNX file that is none, or that keeps weights in other files: reading it could read any file."""
    import onnx

    try:
        proto = onnx.load_model_from_string(read_bytes(path))
    except Exception as error:  # protobuf has its own
        raise InputError(f"{path} is not an ONNX file") from error
    external = [t.name for t in proto.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]
    if external:
        raise InputError(
            f"{path} keeps its weights in other files (the first is {external[0]!r}): only a model in one file is read"
        )


def largest_error(model: PictureModel, path: Path) -> float:
    """The largest difference from PyTorch in what the network answers, for 1, 2 and 3 random pictures."""
    import onnxruntime

    session = onnxruntime.InferenceSession(read_bytes(path), providers=["CPUExecutionProvider"])
    worst = size = 0.0
    for batch in (1, 2, 3):
        given = inputs(model, batch)
        with torch.no_grad(), without_kernels():
            ours = Plain(model.net)(**given)
        theirs = torch.from_numpy(session.run(["out"], {k: v.numpy() for k, v in given.items()})[0])
        worst, size = max(worst, (theirs - ours).abs().max().item()), max(size, ours.abs().max().item())
    assert worst <= TRUST * max(size, 1.0), f"ONNX Runtime answers {worst} away from PyTorch"
    return worst


# ── what is done with it ──────────────────────────────────────────────────────────────────────────────────────────


def told(model: PictureModel, steps: int | None, notes: list[str]) -> dict[str, Any]:
    """model.json. What could not be said as it is goes into `notes`."""
    config, net = model.config, model.config.net
    if net.tokens:
        raise InputError("this network reads text, which the export has no input for")
    if net.in_channels != model.pictures.channels:
        raise InputError("this network takes a picture beside x, which the export has no input for")
    sampling, sampler = config.sampling, model.sampler()
    if isinstance(sampler, DDPM) and isinstance(sampler.variance, LearnedRange):
        notes.append("a learned variance has no numbers beforehand: the steps are those of ddpm")
        sampler = model.sampler("ddpm")
    grid = model.grid(steps)
    shapes: dict[str, list[Any]] = {"x": ["batch", *model.pictures.shape], "level": ["batch"]}
    shapes |= {"label": ["batch"]} if net.classes else {}
    shapes |= {"vector": ["batch", net.vector]} if net.vector else {}
    return {
        "made_by": f"noisette {__version__}",
        "model": model.hash,
        "opset": OPSET,
        "inputs": shapes,
        "pictures": to_json(model.pictures),
        "null": bool(net.null_class or not net.classes),
        "schedule": to_json(model.schedule),
        "parametrization": to_json(model.parametrization),
        "sampling": to_json(sampling) | {"steps": len(grid) - 1},
        "guidance": sampling.guidance,
        "kept": KEPT,
        "start": sampling.temperature * model.schedule(grid[0])[1].item(),
        "steps": [
            {"calls": [row(model, call) for call in step.calls], "then": step.then}
            for step in unrolled(sampler, model.schedule, grid)
        ],
    }


def row(model: PictureModel, call: Call) -> dict[str, Any]:
    """A call of the network: where, about what, and what its answer means there."""
    alpha, sigma = model.schedule(call.t)
    one, zero = torch.ones_like(alpha), torch.zeros_like(alpha)
    solve = model.parametrization.solve
    return {
        "t": call.t.item(),
        "alpha": alpha.item(),
        "sigma": sigma.item(),
        "level": model.schedule.label(call.t).item(),
        "scale": model.parametrization.input_scale(alpha, sigma).item(),
        "x0": [solve(one, zero, alpha, sigma)[0].item(), solve(zero, one, alpha, sigma)[0].item()],
        "x": call.x,
    }
