"""Annotations are executed in the tests, and what they forbid is found: else a wrong shape would pass them all."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Literal, Protocol, runtime_checkable

import pytest
import torch
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import Float, Int, TypeCheckError
from torch import Tensor

from noisette.diffusion.grid import karras
from noisette.diffusion.schedule import VarianceExploding
from typechecker import check, checked, has_shape, resolved

WRONG = (BeartypeCallHintViolation, TypeCheckError)


def of(what):
    return checked(what, typechecker=check)


@of
def outer(x: Float[Tensor, "b c"], y: Float[Tensor, "b d"]) -> Float[Tensor, "b c d"]:
    made = x[:, :, None] * y[:, None, :]
    return made if x.shape[1] != 7 else made.mT


@of
def doubled(x: Tensor, times: float = 2) -> Tensor:
    return outer(x, x)[:, 0] if times == 1 else x * times


def test_a_symbol_is_one_number_in_a_call_and_in_its_value() -> None:
    assert outer(torch.ones(2, 3), torch.ones(2, 4)).shape == (2, 3, 4)
    for x, y in (((2, 3), (3, 4)), ((2, 3), (4,)), ((2, 7), (2, 3))):
        with pytest.raises(WRONG):
            outer(torch.ones(x), torch.ones(y))
    with pytest.raises(WRONG):
        outer(torch.ones(2, 3, dtype=torch.int64), torch.ones(2, 4))
    with pytest.raises(WRONG):
        outer(torch.ones(2, 3), y=3)


def test_each_call_has_symbols_of_its_own() -> None:
    """Also within another, and after one that was refused."""

    @of
    def twice(x: Float[Tensor, "b c"]) -> Float[Tensor, "c b"]:
        assert outer(torch.ones(5, 6), torch.ones(5, 1)).shape == (5, 6, 1)
        with pytest.raises(WRONG):
            outer(torch.ones(5, 6), torch.ones(4, 6))
        assert doubled(torch.ones(8, 9), 1).shape == (8, 9)
        return x.T

    assert twice(torch.ones(2, 3)).shape == (3, 2)


def test_annotations_without_symbols_are_checked_too() -> None:
    assert doubled(torch.ones(1), 3).item() == 3  # an int is a float
    for words in ((1,), (torch.ones(1), "2"), (torch.ones(1), int)):
        with pytest.raises(WRONG):
            doubled(*words)

    @of
    def wrong(x: int) -> str:
        return x

    with pytest.raises(WRONG):
        wrong(1)


def test_classes_methods_and_generators() -> None:
    @of
    @dataclass(frozen=True)
    class Pair:
        x: Float[Tensor, "b c"]
        y: Float[Tensor, "b"]

        @property
        @of
        def number(self) -> int:
            return self.x if len(self.y) == 1 else len(self.y)

    assert Pair(torch.ones(2, 3), torch.ones(2)).number == 2
    for make in (lambda: Pair(torch.ones(2, 3), torch.ones(3)), lambda: Pair(torch.ones(1, 3), torch.ones(1)).number):
        with pytest.raises(WRONG):
            make()

    @of
    def rows(x: Float[Tensor, "b c"]) -> Iterator[Tensor]:
        yield from x

    assert len(list(rows(torch.ones(2, 3)))) == 2
    with pytest.raises(WRONG):
        rows(torch.ones(2))


@runtime_checkable
class Named(Protocol):
    name: str


@of
def any_of(
    x: Float[Tensor, "b c"] | None,
    numbers: Sequence[int] = (),
    words: dict[str, int | None] | None = None,
    named: Named | None = None,
    kind: type[Exception] = Exception,
    back: object = None,
) -> int | Float[Tensor, "b"] | None:
    return back


@of
def literal(word: Literal["a", "b"]) -> str:
    return word


def test_what_is_wrong_is_found_after_what_is_right() -> None:
    """A call is not checked again where an earlier one was like it; one that differs in anything that counts is."""
    x, named = torch.ones(2, 3), SimpleNamespace(name="a")
    right = [
        ((x, [1, 2], {"a": 1}, named, KeyError), {"back": 1}),
        ((x, range(3), {"a": None}), {"back": torch.ones(2)}),
        ((None, (True,)), {"back": torch.ones(4)}),
        ((x, list(range(100))), {}),
    ]
    wrong = [
        ((x.int(), [1, 2], {"a": 1}, named, KeyError), {"back": 1}),
        ((x[0], [1, 2], {"a": 1}, named, KeyError), {"back": 1}),
        ((x, ["1", "2"], {"a": 1}, named, KeyError), {"back": 1}),
        ((x, "12"), {}),
        ((x, ["1"] * 100), {}),
        ((x, [1, 2], {"a": "1"}, named, KeyError), {"back": 1}),
        ((x, [1, 2], {1: 1}, named, KeyError), {"back": 1}),
        ((x, [1, 2], {"a": 1}, SimpleNamespace(title="a"), KeyError), {"back": 1}),
        ((x, [1, 2], {"a": 1}, named, int), {"back": 1}),
        ((x, [1, 2], {"a": 1}, named, KeyError), {"back": "1"}),
        ((x, [1, 2], {"a": 1}, named, KeyError), {"back": torch.ones(3)}),
        ((x, range(3), {"a": None}), {"back": torch.ones(2).int()}),
        ((x[:1], range(3), {"a": None}), {"back": torch.ones(2)}),
    ]
    for _ in range(3):
        for words, names in right:
            assert any_of(*words, **names) is names.get("back")
        for words, names in wrong:
            with pytest.raises(WRONG):
                any_of(*words, **names)
        assert literal("a") == "a"
        with pytest.raises(WRONG):
            literal("c")


def test_what_a_dataclass_refuses_itself_comes_first() -> None:
    @of
    @dataclass(frozen=True)
    class Word:
        word: str

        def __post_init__(self) -> None:
            if self.word == 7:
                raise KeyError("no word")

    assert Word("seven").word == "seven"
    with pytest.raises(KeyError, match="no word"):
        Word(7)
    with pytest.raises(WRONG):
        Word(8)


def test_symbols_are_found_at_any_depth() -> None:
    shaped = Float[Tensor, "b"]
    for hint in (shaped, shaped | None, dict[str, list[shaped]], Callable[[shaped], int], tuple[int | Int[Tensor, ""]]):
        assert has_shape(hint), hint
    for hint in (Tensor, int | None, dict[str, Tensor], Callable[[int], Tensor], Callable[..., Tensor], None):
        assert not has_shape(hint), hint
    assert resolved("Path | None", {"Path": Path}) == Path | None


def test_the_package_is_imported_so() -> None:
    schedule, x = VarianceExploding(), torch.ones(2, 1, 8, 8)
    assert len(schedule.at(torch.ones(2), x)) == 2
    for wrong in (
        lambda: karras(schedule, "8"),
        lambda: VarianceExploding("80"),
        lambda: schedule.at(torch.ones(2), x[0]),
        lambda: schedule.at(torch.ones(2, 1), x),
    ):
        with pytest.raises(WRONG):
            wrong()
