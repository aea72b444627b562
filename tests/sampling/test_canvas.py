"""Pictures of any size: `sample --size --seamless`, noisette.draw and the request, with all that steers."""

from pathlib import Path

import pytest
import torch

import noisette
from cli.conftest import call, refused
from noisette.data.png import read_metadata, read_png
from noisette.data.seams import measure_seams
from noisette.diffusion.noise import Seeded
from noisette.diffusion.sampler import sample
from noisette.diffusion.windows import Canvas, WindowedDenoiser
from noisette.edit.walk import draw_walk
from noisette.errors import InputError
from noisette.models.task import Upscale
from noisette.sampling.batch import edit_batches
from noisette.sampling.generate import build_denoiser
from noisette.sampling.record import SampleRecord, read_record
from noisette.sampling.request import Helpers, make_request
from noisette.sampling.run import draw_request, reproduce
from noisette.sampling.steering import GuidanceModels, Steering
from noisette.studio.session import BoardRequest
from noisette.studio.trajectories import draw_trajectory
from tiny_models import LABELS, make_classifier, tiny

__all__ = ["call", "refused"]

WIDE = {"size": (12, 20), "seamless": "x", "steps": 2}  # two rows of five windows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with an early model, a classifier, and an upscaler."""
    folder = tmp_path_factory.mktemp("models")
    tiny().save_pretrained(folder / "run" / "model")
    tiny(seed=1).save_pretrained(folder / "run" / "early")
    make_classifier(tiny()).save_pretrained(folder / "classifier")
    tiny(height=16, width=16, task=Upscale(2), seed=2).save_pretrained(folder / "up")
    return folder


def test_a_request_is_the_walk_of_a_windowed_denoiser() -> None:
    """With the noise of each seed at the picture's size, guidance and labels included."""
    model = tiny()
    request = make_request(model, 3, LABELS, guidance=2.0, sampler="ddpm", batch=7, **WIDE)
    noise, cond = Seeded(range(3)), model.condition(LABELS, 3)
    denoise = WindowedDenoiser(build_denoiser(model, cond, 2.0), Canvas(12, 20, 8, 8, wrap_x=True))
    grid = request.make_grid(model)
    x = noise(torch.empty(3, 4, 12, 20)) * model.schedule(grid[0])[1].float()
    right = model.pictures.decode_samples(sample(denoise, request.make_sampler(model), grid, x, noise))
    found = draw_request(model, request)
    assert found.shape == (3, 4, 12, 20)
    assert (found.int() - right.int()).abs().max() <= 1


@pytest.mark.parametrize("batch", [3, 20])
def test_every_picture_is_drawn_again_from_its_record(batch: int) -> None:
    """10 windows a picture: parts of one, or several pictures at once; a call never has more windows than the batch."""
    model, sizes = tiny(), []
    model.net.register_forward_pre_hook(lambda _module, inputs: sizes.append(len(inputs[0])))
    request = make_request(model, 3, LABELS, batch=batch, **WIDE)
    assert request.canvas is not None and request.canvas.num_windows == 10
    pixels = draw_request(model, request)
    assert max(sizes) <= batch
    for i in (0, 2):
        record = request.record(i)
        assert torch.equal(model.pictures.decode_samples(reproduce(model, record)), pixels[i : i + 1])
    alone = draw_request(model, make_request(model, 1, LABELS[1], seed=1, batch=batch, **WIDE))
    assert (alone.int() - pixels[1:2].int()).abs().max() <= 1  # whatever pictures are in its batch


def test_pictures_of_the_own_size_are_those_without_a_canvas() -> None:
    model = tiny()
    request = make_request(model, 2, steps=2, size=(8, 8))
    assert request.canvas is None and request.record(1) == make_request(model, 2, steps=2).record(1)
    assert make_request(model, 2, steps=2, size=(8, 8), seamless="y").canvas == Canvas(8, 8, 8, 8, wrap_y=True)
    old = {name: value for name, value in vars(request.record(0)).items() if name not in ("canvas", "steering")}
    assert read_record(old | {"interval": [0.0, 1.0]}, "old.png").canvas is None


@pytest.mark.parametrize(
    ("flags", "options"),
    [
        (("--size", "10x8", "--seamless", "xy"), {"size": "10x8", "seamless": "xy"}),
        (
            ("--size", "12", "--label", "sword", "--guide-with", "RUN/early", "--guidance", 2, "--classifier",
             "CLASSIFIER", "--palette", "#ff8000,#000000", "--lock", "--sampler", "ddpm", "--batch", 3),
            {"size": 12, "label": "sword", "guide_with": "RUN/early", "guidance": 2, "classifier": "CLASSIFIER",
             "palette": "#ff8000,#000000", "lock": True, "sampler": "ddpm", "batch": 3},
        ),
    ],
)  # fmt: skip
def test_the_command_and_draw_give_the_same_pixels(call, folder: Path, tmp_path: Path, flags, options) -> None:
    """And --like writes the same file; a sheet has the pictures' size; seamless ones carry their scores."""

    def filled(value: object) -> object:
        names = {"RUN": folder / "run", "CLASSIFIER": folder / "classifier"}
        for name, path in names.items():
            value = value.replace(name, str(path)) if isinstance(value, str) else value
        return value

    words = [filled(flag) for flag in flags]
    result = call("sample", folder / "run", "--out", tmp_path, "-n", 2, "--steps", 1, "--sheet", "tiled", *words)
    assert result.code == 0, result.err
    gallery = noisette.draw(folder / "run", 2, steps=1, **{name: filled(value) for name, value in options.items()})
    files = sorted(tmp_path.glob("*-0*.png"), key=lambda path: path.stem[-6:])
    assert torch.equal(torch.cat([read_png(path)[0] for path in files]), gallery.pixels)
    assert f'tilewidth="{gallery.pixels.shape[3]}"' in (tmp_path / "sheet.tsx").read_text()
    metadata = read_metadata(files[1])
    assert metadata["canvas"]["width"] == gallery.pixels.shape[3]
    if "seamless" in options:
        assert {name: metadata[name] for name in ("seam_x", "seam_y")} == measure_seams(gallery.pixels[1:2])
        assert "seam scores (about 1: no seam): " in result.err
    else:
        assert "seam_x" not in metadata and "seam" not in result.err
    again = ("--classifier", folder / "classifier") if "--classifier" in flags else ()
    result = call("sample", folder / "run", "--out", tmp_path / "b", "--like", files[1], *again)
    assert result.code == 0, result.err
    assert (tmp_path / "b" / files[1].name).read_bytes() == files[1].read_bytes()


def test_what_cannot_be_is_refused_in_a_sentence(refused, folder: Path, tmp_path: Path) -> None:
    words = ("sample", folder / "run", "--out", tmp_path / "a", "-n", 1)
    for more, message in (
        (("--size", "6x32"), "the picture must be at least 8×8 pixels, the model's own size, got 6×32"),
        (("--size", "16x9000"), "a picture may have at most 4096 pixels a side, got 16×9000"),
        (("--size", "wide"), "a size is written 16 for 16×16, or 32x24"),
        (("--seamless", "z"), "seamless must be x, y or xy, got 'z'"),
        (
            ("--size", "16", "--upscaler", folder / "up"),
            "an upscaler takes pictures of the model's own size: leave size and seamless out (got 16×16)",
        ),
    ):
        assert message in refused(*words, *more)
    assert not (tmp_path / "a").exists()
    assert "--size" in refused("sample", folder / "run", "--out", tmp_path / "a", "--like", "x.png", "--size", "16")


def test_edits_and_other_windows_are_refused() -> None:
    model = tiny()
    request = make_request(model, 2, **WIDE)
    with pytest.raises(InputError, match="an edit takes pictures of the model's own size"):
        next(edit_batches(model, request))
    with pytest.raises(InputError, match="a walk takes pictures of the model's own size"):
        next(draw_walk(model, request, []))
    with pytest.raises(InputError, match="the studio takes pictures of the model's own size"):
        next(draw_trajectory(model, BoardRequest("tiny", request)))
    record = vars(request.record(0)) | {"canvas": Canvas(16, 20, 8, 4)}
    with pytest.raises(InputError, match="the windows of the canvas must have the model's own size, 8×8"):
        reproduce(model, SampleRecord(**record))


def test_windows_are_guided_by_the_label_of_their_picture() -> None:
    """By a classifier's gradient and away from a negative label, in pictures of several labels at once."""
    model = tiny()
    helpers = Helpers(GuidanceModels(classifier=make_classifier(model)))
    steering = Steering(negative="bread", classifier=None, classifier_scale=30.0)
    options = {"guidance": 2.0, "steering": steering, "helpers": helpers, **WIDE}
    together = draw_request(model, make_request(model, 2, ["sword", "bread"], batch=40, **options), helpers)
    for i, label in enumerate(("sword", "bread")):
        alone = draw_request(model, make_request(model, 1, label, seed=i, batch=4, **options), helpers)
        assert (alone.int() - together[i : i + 1].int()).abs().max() <= 1
    other = draw_request(model, make_request(model, 1, "health potion", **options), helpers)
    assert (other.int() - together[:1].int()).abs().max() > 1
