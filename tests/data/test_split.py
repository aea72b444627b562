"""What is held out: always the same, of every label, and never the twin of what is trained on."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisette.data.split import split
from noisette.errors import InputError


def some_set(n: int, rng: random.Random) -> tuple[list[str], list[int], list[str | None]]:
    contents = [f"{h:08x}" for h in rng.sample(range(2**32), n)]
    groups = [0, 1] + [rng.randint(0, n // 2) for _ in range(n - 2)]
    return contents, groups, [rng.choice([None, "a", "b", "c"]) for _ in range(n)]


counts, shares = st.integers(2, 80), st.sampled_from([0.05, 0.1, 0.3, 0.5])


@settings(deadline=None)
@given(counts, st.integers(0, 2**32), shares)
def test_the_order_changes_nothing(n: int, seed: int, held_out: float) -> None:
    rng = random.Random(seed)
    contents, groups, labels = some_set(n, rng)
    plain = split(contents, groups, labels, held_out, seed)
    order = list(range(len(contents)))
    rng.shuffle(order)
    names = {g: i for i, g in enumerate(rng.sample(range(1000), 1000))}  # groups may be numbered otherwise, too
    mixed = split(
        [contents[i] for i in order], [names[groups[i]] for i in order], [labels[i] for i in order], held_out, seed
    )
    assert mixed == [plain[i] for i in order]


@settings(deadline=None)
@given(counts, st.integers(0, 2**32), shares)
def test_groups_stay_whole_and_both_sides_have_some(n: int, seed: int, held_out: float) -> None:
    contents, groups, labels = some_set(n, random.Random(seed))
    held = split(contents, groups, labels, held_out, seed)
    assert any(held) and not all(held)
    sides = {(g, h) for g, h in zip(groups, held, strict=True)}
    assert len(sides) == len(set(groups))


def singles(*counts: tuple[str | None, int]) -> tuple[list[str], list[int], list[str | None]]:
    labels = [label for label, n in counts for _ in range(n)]
    return [f"{i * 7919 % 10007:05d}" for i in range(len(labels))], list(range(len(labels))), labels


def test_every_label_gives_up_the_same_share() -> None:
    contents, groups, labels = singles(("a", 200), ("b", 50), ("c", 14), ("d", 4), (None, 26))
    held = Counter(label for label, h in zip(labels, split(contents, groups, labels), strict=True) if h)
    assert held == {"a": 20, "b": 5, "c": 1, None: 3}
    half = Counter(label for label, h in zip(labels, split(contents, groups, labels, 0.5), strict=True) if h)
    assert half == {"a": 100, "b": 25, "c": 7, "d": 2, None: 13}


def test_no_label_is_held_out_whole() -> None:
    contents, groups, labels = singles(("a", 1), ("b", 1), ("c", 6))
    held = split(contents, groups, labels, 0.5)
    assert held[:2] == [False, False] and sum(held) == 3
    assert sum(split(*singles(("a", 1), ("b", 1)))) == 1  # unless nothing else is there


def test_the_seed_chooses_and_an_added_picture_moves_few() -> None:
    contents, groups, labels = singles(("a", 300))
    first, second = split(contents, groups, labels, seed=0), split(contents, groups, labels, seed=1)
    assert first != second and sum(first) == sum(second) == 30
    more = split([*contents, "zzz"], [*groups, 300], [*labels, "a"])
    assert sum(x != y for x, y in zip(first, more[:-1], strict=True)) <= 1


def test_large_groups_are_trained_on() -> None:
    contents, _, labels = singles(("a", 40))
    groups = [0] * 30 + list(range(1, 11))
    held = split(contents, groups, labels)
    assert sum(held) == 4 and not any(held[:30])


def test_what_cannot_be_split() -> None:
    with pytest.raises(InputError, match="at least 2 that differ are needed"):
        split(["a"], [0], [None])
    with pytest.raises(InputError, match="only one picture in 3 near copies: at least"):
        split(["a", "b", "c"], [0, 0, 0], [None] * 3)
    for share in (0.0, -0.1, 0.6, float("nan")):
        with pytest.raises(InputError, match="cannot be held out"):
            split(["a", "b"], [0, 1], [None] * 2, share)
