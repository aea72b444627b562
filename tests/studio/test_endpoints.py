"""Every endpoint of the API, with every kind of wrong value in each of its parameters: one sentence, or a result.

`test_attacks` sends the same kinds to all functions of a running studio, those of the page included.
"""

import base64
import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_type_hints

import gradio as gr
import pytest
from PIL import Image

from clock import limited
from noisette.data.png import encode_png
from noisette.io.files import atomic_write
from noisette.studio.page import build_page
from noisette.studio.trainer import Trainer
from noisette.studio.type_checks import describe_type, is_of_type
from noisette.studio.workspace import Workspace
from tiny_models import tiny

OUTSIDE = "outside"  # a folder that nothing in a request may lead to
WATCHED: list[str] = []  # what is opened, connected to or looked up while a test watches


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    is_forbidden = event == "open" and (
        str(arguments[0]).startswith("/dev/zero") or f"/{OUTSIDE}/" in str(arguments[0])
    )
    if is_forbidden or event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen"):
        WATCHED.append(f"{event} {arguments}")


@pytest.fixture(scope="module")
def functions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Callable[..., Any]]]:
    """The API's functions as the page registers them, on a workspace with one model; files next to it."""
    sys.addaudithook(_watch)
    top = tmp_path_factory.mktemp("endpoints")
    (top / OUTSIDE).mkdir()
    atomic_write(top / OUTSIDE / "picture.png", encode_png(Image.new("RGBA", (16, 16), "red")))
    tiny(height=16, width=16).save_pretrained(top / "runs" / "tiny")
    workspace = Workspace(top / "runs")
    blocks = build_page(workspace, Trainer(workspace))
    yield {str(f.api_name): f.fn for f in blocks.fns.values() if f.api_visibility == "public" and f.fn is not None}


def test_every_endpoint_is_covered(functions: dict[str, Callable[..., Any]]) -> None:
    assert functions.keys() == {
        "draw", "neighbors", "vary", "inpaint", "outpaint", "upscale", "tile", "segment", "walk", "directions", "slide",
        "models", "describe", "runs", "run", "train", "stop", "resume",
    }  # fmt: skip


def values(root: Path) -> dict[str, Any]:
    """Wrong values of every kind."""
    return {
        "path": str(root / OUTSIDE / "picture.png"),
        "URL": "http://127.0.0.1:9/picture.png",
        "hub": "hf://me/sprites",
        "device": "/dev/zero",
        "traversal": f"../{OUTSIDE}/picture.png",
        "file object": {"path": str(root / OUTSIDE / "picture.png"), "meta": {"_type": "gradio.FileData"}},
        "huge integer": 10**30,
        "huge number": 1e308,
        "NaN": float("nan"),
        "infinity": float("-inf"),
        "negative": -1,
        "negative number": -1e308,
        "huge text": "a" * 10**6,
        "huge list": ["a"] * 10**5,
        "deep list": [[[[[]]]]],
        "wrong type: text": "7",
        "wrong type: true": True,
        "wrong type: list": [],
        "wrong type: object": {},
        "wrong type: object of lists": {"a": []},
        "wrong type: null": None,
        "empty": "",
        "zero byte": "a\0b",
        "half a letter": "\ud800",
    }


@pytest.fixture(scope="module")
def good(functions: dict[str, Callable[..., Any]]) -> dict[str, Any]:
    """A right value for each parameter."""
    (drawn,) = functions["draw"]("tiny", steps=1)
    small = base64.b64encode(encode_png(Image.new("RGBA", (8, 8), "red"))).decode("ascii")
    return {
        "model": "tiny", "record": drawn["record"], "first": drawn["record"], "last": drawn["record"], "name": "mine",
        "picture": drawn["png"], "small": small, "mask": ["1" * 16] * 16, "along": {}, "source": "nothing", "steps": 1,
        "rounds": 1, "frames": 2, "number": 1,
    }  # fmt: skip


CASES = [
    "draw", "neighbors", "vary", "inpaint", "outpaint", "upscale", "tile", "segment", "walk", "directions", "slide",
    "describe", "run", "train", "stop", "resume",
]  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_value_is_refused_in_one_sentence_or_without_effect(
    name: str, functions: dict[str, Callable[..., Any]], good: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    function, root = functions[name], next(tmp_path_factory.getbasetemp().glob("endpoints*"))
    parameters = inspect.signature(function).parameters
    right = {p: good[p] for p in parameters if p in good} | ({"picture": good["small"]} if name == "upscale" else {})
    refused = 0
    WATCHED.clear()
    for parameter in parameters:
        for kind, value in values(root).items():
            with limited(5, (parameter, kind)):
                try:
                    function(**(right | {parameter: value}))
                except gr.Error as error:  # what the page and a client show
                    refused += 1
                    assert "\n" not in str(error) and len(str(error)) <= 2002, (parameter, kind, str(error)[:300])
    assert refused > 12 * len(parameters)
    assert WATCHED == []


def test_types_are_those_of_the_annotations() -> None:
    def function(
        a: int, b: float | None, c: list[str] | None, d: dict[str, float], e: dict[str, Any], f: bool
    ) -> None: ...

    hints = get_type_hints(function)
    right = {"a": [1], "b": [1, 0.5, None], "c": [[], ["x"], None], "d": [{}, {"x": 1}], "e": [{"x": [1]}], "f": [True]}
    wrong = {
        "a": [1.0, True, "1", None],
        "b": [True, "1"],
        "c": ["x", [1], {}],
        "d": [{"x": "1"}, []],
        "e": [[]],
        "f": [1],
    }
    for name, hint in hints.items():
        if name != "return":
            assert all(is_of_type(hint, value) for value in right[name])
            assert not any(is_of_type(hint, value) for value in wrong[name])
    descriptions = ["an integer", "a number", "a list, each a text", "an object", "an object", "true or false"]
    assert [describe_type(hints[name]) for name in "abcdef"] == descriptions
