"""Exercises: what was asked, what is right, and what to say about an answer that is not.

A function for each exercise reads an answer and returns None where it is right, or a hint:

    @exercise("noise.half", "At which t has half of the variance become noise?", "Half of the variance is noise there.")
    def half(answer: object) -> str | None:
        t = number(answer)
        ...
        return None

Hints lead on and do not give the solution. Answers of a wrong type or shape are hints, too, and never errors.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

import torch
from torch import Tensor

from ...errors import lookup

MODULES = [f"chapter{number:02d}" for number in range(1, 13)]
Judge = Callable[[object], str | None]


class Mistake(Exception):
    """An answer that cannot be judged; the message is the hint."""


@dataclass(frozen=True)
class Exercise:
    """One question of a chapter.

    name      "chapter.question", as `check` takes it
    question  what is asked, in one sentence
    praise    what a right answer has shown, in one sentence
    judge     answer → None where it is right, else a hint
    """

    name: str
    question: str
    praise: str
    judge: Judge


@dataclass(frozen=True)
class Answer:
    """What `check` says about an answer; a notebook shows it as text."""

    correct: bool
    message: str

    def __repr__(self) -> str:
        return f"{'Right' if self.correct else 'Not yet'}: {self.message}"


_EXERCISES: dict[str, Exercise] = {}


def exercise(name: str, question: str, praise: str) -> Callable[[Judge], Judge]:
    """Register the function below as the judge of an exercise."""

    def register(judge: Judge) -> Judge:
        if name in _EXERCISES:
            raise ValueError(f"two exercises are called {name}")
        _EXERCISES[name] = Exercise(name, question, praise, judge)
        return judge

    return register


def exercises() -> dict[str, Exercise]:
    """All exercises by name, in the order of the chapters."""
    for module in MODULES:
        import_module(f".{module}", __name__)
    return dict(_EXERCISES)


def check(name: str, answer: object) -> Answer:
    """Check an answer to an exercise: whether it is right, and a hint where it is not.

    name    of the exercise, as the chapter gives it: "noise.half"
    answer  what the chapter asks for: a number, a tensor, a text, a function

    Raises InputError where no exercise has that name. Nothing is stored or sent.
    """
    asked = lookup(name, exercises(), "exercise")
    try:
        hint = asked.judge(answer)
    except Mistake as mistake:
        hint = str(mistake)
    return Answer(hint is None, asked.praise if hint is None else hint)


def number(answer: object) -> float:
    """The answer as one finite number; a tensor of one element is one."""
    if isinstance(answer, Tensor) and answer.numel() == 1:
        answer = answer.item()
    if isinstance(answer, bool) or not isinstance(answer, (int, float)):
        raise Mistake(f"The answer is one number, not {_kind(answer)}.")
    if not math.isfinite(answer):
        raise Mistake(f"The answer is a finite number, not {answer}.")
    return float(answer)


def tensor(answer: object, shape: tuple[int, ...]) -> Tensor:
    """The answer as a float tensor of that shape, detached."""
    if not isinstance(answer, Tensor):
        raise Mistake(f"The answer is a tensor of shape {shape}, not {_kind(answer)}.")
    if tuple(answer.shape) != shape:
        raise Mistake(f"The answer has shape {tuple(answer.shape)}; it should have {shape}.")
    if not torch.isfinite(answer.detach().float()).all():
        raise Mistake("Some elements are NaN or infinite.")
    return answer.detach().float()


def choice(answer: object, among: tuple[str, ...]) -> str:
    """The answer as one of a few words, in lower case."""
    word = answer.strip().lower() if isinstance(answer, str) else None
    if word not in among:
        raise Mistake(f"The answer is one of {', '.join(map(repr, among))}.")
    return word


def call(answer: object, *values: object) -> object:
    """What a function that the student wrote returns; what it raises becomes a hint."""
    if not callable(answer):
        raise Mistake(f"The answer is a function, not {_kind(answer)}.")
    try:
        return answer(*values)
    except Exception as error:
        raise Mistake(f"The function raised {type(error).__name__}: {error}") from error


def _kind(answer: object) -> str:
    return "a function" if callable(answer) else f"a value of type {type(answer).__name__}"
