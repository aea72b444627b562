import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from encoders import Counted
from noisette.edit.generate import ends, generate
from noisette.edit.hspace import Direction
from noisette.edit.kin import Kin
from noisette.edit.origin import Origin, again
from noisette.errors import InputError
from noisette.studio import breeding, drawing, editing, export, sliding, walking
from noisette.studio.kinds import Ask
from noisette.studio.live import WALKING, stepped
from noisette.studio.session import Board, Came, Walk
from noisette.studio.told import typed
from noisette.viz.png import png, read_png
from tiny_models import tiny


def finished(number: int = 3, **said: object) -> tuple[object, Walk]:
    model = tiny()
    way = drawing.way(model, **said)  # type: ignore[arg-type]
    *_, walk = drawing.walk(model, drawing.wish(model, "tiny", ["sword", "bread"], 5, number, way))
    return model, walk


def board(number: int = 3) -> Board:
    return Board().filled(drawing.cells(*finished(number)))


def test_a_walk_is_what_generate_draws_and_its_pictures_are_drawn_again() -> None:
    model, walk = finished(sampler="ddim", grid="logsnr", steps=5, guidance=2.0, eta=0.7, share=(0.2, 0.8))
    grid = model.grid(5, "logsnr")
    assert [float(s.t) for s in walk.states] == grid.tolist() and walk.done
    assert walk.wish.way.interval == (float(grid[4]), float(grid[1]))
    for cell in drawing.cells(model, walk):
        assert torch.equal(model.pictures.finished(again(model, cell.origin)), cell.pixels)
    assert [c.origin.label for c in drawing.cells(model, walk)] == ["sword", "bread", "sword"]


def test_words_are_asked_for_and_remembered() -> None:
    encoder = Counted()
    model = tiny(labels=(), wording=encoder.wording)
    assert model.reader is not None
    model.reader.encoder = encoder
    wish = drawing.wish(model, "words", [], 5, 2, drawing.way(model, steps=3), text="a red fish")
    assert wish.labels == (None, None) and wish.asked == ("a red fish",) * 2
    *_, walk = drawing.walk(model, wish)
    cells = drawing.cells(model, walk)
    assert [c.origin.text for c in cells] == ["a red fish"] * 2 and cells[0].asked == "a red fish"
    for cell in cells:
        assert torch.equal(model.pictures.finished(again(model, cell.origin)), cell.pixels)
    board = Board().filled(cells)
    assert breeding.more(board, 0, 20.0).texts == ("a red fish",) * breeding.FAMILY
    rejected = replace(board, rejected=frozenset([1]))
    assert breeding.replacements(rejected).texts == ("a red fish",)
    with pytest.raises(InputError, match="without text"):
        list(drawing.walk(tiny(), drawing.wish(tiny(), "tiny", [], 0, 1, drawing.way(tiny()), text="a fish")))


def test_guidance_outside_of_its_interval_is_none() -> None:
    _, never = finished(guidance=5.0, share=(1.0, 1.0))
    _, plain = finished(guidance=1.0)
    _, always = finished(guidance=5.0)
    assert torch.equal(never.states[-1].x, plain.states[-1].x)
    assert not torch.equal(always.states[-1].x, plain.states[-1].x)


def test_every_step_can_be_seen() -> None:
    model, walk = finished()
    shown = [drawing.seen(model, walk, k) for k in range(walk.steps + 1)]
    noisy = [drawing.seen(model, walk, k, noisy=True) for k in range(walk.steps + 1)]
    assert torch.equal(shown[0], noisy[0])  # nothing was seen yet
    assert torch.equal(shown[-1], noisy[-1])  # no noise is left
    assert not torch.equal(shown[2], noisy[2])


def test_branches_share_the_way_there() -> None:
    model, walk = finished()
    *_, same = drawing.branch(model, walk, 2)
    assert torch.equal(same.states[-1].x, walk.states[-1].x)
    *_, other = drawing.branch(model, walk, 2, seed=9, label="health potion")
    assert torch.equal(other.states[1].x, walk.states[1].x)
    assert not torch.equal(other.states[-1].x, walk.states[-1].x)
    assert other.steps == walk.steps and other.done and other.asked == ("health potion",) * 3
    assert other.wish == walk.wish  # what it was asked for before is not forgotten
    *_, anew = drawing.branch(model, walk, 0, seed=40)
    fresh = generate(model, range(40, 43), model.condition(["sword", "bread"], 3), model.sampler(), model.grid(), 1, 3)
    assert torch.equal(anew.states[-1].x, ends(fresh, model.grid()))


def test_the_first_ones_of_what_cannot_be_are_refused() -> None:
    model, walk = finished()
    way = drawing.way(model)
    for wrong, words in (
        (lambda: drawing.way(model, steps=5000), "1 to 1000"),
        (lambda: drawing.way(model, sampler="heun", eta=0.5), "η"),
        (lambda: drawing.way(model, share=(0.8, 0.2)), "never"),
        (lambda: drawing.wish(model, "tiny", [], 0, 65, way), "1 to 64"),
        (lambda: drawing.wish(model, "tiny", [], -1, 1, way), "0 or more"),
        (lambda: next(drawing.branch(model, walk, walk.steps)), "before the last"),
        (lambda: drawing.cells(model, Walk(walk.wish, walk.model, walk.states[:2])), "to its end"),
        (lambda: breeding.mutants(board(), 10), "keep a picture first"),
        (lambda: breeding.replacements(board()), "reject a picture first"),
        (lambda: board().keep(3), "it has 3"),
    ):
        with pytest.raises(InputError, match=words):
            wrong()


def test_a_walk_that_memory_does_not_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "MEMORY", 10_000)
    with pytest.raises(InputError, match="fewer"):
        finished()


def test_keeping_and_rejecting_exclude_each_other_and_can_be_taken_back() -> None:
    value = board()
    kept = value.keep(1)
    assert kept.kept == (value.cells[1],) and kept.keep(1).kept == ()
    assert kept.reject(1).kept == () and kept.reject(1).rejected == {1}
    assert kept.reject(1).keep(1).rejected == frozenset()
    assert kept.filled([]).kept == kept.kept  # the shelf outlives the grid
    assert kept.drop(0).kept == ()


def test_more_like_one_is_it_and_its_neighbours() -> None:
    value = board().filled(board().cells)
    wish = breeding.more(value, 1, 15)
    assert len(wish.kin) == breeding.FAMILY and set(wish.labels) == {"bread"}
    assert wish.kin[0] == Kin(6) and all(k.turns[0].degrees == 15 for k in wish.kin[1:])
    later = breeding.more(value.filled(value.cells), 1, 15)
    assert not {*wish.kin[1:]} & {*later.kin[1:]}  # asked again, there are others


def test_mutants_are_of_all_the_kept_and_replacements_of_the_rejected_alone() -> None:
    value = board().keep(0).keep(1).reject(2)
    wish = breeding.mutants(value, 40)
    assert [k.seed for k in wish.kin[:4]] == [5, 6, 5, 6] and wish.labels[:2] == ("sword", "bread")
    fresh = breeding.replacements(value)
    assert fresh.labels == ("sword",) and fresh.kin[0].seed not in (5, 6, 7)
    came = Came(board(1).cells, value.generation, (2,))
    after = value.keep(1).keep(1).placed(came)
    assert after.cells[:2] == value.cells[:2] and after.cells[2] is not value.cells[2] and len(after.kept) == 2


def test_what_comes_is_put_on_the_board_as_it_is_then() -> None:
    """What was kept while it was drawn stays kept; a board that was filled anew is not replaced in."""
    value = board().reject(2)
    came = Came(board(1).cells, value.generation, (2,))
    pressed = value.keep(0).keep(1)
    after = pressed.placed(came)
    assert after.kept == pressed.kept and after.cells[2] is came.cells[0] and after.rejected == frozenset()
    whole = pressed.placed(Came(board(1).cells, 0))
    assert len(whole.cells) == 1 and whole.kept == pressed.kept
    with pytest.raises(InputError, match="filled anew meanwhile"):
        after.placed(came)


def test_a_branch_is_no_parent() -> None:
    """Its noise leads to the picture that it left."""
    model, walk = finished()
    *_, branch = drawing.branch(model, walk, 2, label="health potion")
    cell = drawing.cells(model, branch)[0]
    assert (cell.origin.label, cell.asked) == ("sword", "health potion")
    value = Board().filled([cell]).keep(0)
    for wrong in (
        lambda: breeding.more(value, 0, 10),
        lambda: breeding.mutants(value, 10),
        lambda: next(walking.between(model, cell, cell, 4, True)),
    ):
        with pytest.raises(InputError, match="branched off after step 2"):
            wrong()
    with pytest.raises(InputError, match="is a branch itself"):
        next(drawing.branch(model, branch, 1))


def test_numbers_that_json_knows_and_nobody_means_are_refused() -> None:
    model = tiny(attributes=("hue",), means=(0.5,), scales=(0.2,))
    way = drawing.way(model)
    push = Direction("one", model.grid()[:-1], torch.zeros(4, 8, 4, 4))
    for wrong, words in (
        (lambda: drawing.way(model, guidance=math.nan), "a guidance of nan"),
        (lambda: drawing.way(model, guidance=math.inf), "a guidance of inf"),
        (lambda: next(sliding.gone(model, [push], [math.nan], way, None, 0, 1)), "gone along by -3 to 3"),
        (lambda: model.condition(None, 1, attributes={"hue": 1e300}), "'hue' is a number"),
        (lambda: Origin("m", 0, None, "ddim", "karras", 4, 2.0, 1, interval=(0.8, 0.2)), "damaged"),
    ):
        with pytest.raises(InputError, match=words):
            wrong()

    def asked(seed: int, far: float = 1.0, steps: int | None = None) -> tuple[int, float, int | None]:
        return seed, far, steps

    assert typed(asked)(4, far=2, steps=None) == (4, 2, None)
    for given, words in (
        ({"seed": 4.0}, "seed is 4.0: give a whole number"),
        ({"seed": True}, "seed is True"),
        ({"seed": "4"}, "seed is '4'"),
        ({"seed": 4, "steps": 2.5}, "steps is 2.5: give a whole number"),
        ({"seed": 4, "far": "2"}, "far is '2': give a number"),
    ):
        with pytest.raises(InputError, match=words):
            typed(asked)(**given)


def test_steps_are_taken_while_nobody_elses_are() -> None:
    def walk() -> Iterator[bool]:
        for _ in range(3):
            yield WALKING.locked()

    assert list(stepped(walk())) == [True] * 3 and not WALKING.locked()
    model = tiny()
    ask = Ask("vary it", number=1)
    seen: list[bool] = []
    model.net.register_forward_hook(lambda *_: seen.append(WALKING.locked()))
    picture = png(torch.full((1, 4, 8, 8), 200, dtype=torch.uint8))
    list(editing.edited(model, picture, ask, drawing.way(model)))
    list(drawing.walk(model, drawing.wish(model, "tiny", [], 0, 1, drawing.way(model))))
    assert len(seen) > 6 and all(seen)


def test_exported_files_say_how_they_were_drawn(tmp_path) -> None:
    model, walk = finished()
    *_, branch = drawing.branch(model, walk, 2, seed=9)
    cells = [*drawing.cells(model, walk), *drawing.cells(model, branch)]
    files = export.named(cells)
    assert list(files)[:4] == ["sword-000005.png", "bread-000006.png", "sword-000007.png", "sword-000005-2.png"]
    told = []
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        told.append(read_png(tmp_path / name)[1])
    assert "branch" not in told[0] and told[3]["branch"] == {"step": 2, "seed": 9, "label": None}
    assert export.archive(cells) == export.archive(cells)
