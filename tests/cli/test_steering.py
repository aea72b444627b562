"""noisette sample, led: every flag is in the PNG, and --like draws it again."""

from pathlib import Path

import pytest
from PIL import Image

from noisette.viz.png import read_text
from tiny_models import tiny

STEPS = ("--steps", 2, "--batch", 2)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with what it was early on."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    tiny().save_pretrained(folder / "model")
    tiny(seed=1).save_pretrained(folder / "early")
    return folder


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--negative", "bread"), {"negative": "bread"}),
        (("--negative", "bread:1,sword:1", "--rescale", 0.7), {"negative": "bread:1,sword:1", "rescale": 0.7}),
        (("--towards", "#FF8000"), {"towards": ["#ff8000"], "towards_scale": 50.0}),
        (("--towards", "#ff8000, #000000", "--towards-scale", 9), {"towards": ["#ff8000", "#000000"]}),
    ],
)
def test_every_flag_is_told_and_drawn_again(call, run, tmp_path, flags, told) -> None:
    said = ("-n", 2, *STEPS, "--label", "sword", "--guidance", 2)
    assert call("sample", run, "--out", tmp_path / "plain", *said).code == 0
    result = call("sample", run, "--out", tmp_path / "a", *said, *flags)
    assert result.code == 0, result.err
    name = "sword-000001.png"
    found = read_text(tmp_path / "a" / name)
    assert told.items() <= found["steering"].items()
    assert call("sample", run, "--out", tmp_path / "b", "--like", tmp_path / "a" / name).code == 0
    first, again, plain = ((tmp_path / folder / name) for folder in ("a", "b", "plain"))
    assert first.read_bytes() == again.read_bytes()
    assert Image.open(first).tobytes() != Image.open(plain).tobytes()


def test_an_interval_and_an_earlier_self(call, refused, run, tmp_path) -> None:
    """`--like` finds RUN/early by itself, and takes it from elsewhere."""
    said = ("-n", 1, *STEPS, "--label", "sword", "--guidance", 2, "--guidance-interval", "0.001,0.5")
    assert call("sample", run, "--out", tmp_path / "a", *said, "--away", run / "early").code == 0
    first = tmp_path / "a" / "sword-000000.png"
    told = read_text(first)
    assert told["interval"] == [0.001, 0.5] and len(told["steering"]["away"]) == 64
    for more in ((), ("--away", run / "early")):
        assert call("sample", run, "--out", tmp_path / "b", "--like", first, *more).code == 0
        assert (tmp_path / "b" / first.name).read_bytes() == first.read_bytes()
    assert "give the folder that holds it" in refused("sample", run / "model", "--out", tmp_path / "c", "--like", first,
                                                      "--away", run)  # fmt: skip


def test_a_palette_is_read_from_a_picture(call, run, tmp_path) -> None:
    """Its colours that show, each once."""
    image = Image.new("RGBA", (4, 4), (255, 0, 0, 255))
    image.putpixel((0, 0), (0, 0, 255, 255))
    image.putpixel((1, 0), (9, 9, 9, 0))
    image.save(tmp_path / "palette.png")
    result = call("sample", run, "--out", tmp_path / "a", "-n", 1, *STEPS, "--towards", tmp_path / "palette.png")
    assert result.code == 0, result.err
    assert read_text(tmp_path / "a" / "bread-000000.png")["steering"]["towards"] == ["#0000ff", "#ff0000"]


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (("--negative", "bread"), "--negative change nothing at guidance 1"),
        (("--away", "RUN/early", "--rescale", 0.5), "--away and --rescale change nothing"),
        (("--guidance-interval", "0.1,0.2"), "change nothing at guidance 1"),
        (("--guidance", 2, "--guidance-interval", "0.1"), "write two times like"),
        (("--guidance", 2, "--guidance-interval", "0.5,0.1"), "is never"),
        (("--guidance", 2, "--negative", "braed"), "did you mean 'bread'"),
        (("--guidance", 2, "--rescale", 2), "a share, from 0 to 1"),
        (("--towards", "#ff"), "write it like #ff8000"),
        (("--towards", "none.png"), "none.png"),
        (("--towards-scale", 3), "is of --towards"),
        (("--classifier-scale", 3), "is of a --classifier"),
        (("--classifier", "RUN/model"), "is no classifier"),
        (("--away", "RUN/nowhere", "--guidance", 2), "no config.json"),
    ],
)
def test_what_cannot_be(refused, run, tmp_path, flags, reason: str) -> None:
    words = [str(flag).replace("RUN", str(run)) for flag in flags]
    assert reason in refused("sample", run, "--out", tmp_path / "out", "-n", 1, *words)
    assert not (tmp_path / "out").exists()
