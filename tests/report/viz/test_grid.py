import sys

import pytest
import torch

from noisette.data.contact_sheet import (
    BACKGROUND,
    CHECKER_COLORS,
    TEXT_COLOR,
    CaptionFont,
    LabeledRow,
    contact_sheet,
    enlarge,
    fit_scale,
    flatten_alpha,
    labeled_sheet,
)
from noisette.data.png import from_image, to_image


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("number", [1, 2, 7, 12])
def test_every_pixel_is_drawn_as_a_square_in_its_place(channels: int, number: int) -> None:
    pictures = torch.randint(0, 256, (number, channels, 8, 10), dtype=torch.uint8)
    made = from_image(contact_sheet(pictures, columns=3, scale=2))[0]
    for i, picture in enumerate(pictures):
        top, left = i // 3 * 18, i % 3 * 22
        tile = made[:, top : top + 16, left : left + 20]
        assert torch.equal(tile, picture.repeat_interleave(2, 1).repeat_interleave(2, 2))
    assert made.shape == (channels, -(-number // 3) * 18 - 2, 64)
    gap = made[:, :, 20:22]
    assert (gap == (0 if channels in (2, 4) else 255)).all()  # transparent, or white


def test_sheets_are_about_square_and_not_too_large() -> None:
    for number, side in ((64, 16), (64, 32), (9, 8), (1, 16), (400, 64)):
        image = contact_sheet(torch.zeros(number, 3, side, side, dtype=torch.uint8))
        assert abs(image.width - image.height) <= (side + 1) * 16
        assert image.width <= 768 or fit_scale(1, side) == 1 or number == 400


def test_no_color_is_invented_by_enlarging() -> None:
    picture = torch.randint(0, 256, (1, 4, 8, 8), dtype=torch.uint8)
    before = set(map(tuple, picture[0].flatten(1).T.tolist()))
    after = set(map(tuple, from_image(enlarge(to_image(picture), 7))[0].flatten(1).T.tolist()))
    assert before == after


def test_transparency_is_shown_as_a_checkerboard() -> None:
    clear = to_image(torch.zeros(1, 4, 8, 8, dtype=torch.uint8))
    assert sorted(flatten_alpha(clear, 2).getcolors()) == sorted((32, color) for color in CHECKER_COLORS)
    half = torch.zeros(1, 4, 8, 8, dtype=torch.uint8)
    half[:, 0], half[:, 3] = 255, 128
    assert {c for _, c in flatten_alpha(to_image(half), 2).getcolors()} == {(255, 127, 127), (240, 113, 115)}
    opaque = torch.randint(0, 256, (1, 3, 8, 8), dtype=torch.uint8)
    assert torch.equal(from_image(flatten_alpha(to_image(opaque), 2)), opaque)


def test_labeled_rows_hold_captions_and_pictures() -> None:
    red = torch.zeros(3, 3, 8, 8, dtype=torch.uint8)
    red[:, 0] = 255
    image = labeled_sheet([LabeledRow("reds", red), LabeledRow("one", red[:1])], "A title", ["1", "2", "3"], scale=2)
    pixels = from_image(image)[0]
    assert (pixels == torch.tensor([255, 0, 0]).reshape(3, 1, 1)).all(0).sum() == 4 * 16 * 16
    left = pixels[:, :, :40]
    assert (left == torch.tensor(TEXT_COLOR).reshape(3, 1, 1)).all(0).any()
    assert tuple(pixels[:, 0, 0].tolist()) == BACKGROUND
    bare = labeled_sheet([LabeledRow("", red)], scale=2)
    assert bare.width == 12 + 3 * 18 - 2 + 12


@pytest.mark.parametrize("wide", [True, False])
def test_captions_of_any_alphabet(monkeypatch, wide: bool) -> None:
    if not wide:
        monkeypatch.setattr(sys.modules[CaptionFont.__module__], "_find_unicode_font", lambda: None)
    letters = CaptionFont(15, "Épée Тест")
    assert letters.to_legible("Épée") == ("Épée" if not letters.ascii_only else "Epee")
    assert letters.to_legible("Тест") == ("Тест" if not letters.ascii_only else "????")
    assert letters.width("Épée") > 0
    assert wide or letters.ascii_only
    assert CaptionFont(15, "plain").ascii_only
