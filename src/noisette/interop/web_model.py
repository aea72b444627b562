"""A model as a web page holds it: its network and its closed form in ONNX, the table of its sampler, its record.

`web/sampler.js` reads the table, which is that of `onnx.make_table`; each of its calls also names the ONNX file that it
calls. Weights are rounded to fewer bits of mantissa; everything is computed in single precision.
"""

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..diffusion.gaussian_prior import GaussianPrior
from ..io.files import read_bytes
from ..models.picture_model import PictureModel
from ..sampling.request import make_request
from .onnx import ExportableNet, compare_outputs, make_inputs, make_table, module_bytes, network_bytes
from .web_weights import CLOSE_BITS, round_onnx

PRIOR_CALL = {"network": "prior", "c_in": 1.0, "x0": (1.0, 0.0)}  # its output is x0
BATCHES = (1, 2, 3)  # numbers of random pictures for which ONNX Runtime is compared with PyTorch


@dataclass(frozen=True)
class WebModel:
    """What the page needs of a model."""

    network: bytes  # ONNX files
    prior: bytes | None  # its inputs are x, alpha, sigma, label; None: the model has no closed form at high noise
    table: dict[str, Any]
    record: dict[str, Any]  # of a picture; the page fills in seed, label, guidance and batch
    notes: tuple[str, ...]  # what was changed, a sentence each
    max_error: float  # largest difference of outputs between ONNX Runtime and PyTorch, before rounding


class ExportablePrior(nn.Module):
    """The closed form with named tensors as arguments."""

    def __init__(self, prior: GaussianPrior) -> None:
        super().__init__()
        self.prior = prior

    def forward(self, x: Tensor, alpha: Tensor, sigma: Tensor, label: Tensor | None = None) -> Tensor:
        """x0 for x_t (batch, c, h, w), α and σ (batch,) and label (batch,), -1 for none."""
        column = (-1, 1, 1, 1)
        return self.prior.predict(x, alpha.reshape(column), sigma.reshape(column), label).x0


def to_web(model: PictureModel, steps: int | None = None, bits: int = CLOSE_BITS) -> WebModel:
    """A model for the page, with `steps` sampling steps or its own. bits: of the mantissa of the network's weights.

    Raises InputError for networks that take text or an input picture.
    """
    notes: list[str] = []
    table = make_table(model, steps, notes)
    for call in (call for step in table["steps"] for call in step["calls"]):
        uses_network = model.calls_network(torch.tensor(call["t"], dtype=torch.float64))
        call.update({"network": "network"} if uses_network else PRIOR_CALL)
    network, prior = network_bytes(model), None
    error = compare_outputs(ExportableNet(model.net), network, [make_inputs(model, n) for n in BATCHES])
    if model.prior is not None:
        module = ExportablePrior(model.prior.cpu())
        prior = module_bytes(module, make_prior_inputs(model, 2))
        error = max(error, compare_outputs(module, prior, [make_prior_inputs(model, n) for n in BATCHES]))
    if model.pictures.attributes:
        notes.append("attributes cannot be chosen on the page: its pictures are drawn without")
    return WebModel(
        round_onnx(optimize_graph(network), bits),
        None if prior is None else round_onnx(optimize_graph(prior), CLOSE_BITS),
        table,
        make_record(model, table),
        tuple(notes),
        error,
    )


def optimize_graph(data: bytes) -> bytes:
    """An ONNX file with constants folded and operations fused, as ONNX Runtime does for every processor.

    The browser need not do it then: it loads the file in a third of the time (docs/log.md, 2026-12-01).
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "optimized.onnx")
        options.optimized_model_filepath = str(path)
        onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        return read_bytes(path)


def make_prior_inputs(model: PictureModel, batch: int) -> dict[str, Tensor]:
    """Random inputs of the closed form by name, at noise levels where it is used."""
    assert model.prior is not None
    inputs = make_inputs(model, batch)
    sigma = model.prior.config.min_ratio * torch.linspace(1, 4, batch)
    labels = {"label": inputs["label"]} if "label" in inputs else {}
    return {"x": sigma[:, None, None, None] * inputs["x"], "alpha": torch.ones(batch), "sigma": sigma} | labels


def make_record(model: PictureModel, table: dict[str, Any]) -> dict[str, Any]:
    """The record of pictures that are drawn with this table: `SampleRecord` as JSON."""
    sampling = table["sampling"]
    request = make_request(model, 1, steps=sampling["steps"], sampler=sampling["sampler"])
    return asdict(request.record(0))
