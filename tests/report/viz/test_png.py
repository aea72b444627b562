import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from noisette.data.png import from_image, read_metadata, read_png, to_image, write_png
from noisette.errors import InputError


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_round_trip(tmp_path, channels: int) -> None:
    pixels = torch.randint(0, 256, (1, channels, 5, 9), dtype=torch.uint8)
    metadata = {"label": "épée\n剣", "seed": 3, "deep": {"a": [1, 2.5, None]}}
    write_png(tmp_path / "a.png", pixels, metadata)
    back, text = read_png(tmp_path / "a.png")
    assert torch.equal(back, pixels) and text == metadata
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == ("L", "LA", "RGB", "RGBA")[channels - 1] and image.size == (9, 5)
    assert torch.equal(from_image(to_image(pixels)), pixels)


def test_same_picture_same_bytes(tmp_path) -> None:
    pixels = torch.randint(0, 256, (1, 4, 8, 8), dtype=torch.uint8)
    for name in "ab":
        write_png(tmp_path / name, pixels, {"seed": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_other_tools_see_the_text(tmp_path) -> None:
    """It is an uncompressed iTXt chunk called noisette, before the pixels."""
    write_png(tmp_path / "a.png", torch.zeros(1, 3, 8, 8, dtype=torch.uint8), {"seed": 77})
    data = (tmp_path / "a.png").read_bytes()
    assert data.index(b"iTXtnoisette\0") < data.index(b"IDAT")
    with Image.open(tmp_path / "a.png") as image:
        assert json.loads(image.text["noisette"]) == {"seed": 77}


def test_files_without_metadata_are_refused_by_name(tmp_path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "plain.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.jpg")
    (tmp_path / "words.png").write_text("hello")
    for name, reason in (("plain.png", "was not made by noisette"), ("photo.jpg", "not a PNG"),
                         ("words.png", "not a PNG"),
                         ("none.png", "no such file"), (".", "not a PNG")):  # fmt: skip
        with pytest.raises(InputError, match=reason) as error:
            read_metadata(tmp_path / name)
        assert str(tmp_path / name) in str(error.value)


@pytest.mark.parametrize("text", ["{", "[1]", "NaN", '"x"'])
def test_damaged_metadata_are_refused(tmp_path, text: str) -> None:
    from PIL import PngImagePlugin

    chunks = PngImagePlugin.PngInfo()
    chunks.add_itxt("noisette", text)
    Image.new("L", (8, 8)).save(tmp_path / "a.png", pnginfo=chunks)
    with pytest.raises(InputError, match="damaged"):
        read_metadata(tmp_path / "a.png")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_damage_is_an_input_error_or_none(tmp_path_factory, data) -> None:
    folder = tmp_path_factory.mktemp("damage")
    path = folder / "a.png"
    write_png(path, torch.arange(192).to(torch.uint8).reshape(1, 3, 8, 8), {"seed": 1})
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
    try:
        read_png(path)
    except InputError as error:
        assert str(path) in str(error)
