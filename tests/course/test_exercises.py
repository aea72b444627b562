"""Right answers pass; the usual mistakes get the right hint; every exercise is asked in its chapter."""

from importlib import import_module

import pytest

from noisette.course import check, list_chapters
from noisette.course.exercises import MODULES, exercises
from noisette.errors import InputError

MODULES_OF_ANSWERS = [import_module(f"course.answers.{name}") for name in MODULES]
RIGHT = [(name, answer) for module in MODULES_OF_ANSWERS for name, all_ in module.RIGHT.items() for answer in all_]
MISTAKES = [(name, *pair) for module in MODULES_OF_ANSWERS for name, all_ in module.MISTAKES.items() for pair in all_]


def label(value: object) -> str:
    return value if isinstance(value, str) and len(value) < 40 else type(value).__name__


@pytest.mark.parametrize(("name", "answer"), RIGHT, ids=label)
def test_right_answers_pass(name: str, answer: object) -> None:
    told = check(name, answer)
    assert told.correct, told.message
    assert repr(told).startswith("Right: ")


@pytest.mark.parametrize(("name", "answer", "words"), MISTAKES, ids=label)
def test_mistakes_get_their_hint(name: str, answer: object, words: str) -> None:
    told = check(name, answer)
    assert not told.correct
    assert words in told.message
    assert repr(told).startswith("Not yet: ")


@pytest.mark.parametrize("name", list(exercises()))
def test_every_exercise_is_complete(name: str) -> None:
    """It is asked in a chapter, has an answer that is right, and two or more mistakes with two or more hints."""
    assert sum(f'check("{name}"' in chapter.path.read_text(encoding="utf-8") for chapter in list_chapters()) == 1
    assert any(right == name for right, _ in RIGHT)
    hints = {check(known, answer).message for known, answer, _ in MISTAKES if known == name}
    assert len(hints) >= 2


@pytest.mark.parametrize("name", list(exercises()))
@pytest.mark.parametrize("answer", [None, "nonsense", float("nan"), [], object(), lambda *_: 1 / 0], ids=label)
def test_any_answer_gets_a_hint(name: str, answer: object) -> None:
    told = check(name, answer)
    assert not told.correct
    assert told.message


def test_an_unknown_exercise_is_refused() -> None:
    with pytest.raises(InputError, match=r"did you mean .noise"):
        check("noise.hal", 1)
