"""One request: checked in one place, stored in the PNG, drawn by one function, the same from Python and by command."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import noisette
from noisette.cli import main
from noisette.data.png import read_metadata, read_png
from noisette.diffusion.guidance import Clipped
from noisette.diffusion.noise import Seeded
from noisette.diffusion.sampler import DDPM, sample
from noisette.errors import InputError
from noisette.models.config import from_json, to_json
from noisette.models.picture_model import PictureModel
from noisette.models.task import Upscale
from noisette.sampling.lineage import NoiseLineage
from noisette.sampling.record import SampleRecord, read_record
from noisette.sampling.request import Helpers, SampleRequest, make_request
from noisette.sampling.run import draw_request, reproduce
from noisette.sampling.steering import GuidanceModels
from tiny_models import LABELS, make_classifier, tiny


def command(*arguments: object) -> None:
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    assert stop.value.code == 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with attributes and a temperature, an early one, a classifier and an upscaler."""
    folder, attributes = tmp_path_factory.mktemp("models"), {"attributes": ("hue",), "means": (0.5,), "scales": (0.2,)}
    model = tiny(**attributes)  # type: ignore[arg-type]
    model.config = replace(model.config, sampling=replace(model.config.sampling, temperature=0.8))
    model.save_pretrained(folder / "run" / "model")
    tiny(seed=1, **attributes).save_pretrained(folder / "run" / "early")  # type: ignore[arg-type]
    make_classifier(model).save_pretrained(folder / "classifier")
    tiny(height=16, width=16, task=Upscale(2), seed=2).save_pretrained(folder / "up")
    return folder


@pytest.mark.parametrize(
    ("flags", "options"),
    [
        ((), {}),
        (
            ("--sampler", "ddim", "--eta", 0.7, "--temperature", 1.3),
            {"sampler": "ddim", "eta": 0.7, "temperature": 1.3},
        ),
        (
            ("--label", "sword:1,bread:2", "--attribute", "hue=0.3", "--guidance", 2,
             "--guidance-interval", "0.001,0.5", "--guidance-rescale", 0.5, "--negative-label", "bread",
             "--grid", "logsnr", "--batch", 2),
            {"label": {"sword": 1, "bread": 2}, "attributes": {"hue": 0.3}, "guidance": 2,
             "guidance_interval": (0.001, 0.5), "guidance_rescale": 0.5, "negative_label": "bread", "grid": "logsnr",
             "batch": 2},
        ),
        (
            ("--guide-with", "RUN/early", "--guidance", 1.5, "--classifier", "CLASSIFIER", "--classifier-scale", 3,
             "--palette", "#ff8000,#000000", "--color-scale", 20),
            {"guide_with": "RUN/early", "guidance": 1.5, "classifier": "CLASSIFIER", "classifier_scale": 3,
             "palette": "#ff8000,#000000", "color_scale": 20},
        ),
        (("--upscaler", "UP", "--noise-aug", 0.2), {"upscalers": "UP", "noise_aug": 0.2}),
    ],
)  # fmt: skip
def test_draw_gives_the_pixels_of_noisette_sample(folder: Path, tmp_path: Path, flags, options) -> None:
    """From a path and from a model; and --like draws them again."""

    def filled(value: object) -> object:
        names = {"RUN": folder / "run", "CLASSIFIER": folder / "classifier", "UP": folder / "up"}
        for name, path in names.items():
            value = value.replace(name, str(path)) if isinstance(value, str) else value
        return value

    words = [filled(flag) for flag in flags]
    command("sample", folder / "run", "--out", tmp_path / "a", "-n", 3, "--seed", 5, "--steps", 2, *words)
    files = sorted((tmp_path / "a").glob("*-0*.png"), key=lambda path: path.stem[-6:])
    pixels = torch.cat([read_png(path)[0] for path in files])
    known = {name: filled(value) for name, value in options.items()}
    for model in (folder / "run", noisette.load(folder / "run")):
        gallery = noisette.draw(model, 3, seed=5, steps=2, **known)
        assert torch.equal(gallery.pixels, pixels)
    again = ("--classifier", folder / "classifier") if "--classifier" in flags else ()
    again += ("--upscaler", folder / "up") if "--upscaler" in flags else ()
    command("sample", folder / "run", "--out", tmp_path / "b", "--like", files[2], *again)
    assert (tmp_path / "b" / files[2].name).read_bytes() == files[2].read_bytes()


def test_eta_and_temperature_change_samples_and_edits_and_are_recorded(folder: Path, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    noisette.draw(folder / "run", 1, steps=2)[0].save(picture, scale=1)
    for name, command_words in (
        ("sample", ("sample", folder / "run", "-n", 1)),
        ("vary", ("edit", "vary", folder / "run", picture, "-n", 1)),
        ("inpaint", ("edit", "inpaint", folder / "run", picture, "-n", 1, "--margin", 2, "--rounds", 1)),
        ("tile", ("edit", "tile", folder / "run", "-n", 1)),
        ("walk", ("edit", "walk", folder / "run", "--keyframes", 2, "--frames", 2, "--format", "none")),
    ):
        drawn = []
        for i, more in enumerate(((), ("--temperature", 1.4), ("--eta", 1))):
            out = tmp_path / name / str(i)
            command(*command_words, "--out", out, "--steps", 3, "--sampler", "ddim", *more)
            path = next(p for p in sorted(out.iterdir()) if p.name != "grid.png")
            drawn.append(read_png(path))
        (plain, before), (warm, warmer), (noisy, noisier) = drawn
        assert not torch.equal(plain, warm) and not torch.equal(plain, noisy), name
        default = 1.0 if name in ("vary", "inpaint") else 0.8
        assert (before["temperature"], before["eta"]) == (default, None)
        assert (warmer["temperature"], noisier["eta"]) == (1.4, 1.0)


def test_all_is_refused_in_one_place_and_in_the_same_words(folder: Path) -> None:
    model = noisette.load(folder / "run")
    for options, words in (
        ({"n": 0}, "n must be a whole number of at least 1, got 0"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"steps": 0}, "steps must be a whole number of at least 1, got 0"),
        ({"batch": 10**6}, "batch must be at most 4096, got 1000000"),
        ({"guidance": math.nan}, "guidance must be between -100 and 100, got nan"),
        ({"guidance": -math.inf}, "guidance must be between -100 and 100, got -inf"),
        ({"guidance": 2, "guidance_interval": (0.5, 0.1)}, "guidance interval must be two times A,B .* got 0.5,0.1"),
        ({"guidance_interval": (0.1, 0.5)}, "without effect at guidance 1: guidance interval"),
        ({"guidance_rescale": 2.0, "guidance": 2}, "guidance rescale must be between 0 and 1, got 2"),
        ({"eta": 0.5, "sampler": "heun"}, "eta is an option of ddim, and the sampler is heun"),
        ({"eta": 2, "sampler": "ddim"}, "eta must be between 0 and 1, got 2"),
        ({"temperature": 0}, "temperature must be above 0 and at most 2, got 0"),
        ({"temperature": math.nan}, "temperature must be above 0 and at most 2, got nan"),
        ({"noise_aug": 0.1}, "give an upscaler"),
        ({"color_scale": 3}, "color scale needs a color or a palette"),
        ({"classifier_scale": 3}, "classifier scale needs a classifier"),
        ({"label": "swrod"}, "did you mean 'sword'"),
        ({"sampler": "huen"}, "did you mean 'heun'"),
    ):
        with pytest.raises(InputError, match=words):
            noisette.draw(model, **options)  # type: ignore[arg-type]


def test_a_request_names_its_models_and_is_drawn_with_no_others() -> None:
    model, upscaler = tiny(), tiny(height=16, width=16, task=Upscale(2), seed=2)
    upscaler.hash, other = "u" * 64, tiny(seed=3)
    other.hash = "o" * 64
    helpers = Helpers(GuidanceModels(classifier=make_classifier(model)), (upscaler,))
    request = make_request(model, 2, "sword", helpers=helpers)
    assert draw_request(model, request, helpers).shape == (2, 4, 16, 16)
    for drawer, wrong, words in (
        (other, helpers, "of another model"),
        (model, Helpers(helpers.guidance_models), "enlarged by 1 upscalers"),
        (model, Helpers(upscalers=(upscaler,)), "with the classifier"),
    ):
        with pytest.raises(InputError, match=words):
            draw_request(drawer, request, wrong)


def test_the_record_is_the_request_of_one_image() -> None:
    """With the number of images that its batch has, and its own noise, label and attributes."""
    model = tiny(attributes=("hue",), means=(0.5,), scales=(0.2,))
    lineages = [NoiseLineage(4), NoiseLineage(7).rotate(1, 20), NoiseLineage(2)]
    request = make_request(
        model, label=LABELS, lineages=lineages, attributes=[["hue=0.1"], [], ["hue=0.9"]], batch=2, sampler="ddpm"
    )
    pixels = draw_request(model, request)
    records = [request.record(i) for i in range(3)]
    assert [(r.seed, r.label, r.attributes, r.batch) for r in records] == [
        (4, "bread", ("hue=0.1",), 2), (7, "health potion", (), 2), (2, "sword", ("hue=0.9",), 1),
    ]  # fmt: skip
    for i, record in enumerate(records):
        assert torch.equal(model.pictures.decode_samples(reproduce(model, record)), pixels[i : i + 1])


def test_a_request_of_unequal_parts_is_refused() -> None:
    request = make_request(tiny(), 2, "sword")
    with pytest.raises(InputError, match="labels must have an entry for each of 2 images, got 1"):
        replace(request, labels=("sword",))
    assert isinstance(request, SampleRequest) and len(request) == 2


def test_a_record_of_the_first_versions_is_read() -> None:
    model: PictureModel = tiny()
    old = {
        "model": model.hash, "seed": 3, "label": "sword", "sampler": "ddim", "grid": "karras", "steps": 2,
        "guidance": 2.0, "batch": 1, "times": [], "attributes": [], "eta": 0.5, "interval": [0.0, 1.0],
        "turns": [{"seed": 1, "degrees": 20.0}], "text": None, "temperature": 0.9, "then": [], "level": 0.0, "ways": [],
        "steering": {"rescale": 0.0, "negative": "bread", "away": None, "classifier": None, "classifier_scale": 1.0,
                     "towards": ["#ff8000"], "towards_scale": 9.0, "negative_text": None},
        "noisette": "0.1.0",
    }  # fmt: skip
    record = read_record(old, "old.png")
    assert record.rotations[0].degrees == 20 and record.steering.colors == ("#ff8000",) and record.temperature == 0.9
    assert record == from_json(SampleRecord, old)
    assert reproduce(model, record).shape == (1, 4, 8, 8)
    with pytest.raises(InputError, match=r"old\.png: eta must be between 0 and 1, got 3"):
        read_record(old | {"eta": 3.0}, "old.png")


def test_the_temperature_scales_the_noise_that_a_sampler_adds() -> None:
    """All noise by the same factor; but only the initial noise in the pictures of the first versions."""
    model = tiny()
    cool, warm = (make_request(model, 1, "sword", sampler="ddpm", steps=3, temperature=t) for t in (0.5, 1.0))
    assert cool.noise_scale == 0.5 and make_request(model, 1).noise_scale == 1
    grid, noise = model.grid(3), Seeded([0])
    x = 0.5 * noise(torch.empty(1, 4, 8, 8)) * model.schedule(grid[0])[1]
    sampler = DDPM(noise_scale=0.5)
    expected = sample(Clipped(model.given(model.condition("sword", 1))), sampler, grid, x.float(), noise)
    assert torch.equal(draw_request(model, cool), model.pictures.decode_samples(expected))
    first = replace(cool.record(0), noise_scale=1.0)
    data = {key: value for key, value in to_json(first).items() if key != "noise_scale"}
    assert read_record(data, "old.png") == first
    assert not torch.equal(reproduce(model, first), reproduce(model, cool.record(0)))
    assert torch.equal(draw_request(model, warm), draw_request(model, replace(warm, noise_scale=1.0)))
    with pytest.raises(InputError, match="noise_scale must be above 0"):
        replace(cool, noise_scale=0.0)


def test_what_is_written_is_what_is_read(folder: Path, tmp_path: Path) -> None:
    command("sample", folder / "run", "--out", tmp_path, "-n", 1, "--steps", 2)
    record = read_record(read_metadata(tmp_path / "bread-000000.png"), "it")
    assert record == make_request(noisette.load(folder / "run"), 1, steps=2).record(0)
