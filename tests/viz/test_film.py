"""Films as MP4, where the extra is there."""

import importlib.util
import sys
from pathlib import Path

import pytest
from PIL import Image

from noisette.errors import InputError
from noisette.viz.film import kind_of, write_film

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
    monkeypatch.setattr(sys.modules["noisette.viz.film"], "find_spec", lambda n: None if "imageio" in n else find(n))
    with pytest.raises(InputError, match=r"pip install 'noisette\[mp4\]'"):
        write_film(tmp_path / "film.mp4", FRAMES)
    assert not list(tmp_path.iterdir())
    assert kind_of(Path("a.gif")) == "GIF"
