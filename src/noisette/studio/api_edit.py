"""The HTTP API of edits, walks and sliders. Pictures go in and come out as PNGs in base64, never as paths."""

import base64
import binascii
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeVar

from ..data.png import encode_png
from ..edit.hspace import Direction
from ..errors import InputError
from ..models.picture_model import PictureModel
from ..sampling.record import read_record
from . import directions as sliding
from . import editing
from . import interpolation as walking
from . import trajectories as drawing
from .directions import DirectionCache
from .edit_kinds import INPAINT, OUTPAINT, SEGMENT, TILE, UPSCALE, VARY, EditRequest
from .interpolation import Frames
from .session import BoardSample
from .workspace import Workspace

SampleList = list[dict[str, Any]]
T = TypeVar("T")


class EditApi:
    """Each method is an endpoint: client.predict("emoji", picture, api_name="/vary")."""

    def __init__(self, workspace: Workspace, direction_cache: DirectionCache) -> None:
        self.workspace, self.direction_cache = workspace, direction_cache

    def vary(
        self, model: str, picture: str, strength: float = 0.5, label: str | None = None, seed: int = 0,
        number: int = 1, steps: int | None = None, attributes: list[str] | None = None,
        text: str | None = None,
    ) -> SampleList:  # fmt: skip
        """Variations of a picture; strength above 0 (almost no change) to 1."""
        request = EditRequest(VARY, label, seed, number, strength)
        return self._edit(model, picture, request, steps, attributes, text)

    def inpaint(
        self, model: str, picture: str, mask: list[str], label: str | None = None, seed: int = 0, number: int = 1,
        rounds: int = 5, steps: int | None = None, attributes: list[str] | None = None,
        text: str | None = None,
    ) -> SampleList:  # fmt: skip
        """Draw the marked pixels. The mask has a text for each row of pixels: 1 for marked pixels, 0 for others."""
        return self._edit(
            model,
            picture,
            EditRequest(INPAINT, label, seed, number, rounds=rounds, mask="\n".join(mask)),
            steps,
            attributes,
            text,
        )

    def outpaint(
        self, model: str, picture: str, margin: int = 4, label: str | None = None, seed: int = 0, number: int = 1,
        rounds: int = 5, steps: int | None = None, attributes: list[str] | None = None,
        text: str | None = None,
    ) -> SampleList:  # fmt: skip
        """Draw `margin` pixels more on every side."""
        return self._edit(
            model,
            picture,
            EditRequest(OUTPAINT, label, seed, number, rounds=rounds, margin=margin),
            steps,
            attributes,
            text,
        )

    def upscale(
        self, model: str, picture: str, label: str | None = None, seed: int = 0, number: int = 1, rounds: int = 3,
        steps: int | None = None, attributes: list[str] | None = None,
        text: str | None = None,
    ) -> SampleList:  # fmt: skip
        """A small picture at the model's size."""
        request = EditRequest(UPSCALE, label, seed, number, rounds=rounds)
        return self._edit(model, picture, request, steps, attributes, text)

    def tile(
        self, model: str, picture: str, axes: str = "xy", label: str | None = None, seed: int = 0, number: int = 1,
        rounds: int = 5, steps: int | None = None, attributes: list[str] | None = None,
        text: str | None = None,
    ) -> SampleList:  # fmt: skip
        """The picture made seamless in `axes`: x, y or xy."""
        return self._edit(
            model, picture, EditRequest(TILE, label, seed, number, rounds=rounds, axes=axes), steps, attributes, text
        )

    def segment(
        self, model: str, picture: str, label: str | None = None, seed: int = 0, number: int = 8,
        steps: int | None = None,
    ) -> SampleList:  # fmt: skip
        """The mask of the object that the model was trained to find, its uncertainty, and the sampled masks."""
        return self._edit(model, picture, EditRequest(SEGMENT, label, seed, number), steps, None, None)

    def walk(
        self, model: str, first: dict[str, Any], last: dict[str, Any], frames: int = 16, loop: bool = False
    ) -> list[str]:
        """Frames from one picture of `draw` to another, both given by their records."""
        loaded = self.workspace.load_model(model)
        start, end = (
            BoardSample(model, drawing.make_blank(loaded), read_record(record, "record")) for record in (first, last)
        )
        walk = _last_item(walking.draw_interpolation(loaded, start, end, frames, loop))
        assert isinstance(walk, Frames)
        return [_encode_base64(encode_png(frame)) for frame in walk.frames]

    def directions(self, model: str) -> list[str]:
        """Names of the directions that pictures can be moved along. The first call for a model finds them."""
        return [d.name for d in self._directions(self.workspace.load_model(model))]

    def slide(
        self, model: str, along: dict[str, float], label: str | None = None, seed: int = 0, number: int = 1,
        steps: int | None = None,
    ) -> list[str]:  # fmt: skip
        """New pictures, moved along directions: {name: strength}."""
        loaded = self.workspace.load_model(model)
        known = self._directions(loaded)
        names = [d.name for d in known]
        if unknown := next((name for name in along if name not in names), None):
            raise InputError(f"no direction is called {unknown!r}: there are {', '.join(names)}")
        strengths = [float(along.get(name, 0)) for name in names]
        settings = drawing.make_settings(loaded, steps=steps)
        pixels, _ = _last_item(sliding.draw_moved(loaded, known, strengths, settings, label, seed, number))
        return [_encode_base64(encode_png(row)) for row in pixels.split(1)]

    def _edit(
        self, model: str, picture: str, request: EditRequest, steps: int | None,
        attributes: list[str] | None, text: str | None,
    ) -> SampleList:  # fmt: skip
        loaded = self.workspace.load_model(model)
        request = replace(request, attributes=tuple(attributes or ()), text=text)
        settings = drawing.make_settings(loaded, steps=steps)
        results = _last_item(editing.stream_edit(loaded, _decode_base64(picture), request, settings))
        assert isinstance(results, list)
        return [{"png": _encode_base64(encode_png(r.pixels, r.metadata)), "record": r.metadata} for r in results]

    def _directions(self, model: PictureModel) -> list[Direction]:
        return self.direction_cache.get(model) or self.direction_cache.find(model)


def _last_item(items: Iterator[T]) -> T:
    """The last item of an iterator."""
    return deque(items, maxlen=1).pop()


def _decode_base64(picture: str) -> bytes:
    try:
        return base64.b64decode(picture, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError("the picture must be the bytes of a PNG in base64") from error


def _encode_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
