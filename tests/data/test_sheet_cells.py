"""Sheets cut by a given margin and spacing, and by the empty lines between pictures (`--cell auto`)."""

import json
import time
from pathlib import Path

import numpy as np
import pytest

from noisette.data import Cells, open_source, prepare, scan, sheet_gutters
from noisette.data.sprite_sheet import make_cells
from noisette.errors import InputError
from noisette.training import TrainOptions, train
from noisette.training.resume import prepare_data

from .build import noise, put

CLEAR = (0, 0, 0, 0)
MAGENTA = (255, 0, 255, 255)


def cell(number: int, height: int = 8, width: int = 8, channels: int = 4) -> np.ndarray:
    """A picture without a transparent pixel, and unlike all others."""
    return np.maximum(noise(number, height, width, channels), 1)


def regular(rows: int, columns: int, size: tuple[int, int], spacing: int, margin: int, fill: object) -> np.ndarray:
    """A sheet of `cell`s of (height, width)."""
    h, w = (2 * margin + n * s + (n - 1) * spacing for n, s in zip((rows, columns), size, strict=True))
    pixels = np.zeros((h, w, 4), np.uint8)
    pixels[:] = fill
    for r, c in np.ndindex(rows, columns):
        top, left = (margin + i * (s + spacing) for i, s in zip((r, c), size, strict=True))
        pixels[top : top + size[0], left : left + size[1]] = cell(100 * r + c, *size)
    return pixels


def scattered(places: list[tuple[int, int, int, int]], shape: tuple[int, int], fill: object = CLEAR) -> np.ndarray:
    """A sheet with a picture at each (top, left, height, width)."""
    pixels = np.zeros((*shape, 4), np.uint8)
    pixels[:] = fill
    for i, (top, left, h, w) in enumerate(places):
        pixels[top : top + h, left : left + w] = cell(i, h, w)
    return pixels


# ── margin and spacing ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("spacing", "margin"), [(0, 0), (3, 0), (0, 12), (11, 5)])
def test_given_grids_need_no_empty_lines(spacing: int, margin: int, tmp_path: Path) -> None:
    """Lines between cells that hold noise are skipped: nothing is guessed."""
    pixels = regular(3, 5, (6, 9), spacing, margin, noise(9, 1, 1, 4)[0, 0] | 1)
    pixels[noise(7, *pixels.shape[:2], 1)[..., 0] > 250] |= 1
    found = open_source(put(tmp_path / "sheet.png", pixels), cell=Cells((6, 9), spacing, margin))
    assert [e.name for e in found.entries] == [f"row {r:03d}, column {c:03d}" for r, c in np.ndindex(3, 5)]
    for entry, (r, c) in zip(found.entries, np.ndindex(3, 5), strict=True):
        top, left = margin + r * (6 + spacing), margin + c * (9 + spacing)
        assert np.array_equal(entry.read(), pixels[top : top + 6, left : left + 9])
    assert f"with {spacing} pixels between cells and a margin of {margin}, as requested" in found.notes[-1]


def test_what_would_fit_is_said_and_does_fit(tmp_path: Path) -> None:
    """69×35 pixels: four by two cells of 16 with a gap of 1 fill 67×33, with a margin of 1 all of it."""
    path = put(tmp_path / "sheet.png", noise(1, 35, 69, 3))
    words = (
        "69×35, which is not a whole number of cells of 16×16 with a spacing of 1 and a margin of 0: a spacing of 1 "
    )
    with pytest.raises(InputError, match=words + "and a margin of 1 would fit them; cells that fit") as error:
        open_source(path, cell=Cells(16, 1))
    assert len(open_source(path, cell=Cells(16, 1, 1)).entries) == 8
    words = "cells that fit with this spacing and margin are 13 or 22 wide and 11 or 17 high"
    assert str(error.value).endswith(words) and "\n" not in str(error.value)
    assert len(open_source(path, cell=Cells((11, 13), 1)).entries) == 15
    assert len(open_source(path, cell=Cells((17, 22), 1)).entries) == 6
    with pytest.raises(InputError, match=r"cells that fit are 1 or 53 wide and 1 or 59 high$"):
        open_source(put(tmp_path / "prime.png", noise(2, 59, 53)), cell=Cells(40, 0))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((16, -1), "spacing must be 0 to 16384 pixels, got -1"), ((16, 0, 20000), "margin must be 0 to 16384"),
        (("auto", 0), "spacing must be 1 to 16384 pixels, got 0"), (("auto", 1, 1), "margin belongs to cells"),
        ((0,), "cell must be at least 1×1 pixels, got 0×0"), ((None, 1), "give the size of its cells, too"),
    ],
)  # fmt: skip
def test_options_that_do_not_go_together(arguments, words: str) -> None:
    with pytest.raises(InputError, match=words):
        make_cells(*arguments)


def test_the_grid_is_kept_in_the_run(tmp_path: Path) -> None:
    """A run resumes with the same grid, and says which it was for another one; pixels that are lost are made again."""
    path = put(tmp_path / "sheet.png", regular(4, 5, (8, 8), 1, 2, MAGENTA))
    run, more = tmp_path / "run", {"images": 8, "batch": 8, "preset": "tiny", "precision": "fp32", "evaluations": 0}
    net = {"model": {"net": {"channels": [16, 16], "blocks": 1, "groups": 4, "time_channels": 16}}}
    options = TrainOptions(cell=(8, 8), spacing=1, margin=2, recipe=net, start_from="none", **more)  # type: ignore[arg-type]
    train(path, run, options)
    stored = json.loads((run / "config.json").read_text())["options"]
    assert (stored["cell"], stored["spacing"], stored["margin"]) == ([8, 8], 1, 2)
    before = (run / "data/pixels.npy").read_bytes()
    (run / "data/pixels.npy").unlink()
    assert len(prepare_data(path, run, options).manifest.files) == 20
    assert (run / "data/pixels.npy").read_bytes() == before
    with pytest.raises(InputError, match=r"was started with --spacing 1, not without --spacing: give the same options"):
        train(path, run, TrainOptions(cell=(8, 8), recipe=net, start_from="none", **more))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"was started with --cell 8x8, not with --cell auto"):
        train(path, run, TrainOptions(cell="auto", recipe=net, start_from="none", **more))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="holds another data set"):
        prepare(path, run, cell=Cells((17, 8), 1, 2))


# ── auto ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("rows", "columns"), [(3, 5), (1, 4), (6, 1)])
@pytest.mark.parametrize(
    ("spacing", "margin", "fill"), [(1, 0, CLEAR), (2, 1, MAGENTA), (5, 0, MAGENTA), (1, 3, CLEAR)]
)
def test_regular_cells_are_found(rows, columns, spacing, margin, fill, tmp_path: Path) -> None:
    path = put(tmp_path / "sheet.png", regular(rows, columns, (8, 11), spacing, margin, fill))
    found = open_source(path, cell="auto")
    for entry, (r, c) in zip(found.entries, np.ndindex(rows, columns), strict=True):
        assert entry.name == f"row {r:03d}, column {c:03d}" and np.array_equal(entry.read(), cell(100 * r + c, 8, 11))
    assert found.notes[-1] == f"cells found by the empty lines between them: {columns}×{rows} of 11×8 pixels"


def test_cells_that_touch_but_have_clear_edges_keep_their_size(tmp_path: Path) -> None:
    """Sprites of different sizes, each in the middle of a cell of 16 pixels; trailing cells are empty."""
    pixels = np.zeros((48, 64, 4), np.uint8)
    for number, (r, c) in enumerate([(r, c) for r in range(3) for c in range(4)][:-1]):
        h, w = 14 - 2 * (number % 4), 8 + 2 * (number % 3)
        top, left = 16 * r + (16 - h) // 2, 16 * c + (16 - w) // 2
        pixels[top : top + h, left : left + w] = cell(number, h, w)
    found = open_source(put(tmp_path / "sheet.png", pixels), cell="auto")
    assert len(found.entries) == 11 and found.notes[0] == "empty cells, left out: 1"
    assert {e.read().shape for e in found.entries} == {(16, 16, 4)}
    assert np.array_equal(found.entries[5].read(), pixels[16:32, 16:32])


PLACES = [(1, 2, 9, 7), (1, 12, 5, 20), (9, 14, 3, 3), (9, 20, 4, 9), (15, 1, 16, 12), (17, 15, 6, 6), (25, 16, 3, 10)]


@pytest.mark.parametrize("fill", [CLEAR, MAGENTA])
def test_pictures_off_any_grid_are_found(fill, tmp_path: Path) -> None:
    """Each is cut by empty rows and columns, some within a row of others, and centered on the largest size."""
    sheet = scattered(PLACES, (33, 40), fill)
    sheet[32, 39] = (1, 2, 3, 255)  # a speck
    found = open_source(put(tmp_path / "sheet.png", sheet if fill == CLEAR else sheet[..., :3]), cell="auto")
    channels = 4 if fill == CLEAR else 3
    assert [e.name for e in found.entries] == [f"x {left:05d}, y {top:05d}" for top, left, *_ in PLACES]
    for i, (entry, (_, _, h, w)) in enumerate(zip(found.entries, PLACES, strict=True)):
        expected = np.zeros((16, 20, channels), np.uint8)
        expected[:] = fill[:channels]
        top, left = (16 - h) // 2, (20 - w) // 2
        expected[top : top + h, left : left + w] = cell(i, h, w)[..., :channels]
        assert np.array_equal(entry.read(), expected)
    assert found.notes == (
        "pictures found between empty rows and columns: 7; each is centered on 20×16 pixels, and the largest is that "
        "at x 1, y 15",
        "specks of at most 2×2 pixels, left out: 1",
    )
    assert scan(found).to_json()["sizes"] == {"20×16": 7}


def test_the_smallest_gap_keeps_parts_together(tmp_path: Path) -> None:
    """Pictures with an empty row of their own, three pixels apart."""
    pixels = scattered([(0, 0, 3, 5), (4, 0, 6, 5), (0, 8, 10, 7), (0, 18, 2, 9), (3, 18, 5, 9)], (10, 27))
    path = put(tmp_path / "sheet.png", pixels)
    assert len(open_source(path, cell="auto").entries) == 5
    entries = open_source(path, cell=Cells("auto", 2)).entries
    assert [e.name for e in entries] == ["x 00000, y 00000", "x 00008, y 00000", "x 00018, y 00000"]


@pytest.mark.parametrize("seed", range(6))
def test_random_packings_are_found(seed: int, tmp_path: Path) -> None:
    """Shelves of pictures of random sizes with random gaps: every picture, whole, and nothing else."""
    rng, places, top = np.random.default_rng(seed), [], int(np.random.default_rng(seed).integers(0, 4))
    for _ in range(6):
        left, high = int(rng.integers(0, 5)), 0
        for _ in range(int(rng.integers(2, 9))):
            h, w = (int(n) for n in rng.integers(3, 22, 2))
            places.append((top, left, h, w))
            left, high = left + w + int(rng.integers(1, 6)), max(high, h)
        top += high + int(rng.integers(1, 6))
    sheet = scattered(places, (top + 2, 260))
    found = open_source(put(tmp_path / "sheet.png", sheet), cell="auto")
    side = max(p[2] for p in places), max(p[3] for p in places)
    assert len(found.entries) == len(places)
    for i, (entry, (_, _, h, w)) in enumerate(zip(found.entries, places, strict=True)):
        content, (y, x) = entry.read(), ((side[0] - h) // 2, (side[1] - w) // 2)
        assert content.shape == (*side, 4) and np.array_equal(content[y : y + h, x : x + w], cell(i, h, w))
        assert np.count_nonzero(content[..., 3]) == h * w


def test_a_long_strip_with_few_pictures_takes_seconds(tmp_path: Path) -> None:
    """Of ten thousand steps from one cell to the next, few go with the length of the sheet."""
    strip = np.zeros((16, 16000, 4), np.uint8)
    strip[5:10, :5] = strip[5:10, 15000:15010] = 255
    start = time.process_time()
    source = open_source(put(tmp_path / "a.png", strip), cell="auto")
    assert time.process_time() - start < 15 and len(source.entries) == 2


def test_sheets_without_gaps_are_refused(tmp_path: Path) -> None:
    for name, pixels in {"noise": noise(0, 32, 32, 4), "one": scattered([(3, 4, 9, 9)], (20, 20)),
                         "blank": np.zeros((9, 9, 4), np.uint8)}.items():  # fmt: skip
        path = put(tmp_path / f"{name}.png", pixels)
        with pytest.raises(InputError, match=r"has no two pictures with an empty row or column between them: give"):
            open_source(path, cell="auto")


def test_a_sheet_of_dots_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A region in every second pixel of every second row."""
    monkeypatch.setattr(sheet_gutters, "MAX_REGIONS", 2000)
    pixels = np.zeros((100, 100, 2), np.uint8)
    pixels[::2, ::2] = 255
    with pytest.raises(InputError, match="has more than 2,000 regions with empty rows or columns between them: give"):
        open_source(put(tmp_path / "dots.png", pixels), cell="auto")


def test_cells_of_real_sheets(tmp_path: Path) -> None:
    """Icons in cells of 16 pixels, some drawn to their edges."""
    pytest.importorskip("fugue_icons")
    icons = [e.read() for e in open_source("icons").entries[:60]]
    for spacing in (1, 2):
        sheet = np.zeros((6 * 16 + 5 * spacing, 160 + 9 * spacing, 4), np.uint8)
        for i, (r, c) in enumerate(np.ndindex(6, 10)):
            sheet[r * (16 + spacing) :, c * (16 + spacing) :][:16, :16] = icons[i]
        path = put(tmp_path / f"{spacing}.png", sheet)
        found = open_source(path, cell="auto")
        assert len(found.entries) == 60
        assert all(np.array_equal(e.read(), icon) for e, icon in zip(found.entries, icons, strict=True))
