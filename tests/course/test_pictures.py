"""The sprites of the chapters, and the figure of rows of pictures."""

import pytest
import torch

from noisette.course import load_sprites, show_rows
from noisette.course.pictures import GROUND, draw_rows
from noisette.errors import InputError


def test_sprites_by_name_with_and_without_alpha() -> None:
    straight, premultiplied = load_sprites("rocket", "crown"), load_sprites("rocket", "crown", alpha=True)
    assert straight.shape == (2, 3, 16, 16)
    assert premultiplied.shape == (2, 4, 16, 16)
    torch.testing.assert_close(straight, premultiplied[:, :3] + 1 - premultiplied[:, 3:])  # on white
    assert premultiplied.min() == -1  # a transparent corner
    assert premultiplied.max() <= 1
    assert not torch.equal(straight[0], straight[1])
    torch.testing.assert_close(load_sprites("crown"), straight[1:])


def test_sprites_of_a_label_and_side() -> None:
    assert load_sprites(label="Activities", side=8).shape == (85, 3, 8, 8)


def test_unknown_sprites_are_refused() -> None:
    with pytest.raises(InputError, match=r"no sprite is called 'rockt': did you mean 'rocket'"):
        load_sprites("rockt")
    with pytest.raises(InputError, match="no label is called"):
        load_sprites(label="Activity")


def test_rows_stand_in_the_figure_as_they_are() -> None:
    """Pictures in order, gray or colored, white where a row is shorter; values beyond [-1, 1] are clipped."""
    red = torch.tensor([3.0, -1.0, -1.0]).reshape(1, 3, 1, 1).expand(2, 3, 8, 8)
    figure = draw_rows([red, torch.zeros(1, 1, 8, 8)], ["red", "gray"], ["first", "second"])
    axes = figure.axes[0]
    sheet = torch.as_tensor(axes.images[0].get_array())
    assert sheet.shape == (17, 17, 3)
    assert sheet[0, 0].tolist() == sheet[0, 9].tolist() == [1, 0, 0]
    assert sheet[9, 0].tolist() == [0.5, 0.5, 0.5]
    assert sheet[8, 0].tolist() == sheet[9, 9].tolist() == [1, 1, 1]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["red", "gray"]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["first", "second"]


def test_rows_with_alpha_stand_over_gray() -> None:
    """Floats are premultiplied, bytes are straight; a mapping names its rows."""
    floats = torch.tensor([1.0, -1.0, -1.0, 1.0]).reshape(1, 4, 1, 1).expand(1, 4, 8, 8).clone()
    floats[:, :, 0, 0] = -1  # transparent
    pixels = torch.tensor([255, 0, 0, 128], dtype=torch.uint8).reshape(1, 4, 1, 1).expand(1, 4, 8, 8)
    axes = draw_rows({"floats": floats, "bytes": pixels}).axes[0]
    sheet = torch.as_tensor(axes.images[0].get_array())
    assert sheet[1, 1].tolist() == [1, 0, 0]
    torch.testing.assert_close(sheet[0, 0], torch.full((3,), GROUND))
    alpha = 128 / 255
    torch.testing.assert_close(sheet[10, 1], torch.tensor([alpha, 0, 0]) + GROUND * (1 - alpha))
    assert [text.get_text() for text in axes.get_yticklabels()] == ["floats", "bytes"]


def test_outside_a_notebook_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert show_rows([torch.zeros(1, 1, 8, 8)]) is None
    assert capsys.readouterr().out == ""
