import pytest
import torch

from noisette.viz import caption
from noisette.viz.grid import CHECKS, INK, PAPER, Row, enlarged, fitting, labelled, sheet, shown
from noisette.viz.png import from_image, to_image


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("number", [1, 2, 7, 12])
def test_every_pixel_of_every_picture_is_a_square_in_its_place(channels: int, number: int) -> None:
    pictures = torch.randint(0, 256, (number, channels, 8, 10), dtype=torch.uint8)
    made = from_image(sheet(pictures, columns=3, scale=2))[0]
    for i, picture in enumerate(pictures):
        top, left = i // 3 * 18, i % 3 * 22
        tile = made[:, top : top + 16, left : left + 20]
        assert torch.equal(tile, picture.repeat_interleave(2, 1).repeat_interleave(2, 2))
    assert made.shape == (channels, -(-number // 3) * 18 - 2, 64)
    gap = made[:, :, 20:22]
    assert (gap == (0 if channels in (2, 4) else 255)).all()  # transparent, or white


def test_sheets_are_about_square_and_not_too_wide() -> None:
    for number, side in ((64, 16), (64, 32), (9, 8), (1, 16), (400, 64)):
        image = sheet(torch.zeros(number, 3, side, side, dtype=torch.uint8))
        assert abs(image.width - image.height) <= (side + 1) * 16
        assert image.width <= 768 or fitting(1, side) == 1 or number == 400


def test_no_colour_is_invented_by_enlarging() -> None:
    picture = torch.randint(0, 256, (1, 4, 8, 8), dtype=torch.uint8)
    before = set(map(tuple, picture[0].flatten(1).T.tolist()))
    after = set(map(tuple, from_image(enlarged(to_image(picture), 7))[0].flatten(1).T.tolist()))
    assert before == after


def test_transparency_is_shown_as_a_checkerboard() -> None:
    clear = to_image(torch.zeros(1, 4, 8, 8, dtype=torch.uint8))
    assert sorted(shown(clear, 2).getcolors()) == sorted((32, colour) for colour in CHECKS)
    half = torch.zeros(1, 4, 8, 8, dtype=torch.uint8)
    half[:, 0], half[:, 3] = 255, 128
    assert {c for _, c in shown(to_image(half), 2).getcolors()} == {(255, 127, 127), (240, 113, 115)}
    opaque = torch.randint(0, 256, (1, 3, 8, 8), dtype=torch.uint8)
    assert torch.equal(from_image(shown(to_image(opaque), 2)), opaque)


def test_labelled_rows_hold_captions_and_pictures() -> None:
    red = torch.zeros(3, 3, 8, 8, dtype=torch.uint8)
    red[:, 0] = 255
    image = labelled([Row("reds", red), Row("one", red[:1])], "A title", ["1", "2", "3"], scale=2)
    pixels = from_image(image)[0]
    assert (pixels == torch.tensor([255, 0, 0]).reshape(3, 1, 1)).all(0).sum() == 4 * 16 * 16
    left = pixels[:, :, :40]
    assert (left == torch.tensor(INK).reshape(3, 1, 1)).all(0).any()
    assert tuple(pixels[:, 0, 0].tolist()) == PAPER
    bare = labelled([Row("", red)], scale=2)
    assert bare.width == 12 + 3 * 18 - 2 + 12


@pytest.mark.parametrize("wide", [True, False])
def test_captions_of_any_alphabet(monkeypatch, wide: bool) -> None:
    if not wide:
        monkeypatch.setattr(caption, "_wide", lambda: None)
    letters = caption.Letters(15, "Épée Тест")
    assert letters.legible("Épée") == ("Épée" if not letters.plain else "Epee")
    assert letters.legible("Тест") == ("Тест" if not letters.plain else "????")
    assert letters.width("Épée") > 0
    assert wide or letters.plain
    assert caption.Letters(15, "plain").plain
