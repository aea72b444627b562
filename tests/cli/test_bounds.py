"""Bounds of whole numbers, and empty paths, which are checked before anything is opened or read."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from noisette.cli.app import app
from noisette.cli.bounds import COMMAND_MAXIMA, MAXIMA, find_maximum
from noisette.models.config import MAX_SAMPLING_STEPS
from noisette.sampling.record import MAX_BATCH, MAX_SEED
from noisette.sampling.request import MAX_REQUEST
from noisette.training.plan import MAXIMA as TRAINING_MAXIMA

Refused = Callable[..., str]


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All commands, with the words that call them."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
    for name, one in (inner or {}).items():
        yield from commands(one, (*path, name))


ALL = dict(commands(typer.main.get_command(app)))


def is_count(parameter: Any) -> bool:
    descriptor = getattr(parameter, "type_descriptor", None)
    return "int" in str(getattr(descriptor, "annotation", ""))


def is_path(parameter: Any) -> bool:
    return "Path" in str(getattr(getattr(parameter, "type_descriptor", None), "annotation", ""))


PATHS = [(path, p) for path, command in ALL.items() for p in command.params if is_path(p)]
COUNTS = [  # options; the only argument that is a number, the chapter of a course, is looked up in a list
    (path, p) for path, command in ALL.items() for p in command.params if is_count(p) and p.opts[0].startswith("-")
]


def required(command: Any) -> list[str]:
    """What a command needs to be parsed."""
    words: list[str] = []
    for parameter in command.params:
        if parameter.required:
            words += [parameter.opts[0], "nowhere.gif"] if parameter.opts[0].startswith("-") else ["nowhere"]
    return words


def test_counts_are_found() -> None:
    assert len(ALL) > 20 and len(COUNTS) > 60
    assert {p.opts[0] for _, p in COUNTS} == MAXIMA.keys()
    assert COMMAND_MAXIMA.keys() <= {(path[-1], p.opts[0]) for path, p in COUNTS}


@pytest.mark.parametrize(("path", "parameter"), COUNTS, ids=[f"{' '.join(c)} {p.opts[0]}" for c, p in COUNTS])
def test_a_count_above_its_bound_is_refused_first(
    path: tuple[str, ...], parameter: Any, refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although no model, run or source exists that a later error could be about."""
    monkeypatch.chdir(tmp_path)
    option = parameter.opts[0]
    most = find_maximum(path[-1], option)
    assert most is not None
    for number in (most + 1, 10**30):
        message = refused(*path, *required(ALL[path]), option, number)
        if option != "--port":  # whose own check says it
            assert f"{option} must be at most {most:,}, got {number:,}" in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [("train", "--images"), ("plan", "--images"), ("train-classifier", "--images")])
def test_counts_with_units_have_bounds_too(
    words: tuple[str, str], refused: Refused, sprites: Path, tmp_path: Path
) -> None:
    out = () if words[0] == "plan" else ("--out", tmp_path / "out")
    message = refused(words[0], sprites, *out, words[1], "9" * 19)
    assert "images must be above 0 and at most 1,000,000,000,000" in message and not (tmp_path / "out").exists()


def test_the_bounds_of_the_command_line_are_those_of_the_package() -> None:
    assert MAXIMA["--seed"] == MAX_SEED and MAXIMA["--steps"] == MAX_SAMPLING_STEPS and MAXIMA["-n"] == MAX_REQUEST
    assert MAXIMA["--batch"] == MAX_BATCH
    assert COMMAND_MAXIMA["train", "--batch"] == TRAINING_MAXIMA["batch"]
    assert MAXIMA["--accumulate"] == TRAINING_MAXIMA["accumulate"]


def test_paths_are_found() -> None:
    assert len(PATHS) > 40 and {p.opts[0] for _, p in PATHS} >= {"model", "--out", "--upscaler", "picture"}


@pytest.mark.parametrize(("path", "parameter"), PATHS, ids=[f"{' '.join(c)} {p.opts[0]}" for c, p in PATHS])
def test_an_empty_path_is_not_the_current_folder(
    path: tuple[str, ...], parameter: Any, refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name, words = parameter.opts[0], required(ALL[path])
    if name.startswith("-"):
        words += [name, ""]  # the last one counts
    else:
        arguments = [p.opts[0] for p in ALL[path].params if not p.opts[0].startswith("-")]
        words = ["nowhere"] * arguments.index(name) + [""] + words
    assert f"{name} must not be empty: give a path; the current folder is ." in refused(*path, *words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("train", "", "--images", "8", "--out", "run"), "the source"),
        (("scan", ""), "the source"),
        (("plan", "", "--for", "1m"), "the source"),
        (("train", "emoji", "--images", "8", "--out", "run", "--from", ""), "the model"),
        (("sample", "emoji-16", "--out", "pictures", "--guide-with", "", "--guidance", "2"), "the model"),
    ],
)
def test_nor_is_an_empty_name(
    words: tuple[str, ...], name: str, refused: Refused, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert f"{name} must not be empty" in refused(*words)
    assert list(tmp_path.iterdir()) == []
