"""Sheets with gaps and margins are cut where their cells are, or not at all."""

from pathlib import Path

import numpy as np
import pytest

from noisette.data import open_source
from noisette.errors import InputError

from .build import noise, put


def sheet(
    rows: int, columns: int, spacing: int, margin: int, fill: object, channels: int = 4, extrude: bool = False
) -> np.ndarray:
    """A sheet of different cells of 8×8."""
    h, w = (2 * margin + n * 8 + (n - 1) * spacing for n in (rows, columns))
    pixels = np.zeros((h, w, channels), np.uint8)
    pixels[:] = fill
    for r in range(rows):
        for c in range(columns):
            top, left = (margin + i * (8 + spacing) for i in (r, c))
            content = np.maximum(noise(100 * r + c, 8, 8, channels), 1)
            if extrude:
                content = np.pad(content, ((1, 1), (1, 1), (0, 0)), mode="edge")
                pixels[top - 1 : top + 9, left - 1 : left + 9] = content
            else:
                pixels[top : top + 8, left : left + 8] = content
    return pixels


def assert_cut(root: Path, pixels: np.ndarray, rows: int, columns: int) -> tuple[str, ...]:
    found = open_source(put(root / "sheet.png", pixels), cell=8)
    assert len(found.entries) == rows * columns
    for entry, (r, c) in zip(found.entries, np.ndindex(rows, columns), strict=True):
        expected = np.maximum(noise(100 * r + c, 8, 8, pixels.shape[2]), 1)
        assert (entry.read() == expected).all()
    return found.notes


@pytest.mark.parametrize(("spacing", "margin"), [(1, 0), (2, 0), (2, 1), (1, 1), (0, 3), (4, 2)])
@pytest.mark.parametrize(("rows", "columns"), [(4, 6), (9, 9), (1, 9), (8, 17)])
@pytest.mark.parametrize(("channels", "fill"), [(4, 0), (3, (255, 0, 255)), (4, (255, 0, 255, 255))])
def test_gaps_are_found_and_reported(tmp_path: Path, spacing, margin, rows, columns, channels, fill) -> None:
    notes = assert_cut(tmp_path, sheet(rows, columns, spacing, margin, fill, channels), rows, columns)
    assert notes[0].startswith(f"the sheet was cut with {spacing} pixels between cells and a margin of {margin}")


def test_edges_that_are_repeated_are_a_gap(tmp_path: Path) -> None:
    assert "cut with 2 pixels between" in assert_cut(tmp_path, sheet(4, 8, 2, 1, 0, 3, extrude=True), 4, 8)[0]


@pytest.mark.parametrize("channels", [3, 4])
def test_a_sheet_without_gaps_is_cut_as_ever(tmp_path: Path, channels: int) -> None:
    assert assert_cut(tmp_path, sheet(9, 9, 0, 0, 0, channels), 9, 9) == ()


def test_cells_with_clear_borders_are_no_gaps(tmp_path: Path) -> None:
    pixels = sheet(9, 9, 0, 0, 0)
    for i in range(9):
        pixels[8 * i] = pixels[8 * i + 7] = pixels[:, 8 * i] = pixels[:, 8 * i + 7] = 0
    assert len(open_source(put(tmp_path / "sheet.png", pixels), cell=8).entries) == 81


def test_a_sheet_that_fits_no_grid_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not a whole number of cells of 8×8, nor of such cells with empty lines"):
        open_source(put(tmp_path / "sheet.png", noise(0, 26, 35)), cell=8)
