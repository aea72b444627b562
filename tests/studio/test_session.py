import math
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from encoders import Counted
from noisette.data import prepare
from noisette.data.palette import Palette
from noisette.data.palette_lock import PaletteLock
from noisette.data.png import encode_png, read_png
from noisette.edit.hspace import Direction
from noisette.errors import InputError
from noisette.models.config import from_json
from noisette.sampling.generate import final_samples, generate
from noisette.sampling.record import SampleRecord
from noisette.sampling.run import reproduce
from noisette.studio import board_requests as breeding
from noisette.studio import directions as sliding
from noisette.studio import editing, export, keep_tab
from noisette.studio import interpolation as walking
from noisette.studio import trajectories as drawing
from noisette.studio.edit_kinds import EditRequest
from noisette.studio.previews import MODEL_LOCK, lock_steps
from noisette.studio.session import Board, BoardUpdate, Trajectory
from noisette.studio.type_checks import check_types
from noisette.studio.workspace import Workspace
from tiny_models import tiny


def finished(number: int = 3, **settings: object) -> tuple[object, Trajectory]:
    model = tiny()
    way = drawing.make_settings(model, **settings)  # type: ignore[arg-type]
    *_, walk = drawing.draw_trajectory(model, drawing.make_request(model, "tiny", ["sword", "bread"], 5, number, way))
    return model, walk


def board(number: int = 3) -> Board:
    return Board().with_samples(drawing.make_samples(*finished(number)))


def test_trajectory_uses_the_settings_and_its_samples_can_be_reproduced() -> None:
    model, walk = finished(sampler="ddim", grid="logsnr", steps=5, guidance=2.0, eta=0.7, guided_range=(0.2, 0.8))
    grid = model.grid(5, "logsnr")
    assert [float(s.t) for s in walk.states] == grid.tolist() and walk.is_finished
    assert walk.request.interval == (float(grid[4]), float(grid[1]))
    for cell in drawing.make_samples(model, walk):
        assert torch.equal(model.pictures.decode_samples(reproduce(model, cell.record)), cell.pixels)
    assert [c.record.label for c in drawing.make_samples(model, walk)] == ["sword", "bread", "sword"]


def test_text_is_used_and_recorded() -> None:
    encoder = Counted()
    model = tiny(labels=(), wording=encoder.info)
    assert model.text_encoder is not None
    model.text_encoder.encoder = encoder
    prepared = drawing.make_request(model, "words", [], 5, 2, drawing.make_settings(model, steps=3), text="a red fish")
    assert prepared.request.labels == (None, None) and prepared.request.prompts == ("a red fish",) * 2
    *_, walk = drawing.draw_trajectory(model, prepared)
    cells = drawing.make_samples(model, walk)
    assert [c.record.text for c in cells] == ["a red fish"] * 2 and cells[0].prompt == "a red fish"
    for cell in cells:
        assert torch.equal(model.pictures.decode_samples(reproduce(model, cell.record)), cell.pixels)
    board = Board().with_samples(cells)
    assert breeding.request_neighbors(board, 0, 20.0).request.texts == ("a red fish",) * breeding.DEFAULT_COUNT
    rejected = replace(board, rejected=frozenset([1]))
    assert breeding.request_replacements(rejected).request.texts == ("a red fish",)
    with pytest.raises(InputError, match="without text"):
        list(
            drawing.draw_trajectory(
                tiny(), drawing.make_request(tiny(), "tiny", [], 0, 1, drawing.make_settings(tiny()), text="a fish")
            )
        )


def test_guidance_has_no_effect_outside_its_interval() -> None:
    _, never = finished(guidance=5.0, guided_range=(1.0, 1.0))
    _, plain = finished(guidance=1.0)
    _, always = finished(guidance=5.0)
    assert torch.equal(never.states[-1].x, plain.states[-1].x)
    assert not torch.equal(always.states[-1].x, plain.states[-1].x)


def test_every_step_can_be_decoded() -> None:
    model, walk = finished()
    shown = [drawing.decode_step(model, walk, k) for k in range(walk.num_steps + 1)]
    noisy = [drawing.decode_step(model, walk, k, noisy=True) for k in range(walk.num_steps + 1)]
    assert torch.equal(shown[0], noisy[0])  # at first, the preview is the noise
    assert torch.equal(shown[-1], noisy[-1])  # at the end, there is no noise
    assert not torch.equal(shown[2], noisy[2])


def test_branches_share_the_earlier_steps() -> None:
    model, walk = finished()
    *_, same = drawing.draw_branch(model, walk, 2)
    assert torch.equal(same.states[-1].x, walk.states[-1].x)
    *_, other = drawing.draw_branch(model, walk, 2, seed=9, label="health potion")
    assert torch.equal(other.states[1].x, walk.states[1].x)
    assert not torch.equal(other.states[-1].x, walk.states[-1].x)
    assert other.num_steps == walk.num_steps and other.is_finished and other.prompts == ("health potion",) * 3
    assert other.request == walk.request  # the original request is kept
    *_, anew = drawing.draw_branch(model, walk, 0, seed=40)
    fresh = generate(model, range(40, 43), model.condition(["sword", "bread"], 3), model.sampler(), model.grid(), 1, 3)
    assert torch.equal(anew.states[-1].x, final_samples(fresh, model.grid()))


def test_invalid_settings_are_refused() -> None:
    model, walk = finished()
    way = drawing.make_settings(model)
    for wrong, words in (
        (lambda: drawing.make_settings(model, steps=5000), "steps must be at most 1000, got 5000"),
        (lambda: drawing.make_settings(model, sampler="heun", eta=0.5), "eta is an option of ddim"),
        (lambda: drawing.make_settings(model, guided_range=(0.8, 0.2)), "guided range must be"),
        (lambda: drawing.make_request(model, "tiny", [], 0, 65, way), "number must be at most 64, got 65"),
        (
            lambda: drawing.make_request(model, "tiny", [], -1, 1, way),
            "seed must be a whole number of at least 0, got -1",
        ),
        (
            lambda: drawing.make_request(model, "tiny", [], 2**64 - 1, 1, way),
            "seed must be at most 1844674407370955161",
        ),
        (lambda: next(drawing.draw_branch(model, walk, 1, seed=2**64)), "seed must be at most 1844674407370955161"),
        (lambda: drawing.make_request(model, "tiny", [], 0, 1, way, text="a" * 3000), "text may have at most 2000"),
        (lambda: next(drawing.draw_branch(model, walk, walk.num_steps)), "before the last"),
        (lambda: drawing.make_samples(model, Trajectory("tiny", walk.request, walk.states[:2])), "to its end"),
        (lambda: breeding.request_mutants(board(), 10), "keep a picture first"),
        (lambda: breeding.request_replacements(board()), "reject a picture first"),
        (lambda: board().toggle_kept(3), "there are 3"),
    ):
        with pytest.raises(InputError, match=words):
            wrong()


def test_trajectory_too_large_for_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "MAX_STATE_BYTES", 10_000)
    with pytest.raises(InputError, match="fewer"):
        finished()


def test_keep_and_reject_are_exclusive_and_can_be_undone() -> None:
    value = board()
    kept = value.toggle_kept(1)
    assert kept.kept == (value.samples[1],) and kept.toggle_kept(1).kept == ()
    assert kept.toggle_rejected(1).kept == () and kept.toggle_rejected(1).rejected == {1}
    assert kept.toggle_rejected(1).toggle_kept(1).rejected == frozenset()
    assert kept.with_samples([]).kept == kept.kept  # kept samples stay when the grid is replaced
    assert kept.remove_kept(0).kept == ()


def test_neighbors_are_inserted_after_their_parent() -> None:
    value = board().with_samples(board().samples)
    request = breeding.request_neighbors(value, 1, 15).request
    assert len(request.lineages) == breeding.DEFAULT_COUNT and set(request.labels) == {"bread"}
    assert all(k.seed == 6 and k.rotations[0].degrees == 15 for k in request.lineages)
    marked = value.toggle_kept(1).toggle_rejected(0).toggle_rejected(2)
    after = marked.apply_update(BoardUpdate(board(2).samples, marked.generation, index=2))
    assert after.samples[:2] + after.samples[4:] == value.samples and len(after.samples) == 5
    assert after.kept == marked.kept and after.rejected == {0, 4}
    later = breeding.request_neighbors(after, 1, 15).request
    assert not {*request.lineages} & {*later.lineages}  # a second request gives other neighbors
    with pytest.raises(InputError, match="holds at most 192 pictures"):
        breeding.request_neighbors(value.with_samples(value.samples * 61), 1, 15)


def test_mutants_of_kept_and_replacements_of_rejected_samples() -> None:
    value = board().toggle_kept(0).toggle_kept(1).toggle_rejected(2)
    request = breeding.request_mutants(value, 40).request
    assert [k.seed for k in request.lineages[:4]] == [5, 6, 5, 6] and request.labels[:2] == ("sword", "bread")
    fresh = breeding.request_replacements(value).request
    assert fresh.labels == ("sword",) and fresh.lineages[0].seed not in (5, 6, 7)
    came = BoardUpdate(board(1).samples, value.generation, (2,))
    after = value.toggle_kept(1).toggle_kept(1).apply_update(came)
    assert after.samples[:2] == value.samples[:2] and after.samples[2] is not value.samples[2] and len(after.kept) == 2


def test_update_applies_to_the_current_board() -> None:
    """Samples kept during sampling stay kept; replacements for an older grid are refused."""
    value = board().toggle_rejected(2)
    came = BoardUpdate(board(1).samples, value.generation, (2,))
    pressed = value.toggle_kept(0).toggle_kept(1)
    after = pressed.apply_update(came)
    assert after.kept == pressed.kept and after.samples[2] is came.samples[0] and after.rejected == frozenset()
    whole = pressed.apply_update(BoardUpdate(board(1).samples, 0))
    assert len(whole.samples) == 1 and whole.kept == pressed.kept
    with pytest.raises(InputError, match="replaced meanwhile"):
        after.apply_update(came)


def test_branches_cannot_be_parents() -> None:
    """The noise of a branch gives the picture that it branched off from, not the branch."""
    model, walk = finished()
    *_, branch = drawing.draw_branch(model, walk, 2, label="health potion")
    cell = drawing.make_samples(model, branch)[0]
    assert (cell.record.label, cell.prompt) == ("sword", "health potion")
    value = Board().with_samples([cell]).toggle_kept(0)
    for wrong in (
        lambda: breeding.request_neighbors(value, 0, 10),
        lambda: breeding.request_mutants(value, 10),
        lambda: next(walking.draw_interpolation(model, cell, cell, 4, True)),
    ):
        with pytest.raises(InputError, match="branched off after step 2"):
            wrong()
    with pytest.raises(InputError, match="is a branch itself"):
        next(drawing.draw_branch(model, branch, 1))


def test_nan_infinite_and_mistyped_numbers_are_refused() -> None:
    model = tiny(attributes=("hue",), means=(0.5,), scales=(0.2,))
    way = drawing.make_settings(model)
    push = Direction("one", model.grid()[:-1], torch.zeros(4, 8, 4, 4))
    for wrong, words in (
        (lambda: drawing.make_settings(model, guidance=math.nan), "guidance must be between -100 and 100, got nan"),
        (lambda: drawing.make_settings(model, guidance=math.inf), "guidance must be between -100 and 100, got inf"),
        (
            lambda: next(sliding.draw_moved(model, [push], [math.nan], way, None, 0, 1)),
            "strength of a direction must be between -3 and 3",
        ),
        (lambda: model.condition(None, 1, attributes={"hue": 1e300}), "'hue' is a number"),
        (
            lambda: SampleRecord(
                model="m",
                seed=0,
                label=None,
                sampler="ddim",
                grid="karras",
                steps=4,
                guidance=2.0,
                batch=1,
                interval=(0.8, 0.2),
            ),
            "guidance interval must be",
        ),
    ):
        with pytest.raises(InputError, match=words):
            wrong()

    def function(seed: int, far: float = 1.0, steps: int | None = None) -> tuple[int, float, int | None]:
        return seed, far, steps

    assert check_types(function)(4, far=2, steps=None) == (4, 2, None)
    for given, words in (
        ({"seed": 4.0}, "seed must be an integer, got 4.0"),
        ({"seed": True}, "seed must be an integer, got True"),
        ({"seed": "4"}, "seed must be an integer, got '4'"),
        ({"seed": 4, "steps": 2.5}, "steps must be an integer, got 2.5"),
        ({"seed": 4, "far": "2"}, "far must be a number, got '2'"),
    ):
        with pytest.raises(InputError, match=words):
            check_types(function)(**given)


def test_steps_hold_the_model_lock() -> None:
    def walk() -> Iterator[bool]:
        for _ in range(3):
            yield MODEL_LOCK.locked()

    assert list(lock_steps(walk())) == [True] * 3 and not MODEL_LOCK.locked()
    model = tiny()
    request = EditRequest("vary", number=1)
    seen: list[bool] = []
    model.net.register_forward_hook(lambda *_: seen.append(MODEL_LOCK.locked()))
    picture = encode_png(torch.full((1, 4, 8, 8), 200, dtype=torch.uint8))
    list(editing.stream_edit(model, picture, request, drawing.make_settings(model)))
    list(drawing.draw_trajectory(model, drawing.make_request(model, "tiny", [], 0, 1, drawing.make_settings(model))))
    assert len(seen) > 6 and all(seen)


def test_exported_files_contain_their_settings(tmp_path) -> None:
    model, walk = finished()
    *_, branch = drawing.draw_branch(model, walk, 2, seed=9)
    cells = [*drawing.make_samples(model, walk), *drawing.make_samples(model, branch)]
    files = export.encode_pngs(cells)
    assert list(files)[:4] == ["sword-000005.png", "bread-000006.png", "sword-000007.png", "sword-000005-2.png"]
    metadata = []
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        metadata.append(read_png(tmp_path / name)[1])
    assert "branch" not in metadata[0] and metadata[3]["branch"] == {"step": 2, "seed": 9, "label": None}
    assert export.encode_archive(cells) == export.encode_archive(cells)


def test_exported_pictures_are_locked_to_a_palette(tmp_path) -> None:
    """As `noisette sample --lock` writes them: the record draws them again. Sheets of every engine hold the palette."""
    model, walk = finished()
    cells = drawing.make_samples(model, walk)
    colors = ("#202020", "#ff8000", "#ffffff")
    locked = export.lock_samples(cells, PaletteLock(colors, binary_alpha=True))
    assert export.lock_samples(cells, None) == tuple(cells)
    for name, content in export.encode_pngs(locked).items():
        (tmp_path / name).write_bytes(content)
        pixels, metadata = read_png(tmp_path / name)
        record = from_json(SampleRecord, metadata, name)
        assert record.lock is not None and record.lock.colors == colors
        assert torch.equal(record.finish(model.pictures.decode_samples(reproduce(model, record))), pixels)
    for kind in keep_tab.GAME_SHEETS.values():
        with zipfile.ZipFile(BytesIO(export.encode_game_sheet(locked, kind))) as archive:
            assert len(archive.namelist()) >= 2
            with Image.open(BytesIO(archive.read("sheet.png"))) as image:
                assert image.mode == "P" and image.getpalette()[:9] == [32, 32, 32, 255, 128, 0, 255, 255, 255]


def test_palettes_in_the_page(tmp_path) -> None:
    """Typed colors are never taken for a file; those of the training pictures are found in the run's folder."""
    assert keep_tab.parse_colors("#202020,#FF8000  #ffffff") == ("#202020", "#ff8000", "#ffffff")
    Palette(("#000000",)).write(tmp_path / "a.gpl")
    with pytest.raises(InputError, match="no color"):
        keep_tab.parse_colors(str(tmp_path / "a.gpl"))
    tab = keep_tab.KeepTab(Workspace(tmp_path))
    assert tab.read_palette(str(tmp_path / "a.gpl")) == "#000000"
    some = board().toggle_kept(0)
    with pytest.raises(InputError, match="has no training pictures here"):
        tab.learn_palette(some)
    with pytest.raises(InputError, match="no kept pictures"):
        tab.learn_palette(Board())
    pixels = 255 * np.random.default_rng(0).integers(0, 2, (30, 8, 8, 1), np.uint8)
    np.save(tmp_path / "set.npy", np.repeat(pixels, 3, axis=3))
    prepare(tmp_path / "set.npy", tmp_path / "tiny")
    tiny().save_pretrained(tmp_path / "tiny" / "model")
    found = keep_tab.parse_colors(tab.learn_palette(some))
    assert set(found) == {"#000000", "#ffffff"}
