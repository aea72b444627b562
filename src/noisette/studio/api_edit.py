"""Edits, walks and sliders, as programs call them. Pictures go in and come out as PNGs in base64, never as paths."""

import base64
import binascii
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeVar

from ..config import from_json
from ..edit.hspace import Direction
from ..edit.origin import Origin
from ..errors import InputError
from ..model import PictureModel
from ..viz.png import png
from . import drawing, editing, sliding, walking
from .kinds import AROUND, ENLARGE, FILL, FIND, TILE, VARY, Ask
from .session import Cell
from .sliding import Directions
from .walking import Film
from .workspace import Workspace

Drawn = list[dict[str, Any]]
T = TypeVar("T")


class EditApi:
    """Named as they are called: client.predict("emoji", picture, api_name="/vary")."""

    def __init__(self, workspace: Workspace, directions: Directions) -> None:
        self.workspace, self.known = workspace, directions

    def vary(
        self, model: str, picture: str, strength: float = 0.5, label: str | None = None, seed: int = 0,
        number: int = 1, steps: int | None = None, attributes: list[str] | None = None,
        text: str | None = None,
    ) -> Drawn:  # fmt: skip
        """Pictures like this one: strength near 0 changes little, 1 all."""
        ask = Ask(VARY, label, seed, number, strength)
        return self._edit(model, picture, ask, steps, attributes, text)

    def inpaint(
        self, model: str, picture: str, mask: list[str], label: str | None = None, seed: int = 0, number: int = 1,
        rounds: int = 5, steps: int | None = None, attributes: list[str] | None = None,
        text: str | None = None,
    ) -> Drawn:  # fmt: skip
        """Draw what is marked in it. The mask is a text of 0 and 1 for each row of pixels, 1 where it is marked."""
        return self._edit(
            model, picture, Ask(FILL, label, seed, number, rounds=rounds, mask="".join(mask)), steps, attributes, text
        )

    def outpaint(
        self, model: str, picture: str, margin: int = 4, label: str | None = None, seed: int = 0, number: int = 1,
        rounds: int = 5, steps: int | None = None, attributes: list[str] | None = None,
        text: str | None = None,
    ) -> Drawn:  # fmt: skip
        """Draw so many pixels more on every side of it."""
        return self._edit(
            model, picture, Ask(AROUND, label, seed, number, rounds=rounds, margin=margin), steps, attributes, text
        )

    def upscale(
        self, model: str, picture: str, label: str | None = None, seed: int = 0, number: int = 1, rounds: int = 3,
        steps: int | None = None, attributes: list[str] | None = None,
        text: str | None = None,
    ) -> Drawn:  # fmt: skip
        """A small picture at the model's size."""
        ask = Ask(ENLARGE, label, seed, number, rounds=rounds)
        return self._edit(model, picture, ask, steps, attributes, text)

    def tile(
        self, model: str, picture: str, axes: str = "xy", label: str | None = None, seed: int = 0, number: int = 1,
        rounds: int = 5, steps: int | None = None, attributes: list[str] | None = None,
        text: str | None = None,
    ) -> Drawn:  # fmt: skip
        """The same picture without a seam in x, in y or in both."""
        return self._edit(
            model, picture, Ask(TILE, label, seed, number, rounds=rounds, axes=axes), steps, attributes, text
        )

    def segment(
        self, model: str, picture: str, label: str | None = None, seed: int = 0, number: int = 8,
        steps: int | None = None,
    ) -> Drawn:  # fmt: skip
        """Where in it the thing is that the model learned to find: the mask, where the samples differ, the samples."""
        return self._edit(model, picture, Ask(FIND, label, seed, number), steps, None, None)

    def walk(
        self, model: str, first: dict[str, Any], last: dict[str, Any], frames: int = 16, loop: bool = False
    ) -> list[str]:
        """Frames from one picture that `draw` gave to another, both known by their origins."""
        loaded = self.workspace.model(model)
        one, other = (self._cell(loaded, model, told) for told in (first, last))
        film = _last(walking.between(loaded, one, other, frames, loop))
        assert isinstance(film, Film)
        return [_text(png(frame)) for frame in film.frames]

    def directions(self, model: str) -> list[str]:
        """Names of the directions that its pictures can be moved along; found, where they are not known yet."""
        return [d.name for d in self._directions(self.workspace.model(model))]

    def slide(
        self, model: str, along: dict[str, float], label: str | None = None, seed: int = 0, number: int = 1,
        steps: int | None = None,
    ) -> list[str]:  # fmt: skip
        """New pictures, moved along directions by name."""
        loaded = self.workspace.model(model)
        known = self._directions(loaded)
        names = [d.name for d in known]
        if wrong := next((name for name in along if name not in names), None):
            raise InputError(f"no direction is called {wrong!r}: there are {', '.join(names)}")
        strengths = [float(along.get(name, 0)) for name in names]
        way = drawing.way(loaded, steps=steps)
        made, _ = _last(sliding.gone(loaded, known, strengths, way, label, seed, number))
        return [_text(png(row)) for row in made.split(1)]

    def _edit(
        self, model: str, picture: str, ask: Ask, steps: int | None, attributes: list[str] | None, text: str | None
    ) -> Drawn:  # fmt: skip
        loaded = self.workspace.model(model)
        ask = replace(ask, attributes=tuple(attributes or ()), text=text)
        made = _last(editing.edited(loaded, _bytes(picture), ask, drawing.way(loaded, steps=steps)))
        assert isinstance(made, list)
        return [{"png": _text(png(e.pixels, e.told)), "origin": e.told} for e in made]

    def _directions(self, model: PictureModel) -> list[Direction]:
        return self.known.of(model) or self.known.find(model)

    @staticmethod
    def _cell(model: PictureModel, name: str, told: dict[str, Any]) -> Cell:
        """A picture that was drawn, as a walk needs it: by its origin alone."""
        origin = from_json(Origin, told, "origin")
        drawing.way(model, origin.sampler, origin.grid, origin.steps, origin.guidance, origin.eta)
        return Cell(name, drawing.blank(model), origin)


def _last(seen: Iterator[T]) -> T:
    """What comes at last; what comes before is let go of."""
    return deque(seen, maxlen=1).pop()


def _bytes(picture: str) -> bytes:
    try:
        return base64.b64decode(picture, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError("that picture is none: give the bytes of a PNG, in base64") from error


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
