"""Films as files: square pixels, true colors, the last one held."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from noisette.data.png import from_image
from noisette.errors import InputError
from noisette.report.viz.animation import choose_scale, film_format, make_frames, write_film

FRAMES = [Image.new("RGBA", (33, 20), (80 * i, 0, 0, 255)) for i in range(3)]


def test_an_mp4_holds_the_frames(tmp_path: Path) -> None:
    """Also of an odd width."""
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    write_film(tmp_path / "film.mp4", FRAMES, 100, 200)
    reader = ffmpeg.read_frames(str(tmp_path / "film.mp4"))
    size = next(reader)["size"]
    pictures = [Image.frombytes("RGB", size, data) for data in reader]
    assert size == (34, 20) and len(pictures) == 4  # the last is held for two
    for picture, red in zip(pictures, (0, 80, 160, 160), strict=True):
        assert abs(picture.getpixel((10, 10))[0] - red) < 12


def test_without_the_extra_there_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        sys.modules["noisette.report.viz.animation"], "find_spec", lambda n: None if "imageio" in n else find(n)
    )
    with pytest.raises(InputError, match=r"pip install 'noisette\[mp4\]'"):
        write_film(tmp_path / "film.mp4", FRAMES)
    assert not list(tmp_path.iterdir())
    assert film_format(Path("a.gif")) == "GIF"


def test_an_mp4_keeps_every_pixel_in_its_color(tmp_path: Path) -> None:
    """Enlarged evenly, a color ends where its pixel ends, though H.264 stores colors for two pixels by two."""
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    pixels = torch.randint(0, 256, (3, 1, 3, 9, 7), dtype=torch.uint8)
    frames = make_frames(list(pixels), require_even=True, scale=4)
    write_film(tmp_path / "film.mp4", frames, 100, 100)
    reader = ffmpeg.read_frames(str(tmp_path / "film.mp4"))
    size = next(reader)["size"]
    assert size == (28, 36)
    for picture, data in zip(pixels, reader, strict=True):
        back = from_image(Image.frombytes("RGB", size, data)).unflatten(2, (9, 4)).unflatten(4, (7, 4))
        assert (back.int() - picture[..., :, None, :, None].int()).abs().max() <= 8  # where an odd scale is off by 250


def test_slow_films_still_have_frames_enough(tmp_path: Path) -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    write_film(tmp_path / "film.mp4", FRAMES, 400, 800)
    metadata = next(ffmpeg.read_frames(str(tmp_path / "film.mp4")))
    assert metadata["fps"] == 10 and metadata["duration"] == pytest.approx(1.6, abs=0.05)


def test_frames_are_square_pixels_on_paper() -> None:
    moments = [torch.randint(0, 256, (3, 4, 8, 8), dtype=torch.uint8) for _ in range(2)]
    clear, papered = (
        make_frames(moments, columns=3, scale=5),
        make_frames(moments, columns=3, scale=5, background="navy"),
    )
    assert clear[0].mode == "RGBA" and clear[0].size == ((3 * 9 - 1) * 5, 8 * 5)
    assert papered[0].mode == "RGB" and papered[0].getpixel((8 * 5 + 2, 3)) == (0, 0, 128)  # between two pictures
    small = clear[0].resize((26, 8), Image.Resampling.NEAREST)
    assert torch.equal(from_image(small)[:, :, :, :8], moments[0][:1])
    captioned = make_frames(moments, columns=3, scale=5, captions=["one", "two"])
    assert captioned[0].size == (130, 40 + 26) and captioned[0].tobytes() != captioned[1].tobytes()
    with pytest.raises(InputError, match="'vermillionish' is not a color"):
        make_frames(moments, background="vermillionish")
    with pytest.raises(InputError, match=r"2 frames of 804\.5 million pixels: lower the scale"):
        make_frames(moments, columns=3, scale=2047)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(8, 200), st.integers(8, 200), st.booleans())
def test_films_are_enlarged_by_whole_numbers(columns: int, rows: int, width: int, height: int, even: bool) -> None:
    found = choose_scale(columns, rows, width, height, even)
    longer = max(columns * (width + 1), rows * (height + 1)) - 1
    assert 1 <= found <= 16 and (found * longer <= 480 or found <= 1 + even)
    assert not even or found % 2 == 0


def test_a_gif_keeps_the_colors_of_a_sprite(tmp_path: Path) -> None:
    pixels = torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8)
    write_film(tmp_path / "a.gif", make_frames([pixels, 255 - pixels], scale=3), 100, 700)
    with Image.open(tmp_path / "a.gif") as film:
        assert film.n_frames == 2 and film.info["loop"] == 0
        first = from_image(film.convert("RGB"))
        film.seek(1)
        assert film.info["duration"] == 700
    assert torch.equal(first[:, :, ::3, ::3], pixels)
