"""The HTTP API of the studio, for gradio_client: the page's functions without the page."""

import base64
from collections.abc import Callable
from typing import Any

import gradio as gr

from ..data.png import encode_png
from ..sampling.lineage import NoiseLineage
from ..sampling.record import read_record
from . import trajectories as drawing
from .api_edit import EditApi
from .description import describe_model
from .draw_tab import QUEUE_OPTIONS
from .error_handling import report_errors
from .export import make_metadata
from .limits import check_count
from .session import BoardRequest, BoardSample
from .trainer import Trainer, TrainingJob
from .type_checks import check_types
from .workspace import Workspace

QUICK_OPTIONS: dict[str, Any] = {"concurrency_id": "quick", "concurrency_limit": 4}
SampleList = list[dict[str, Any]]


class Api:
    """Each method is an endpoint: client.predict("emoji", api_name="/draw")."""

    def __init__(self, workspace: Workspace, trainer: Trainer) -> None:
        self.workspace, self.trainer = workspace, trainer

    def models(self) -> list[str]:
        """Names of the models."""
        return self.workspace.list_models()

    def describe(self, model: str) -> dict[str, Any]:
        """Size, mode, labels, attributes and edits of a model."""
        return describe_model(self.workspace.load_model(model).config)

    def draw(
        self,
        model: str,
        labels: list[str] | None = None,
        seed: int = 0,
        number: int = 1,
        steps: int | None = None,
        sampler: str | None = None,
        grid: str | None = None,
        guidance: float | None = None,
        eta: float | None = None,
        attributes: list[str] | None = None,
        text: str | None = None,
    ) -> SampleList:
        """New pictures: each a PNG in base64, and its record."""
        loaded = self.workspace.load_model(model)
        settings = drawing.make_settings(loaded, sampler, grid, steps, guidance, eta)
        return self._draw_request(
            drawing.make_request(loaded, model, labels or [], seed, number, settings, attributes or [], text)
        )

    def neighbors(
        self, model: str, record: dict[str, Any], number: int = 12, degrees: float = 20.0, seed: int = 0
    ) -> SampleList:
        """Pictures whose noise is rotated by `degrees` from that of a picture of `draw`, given by its record."""
        known = read_record(record, "record")
        lineage = NoiseLineage(known.seed, known.rotations)
        sample = BoardSample(model, drawing.make_blank(self.workspace.load_model(model)), known)
        return self._draw_request(sample.make_request(lineage.children(check_count(number), degrees, seed)))

    def runs(self) -> list[str]:
        """Names of the training runs."""
        return self.workspace.list_runs()

    def run(self, name: str) -> dict[str, Any]:
        """The status of a run."""
        return vars(self.trainer.get_status(name)).copy()

    def train(self, name: str, source: str, minutes: float = 10.0) -> dict[str, Any]:
        """Start a run on a folder of the workspace or a built-in set."""
        self.trainer.start(name, TrainingJob(self.trainer.resolve_source(source), minutes))
        return self.run(name)

    def stop(self, name: str) -> dict[str, Any]:
        """Stop a run, after it has saved."""
        self.trainer.stop(name)
        return self.run(name)

    def resume(self, name: str) -> dict[str, Any]:
        """Resume a stopped run."""
        self.trainer.resume(name)
        return self.run(name)

    def _draw_request(self, request: BoardRequest) -> SampleList:
        model = self.workspace.load_model(request.model_name)
        *_, trajectory = drawing.draw_trajectory(model, request)
        samples = [(sample.pixels, make_metadata(sample)) for sample in drawing.make_samples(model, trajectory)]
        return [
            {"png": base64.b64encode(encode_png(pixels, record)).decode("ascii"), "record": record}
            for pixels, record in samples
        ]


def register_api(api: Api, edits: EditApi) -> None:
    """Add the endpoints to the page that is being built."""
    drawing_calls: list[Callable[..., Any]] = [
        api.draw, api.neighbors, edits.vary, edits.inpaint, edits.outpaint, edits.upscale, edits.tile, edits.segment,
        edits.walk, edits.directions, edits.slide,
    ]  # fmt: skip
    other_calls: list[Callable[..., Any]] = [
        api.models,
        api.describe,
        api.runs,
        api.run,
        api.train,
        api.stop,
        api.resume,
    ]
    for slow in drawing_calls:
        gr.api(report_errors(check_types(slow)), api_name=slow.__name__, **QUEUE_OPTIONS)
    for quick in other_calls:
        gr.api(report_errors(check_types(quick)), api_name=quick.__name__, **QUICK_OPTIONS)
