"""noisette sample, led: every flag is in the PNG, and --like draws it again."""

from pathlib import Path

import pytest
from PIL import Image

from noisette.data.png import read_metadata
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
    ("flags", "recorded"),
    [
        (("--negative-label", "bread"), {"negative": "bread"}),
        (
            ("--negative-label", "bread:1,sword:1", "--guidance-rescale", 0.7),
            {"negative": "bread:1,sword:1", "rescale": 0.7},
        ),
        (("--color", "#FF8000"), {"colors": ["#ff8000"], "color_scale": 50.0}),
        (("--palette", "#ff8000, #000000", "--color-scale", 9), {"colors": ["#ff8000", "#000000"], "color_scale": 9.0}),
    ],
)
def test_every_flag_is_recorded_and_reproduced(call, run, tmp_path, flags, recorded) -> None:
    options = ("-n", 2, *STEPS, "--label", "sword", "--guidance", 2)
    assert call("sample", run, "--out", tmp_path / "plain", *options).code == 0
    result = call("sample", run, "--out", tmp_path / "a", *options, *flags)
    assert result.code == 0, result.err
    name = "sword-000001.png"
    found = read_metadata(tmp_path / "a" / name)
    assert recorded.items() <= found["steering"].items()
    assert call("sample", run, "--out", tmp_path / "b", "--like", tmp_path / "a" / name).code == 0
    first, again, plain = ((tmp_path / folder / name) for folder in ("a", "b", "plain"))
    assert first.read_bytes() == again.read_bytes()
    assert Image.open(first).tobytes() != Image.open(plain).tobytes()


def test_an_interval_and_an_early_snapshot(call, refused, run, tmp_path) -> None:
    """`--like` finds RUN/early by itself, and takes it from elsewhere."""
    options = ("-n", 1, *STEPS, "--label", "sword", "--guidance", 2, "--guidance-interval", "0.001,0.5")
    assert call("sample", run, "--out", tmp_path / "a", *options, "--guide-with", run / "early").code == 0
    first = tmp_path / "a" / "sword-000000.png"
    metadata = read_metadata(first)
    assert metadata["interval"] == [0.001, 0.5] and len(metadata["steering"]["guide_model"]) == 64
    for more in ((), ("--guide-with", run / "early")):
        assert call("sample", run, "--out", tmp_path / "b", "--like", first, *more).code == 0
        assert (tmp_path / "b" / first.name).read_bytes() == first.read_bytes()
    assert "give the folder that holds it" in refused("sample", run / "model", "--out", tmp_path / "c", "--like", first,
                                                      "--guide-with", run)  # fmt: skip


def test_a_palette_is_read_from_a_picture(call, run, tmp_path) -> None:
    """Its colors that show, each once."""
    image = Image.new("RGBA", (4, 4), (255, 0, 0, 255))
    image.putpixel((0, 0), (0, 0, 255, 255))
    image.putpixel((1, 0), (9, 9, 9, 0))
    image.save(tmp_path / "palette.png")
    result = call("sample", run, "--out", tmp_path / "a", "-n", 1, *STEPS, "--palette", tmp_path / "palette.png")
    assert result.code == 0, result.err
    assert read_metadata(tmp_path / "a" / "bread-000000.png")["steering"]["colors"] == ["#0000ff", "#ff0000"]


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (("--negative-label", "bread"), "without effect at guidance 1: negative label"),
        (("--guide-with", "RUN/early", "--guidance-rescale", 0.5), "guide model and guidance rescale"),
        (("--guidance-interval", "0.1,0.2"), "without effect at guidance 1: guidance interval"),
        (("--guidance", "nan"), "guidance must be a finite number, got nan"),
        (("--guidance", "inf"), "guidance must be a finite number, got inf"),
        (("--color", "#ff8000", "--color-scale", "nan"), "--color-scale must be a finite number, got nan"),
        (("--guidance", 2, "--guidance-interval", "0.1"), "must be two times like"),
        (("--guidance", 2, "--guidance-interval", "0.5,0.1"), "with 0 ≤ A ≤ B ≤ 1, got 0.5,0.1"),
        (("--guidance", 2, "--negative-label", "braed"), "did you mean 'bread'"),
        (("--guidance", 2, "--guidance-rescale", 2), "guidance rescale must be between 0 and 1, got 2"),
        (("--color", "#ff"), "write it like #ff8000"),
        (("--palette", "none.png"), "none.png"),
        (("--color-scale", 3), "color scale needs a color or a palette"),
        (("--classifier-scale", 3), "classifier scale needs a classifier"),
        (("--classifier", "RUN/model"), "is not a classifier"),
        (("--guide-with", "RUN/nowhere", "--guidance", 2), "no config.json"),
        (("--guide-with", "base", "--guidance", 1.5), "did not start from another one"),
    ],
)
def test_what_cannot_be(refused, run, tmp_path, flags, reason: str) -> None:
    words = [str(flag).replace("RUN", str(run)) for flag in flags]
    assert reason in refused("sample", run, "--out", tmp_path / "out", "-n", 1, *words)
    assert not (tmp_path / "out").exists()
