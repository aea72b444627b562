"""What programs may ask of the studio, by gradio_client: the page's own functions, without the page."""

import base64
from collections.abc import Callable
from typing import Any

import gradio as gr

from ..config import from_json
from ..edit.kin import Kin
from ..edit.origin import Origin
from ..viz.png import png
from . import drawing
from .api_edit import EditApi
from .draw import QUEUE
from .export import metadata
from .session import Wish, way_of
from .told import told, typed
from .trainer import Job, Trainer
from .workspace import Workspace

Drawn = list[dict[str, Any]]


class Api:
    """Named as they are called: client.predict("emoji", api_name="/draw")."""

    def __init__(self, workspace: Workspace, trainer: Trainer) -> None:
        self.workspace, self.trainer = workspace, trainer

    def models(self) -> list[str]:
        """Names of what can be drawn with."""
        return self.workspace.models()

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
    ) -> Drawn:
        """New pictures: each a PNG in base64, and how it was drawn."""
        loaded = self.workspace.model(model)
        way = drawing.way(loaded, sampler, grid, steps, guidance, eta)
        return self._drawn(drawing.wish(loaded, model, labels or [], seed, number, way, attributes or [], text))

    def more(self, model: str, origin: dict[str, Any], number: int = 12, degrees: float = 20.0, seed: int = 0) -> Drawn:
        """Neighbours on the sphere of noises of a picture that `draw` gave, known by its origin."""
        known = from_json(Origin, origin, "origin")
        loaded = self.workspace.model(model)
        drawing.way(loaded, known.sampler, known.grid, known.steps, known.guidance, known.eta)
        kin = Kin(known.seed, known.turns).children(drawing.several(number), degrees, seed)
        return self._drawn(
            Wish(
                model, tuple(kin), (known.label,) * number, way_of(known), (known.attributes,) * number,
                (known.text,) * number,
            )
        )  # fmt: skip

    def runs(self) -> list[str]:
        """Names of what was trained here, or is being trained."""
        return self.workspace.runs()

    def run(self, name: str) -> dict[str, Any]:
        """How a run stands."""
        return vars(self.trainer.standing(name)).copy()

    def train(self, name: str, source: str, minutes: float = 10.0) -> dict[str, Any]:
        """Start a run on a folder of the workspace or a built-in set."""
        self.trainer.start(name, Job(self.trainer.known_source(source), minutes))
        return self.run(name)

    def stop(self, name: str) -> dict[str, Any]:
        """Stop a run: it saves first."""
        self.trainer.stop(name)
        return self.run(name)

    def resume(self, name: str) -> dict[str, Any]:
        """Go on with a run that was stopped."""
        self.trainer.resume(name)
        return self.run(name)

    def _drawn(self, wish: Wish) -> Drawn:
        model = self.workspace.model(wish.model)
        *_, walk = drawing.walk(model, wish)
        return [
            {"png": base64.b64encode(png(c.pixels, metadata(c))).decode("ascii"), "origin": metadata(c)}
            for c in drawing.cells(model, walk)
        ]


def offered(api: Api, edits: EditApi) -> None:
    """Under the page that is being built."""
    walks: list[Callable[..., Any]] = [
        api.draw, api.more, edits.vary, edits.inpaint, edits.outpaint, edits.upscale, edits.tile, edits.segment,
        edits.walk, edits.directions, edits.slide,
    ]  # fmt: skip
    others: list[Callable[..., Any]] = [api.models, api.runs, api.run, api.train, api.stop, api.resume]
    for slow in walks:
        gr.api(told(typed(slow)), api_name=slow.__name__, **QUEUE)
    for quick in others:
        gr.api(told(typed(quick)), api_name=quick.__name__, concurrency_limit=None)
