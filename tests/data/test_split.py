"""What is held out: always the same, of every label, and never the twin of what is trained on."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisette.data.split import split_held_out
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
    plain = split_held_out(contents, groups, labels, held_out, seed)
    order = list(range(len(contents)))
    rng.shuffle(order)
    names = {g: i for i, g in enumerate(rng.sample(range(1000), 1000))}  # groups may be numbered otherwise, too
    mixed = split_held_out(
        [contents[i] for i in order], [names[groups[i]] for i in order], [labels[i] for i in order], held_out, seed
    )
    assert mixed == [plain[i] for i in order]


@settings(deadline=None)
@given(counts, st.integers(0, 2**32), shares)
def test_groups_stay_whole_and_both_sides_have_some(n: int, seed: int, held_out: float) -> None:
    contents, groups, labels = some_set(n, random.Random(seed))
    held = split_held_out(contents, groups, labels, held_out, seed)
    assert any(held) and not all(held)
    sides = {(g, h) for g, h in zip(groups, held, strict=True)}
    assert len(sides) == len(set(groups))


def singles(*counts: tuple[str | None, int]) -> tuple[list[str], list[int], list[str | None]]:
    labels = [label for label, n in counts for _ in range(n)]
    return [f"{i * 7919 % 10007:05d}" for i in range(len(labels))], list(range(len(labels))), labels


def test_every_label_gives_up_the_same_share() -> None:
    contents, groups, labels = singles(("a", 200), ("b", 50), ("c", 14), ("d", 4), (None, 26))
    held = Counter(label for label, h in zip(labels, split_held_out(contents, groups, labels), strict=True) if h)
    assert held == {"a": 20, "b": 5, "c": 1, None: 3}
    half = Counter(label for label, h in zip(labels, split_held_out(contents, groups, labels, 0.5), strict=True) if h)
    assert half == {"a": 100, "b": 25, "c": 7, "d": 2, None: 13}


def test_no_label_is_held_out_whole() -> None:
    contents, groups, labels = singles(("a", 1), ("b", 1), ("c", 6))
    held = split_held_out(contents, groups, labels, 0.5)
    assert held[:2] == [False, False] and sum(held) == 3
    assert sum(split_held_out(*singles(("a", 1), ("b", 1)))) == 1  # unless nothing else is there


def test_the_seed_chooses_and_an_added_picture_moves_few() -> None:
    contents, groups, labels = singles(("a", 300))
    first, second = split_held_out(contents, groups, labels, seed=0), split_held_out(contents, groups, labels, seed=1)
    assert first != second and sum(first) == sum(second) == 30
    more = split_held_out([*contents, "zzz"], [*groups, 300], [*labels, "a"])
    assert sum(x != y for x, y in zip(first, more[:-1], strict=True)) <= 1


def test_large_groups_are_trained_on() -> None:
    contents, _, labels = singles(("a", 40))
    groups = [0] * 30 + list(range(1, 11))
    held = split_held_out(contents, groups, labels)
    assert sum(held) == 4 and not any(held[:30])


def test_what_cannot_be_split() -> None:
    with pytest.raises(InputError, match="at least 2 different ones are needed"):
        split_held_out(["a"], [0], [None])
    with pytest.raises(InputError, match="only one picture in 3 near copies: at least"):
        split_held_out(["a", "b", "c"], [0, 0, 0], [None] * 3)
    for share in (0.0, -0.1, 0.6, float("nan")):
        with pytest.raises(InputError, match=r"held_out must be above 0 and at most 0\.5, got"):
            split_held_out(["a", "b"], [0, 1], [None] * 2, share)


@pytest.mark.parametrize(("labels", "size"), [(30, 4), (500, 2), (1000, 1), (40, 3), (7, 9)])
def test_a_tenth_over_all_labels_whatever_their_sizes(labels: int, size: int) -> None:
    contents, groups, names = singles(*((f"label {i}", size) for i in range(labels)))
    held = split_held_out(contents, groups, names)
    assert sum(held) == int(0.1 * labels * size + 0.5)
    per_label = Counter(name for name, h in zip(names, held, strict=True) if h)
    assert max(per_label.values()) - (0 if labels * size >= 10 * labels else 1) <= max(1, size // 10)
    if size > 1:
        assert all(n < size for n in per_label.values())


def test_small_labels_beside_a_large_one_give_their_share() -> None:
    contents, groups, names = singles(("large", 400), *((f"small {i}", 4) for i in range(100)))
    held = Counter(str(n).split()[0] for n, h in zip(names, split_held_out(contents, groups, names), strict=True) if h)
    assert held["large"] + held["small"] == 80 and 20 <= held["small"] <= 40
