"""Autoencoders, and models that are trained on their latents."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import noisette
from commands import SMALL, TINY, run
from data.build import put
from noisette.data import Dataset
from noisette.data.latents import LATENTS_FILE
from noisette.data.pictures import LatentSpace, Pictures
from noisette.errors import InputError
from noisette.evaluation import evaluate
from noisette.models import shipped
from noisette.models.codec import Codec, LatentCodec, from_mode, make_codec, to_mode
from noisette.models.picture_autoencoder import PictureAutoencoder, reconstruct
from noisette.models.picture_model import RUN_AUTOENCODER, PictureModel
from noisette.report.card import Licenses, card_sections
from noisette.report.explain import latent_space
from noisette.report.explain.subject import load_subject
from noisette.report.provenance import collect_provenance, render_provenance
from noisette.training import TrainOptions, train
from noisette.training.autoencoder import AutoencoderOptions, measure_psnr, random_crops, train_autoencoder
from tiny_models import tiny

SIZE = 32
OPTIONS = AutoencoderOptions(images=192, crop=16, batch=16, size=(SIZE, SIZE))
LATENT = TrainOptions(preset="tiny", images=64, batch=8, precision="fp32", recipe=SMALL, flip=True, size=(SIZE, SIZE))


def refused(*words: object) -> str:
    """What a command says that is refused."""
    done = run(*map(str, words))
    assert done.returncode == 2, done.stderr
    return done.stderr


def blobs(seed: int) -> np.ndarray:
    """A disk of one color on a transparent ground."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE]
    inside = (y - draw.integers(8, 24)) ** 2 + (x - draw.integers(8, 24)) ** 2 < draw.integers(16, 100)
    color = np.append(draw.integers(0, 256, 3), 255)
    return np.where(inside[..., None], color, 0).astype(np.uint8)


@pytest.fixture(scope="module")
def disks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("disks")
    for i in range(60):
        put(folder / "ab"[i % 2] / f"{i:02}.png", blobs(i))
    return folder


@pytest.fixture(scope="module")
def trained(disks: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of an autoencoder, by the command line."""
    out = tmp_path_factory.mktemp("autoencoder") / "run"
    done = run("train-autoencoder", disks, "--out", out, "--images", 192, "--crop", 16, "--size", SIZE, "--batch", 16)
    assert done.returncode == 0 and "PSNR" in done.stdout and f"--autoencoder {out}" in done.stdout, done.stderr
    return out


@pytest.fixture(scope="module")
def latent(disks: Path, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a model that is trained on its latents."""
    out = tmp_path_factory.mktemp("latent") / "run"
    train(disks, out, replace(LATENT, autoencoder=str(trained)))
    return out


def held_out(run_folder: Path) -> torch.Tensor:
    subset = Dataset.open(run_folder).held_out
    return subset.pixels(torch.arange(len(subset)))


# ── the autoencoder ──────────────────────────────────────────────────────────────────────────────────────────────


def test_the_commands_of_the_page_run(disks: Path, trained: Path, tmp_path: Path) -> None:
    """docs/latent.md, with its lengths cut and its names replaced: latent.md has no other commands."""
    page = (Path(__file__).parents[2] / "docs" / "latent.md").read_text("utf8")
    found = [line[2:].partition("#")[0].split() for line in page.splitlines() if line.startswith("$ noisette ")]
    assert [words[1] for words in found] == ["train", "sample", "train-autoencoder", "train"]
    short = {
        "train": ("--images", 8, *TINY, "--recipe", SMALL),
        "sample": ("--steps", 1),
        "train-autoencoder": ("--images", 16),
    }
    names = {"my-sprites": disks, "art-f4": trained} | {f"runs/{name}": tmp_path / name for name in ("large", "ae")}
    for i, (_, name, *words) in enumerate(found):
        if "--for" in words:
            del words[words.index("--for") : words.index("--for") + 2]
        places = names | ({"runs/large": tmp_path / "other"} if i == 3 else {}) | {"new": tmp_path / "new"}
        done = run(name, *[str(places.get(word, word)) for word in words], *map(str, short[name]))
        assert done.returncode == 0, (name, words, done.stderr)


def test_python_and_the_command_are_the_same(disks: Path, trained: Path, tmp_path: Path) -> None:
    made = noisette.train_autoencoder(disks, tmp_path / "run", images=192, crop=16, size=SIZE, batch=16)
    theirs = load_file(trained / "model" / "model.safetensors")
    assert all(torch.equal(value, theirs[name]) for name, value in made.net.state_dict().items())


def test_a_run_that_was_stopped_ends_with_the_same_weights(disks: Path, trained: Path, tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(progress) -> None:
        if progress.images == 96:
            raise Stop

    options = replace(OPTIONS, save_every=0.0)
    with pytest.raises(Stop):
        train_autoencoder(disks, tmp_path / "run", options, stop)
    assert not (tmp_path / "run" / "model").exists()
    seen: list[int] = []
    train_autoencoder(disks, tmp_path / "run", options, lambda progress: seen.append(progress.images))
    assert seen[0] == 96 and seen[-1] == 192, "from the last checkpoint on"
    ours, theirs = (load_file(p / "model" / "model.safetensors") for p in (tmp_path / "run", trained))
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["images"] for row in rows] == sorted({row["images"] for row in rows}), "no row twice"


def test_another_autoencoder_is_a_start(disks: Path, trained: Path, tmp_path: Path) -> None:
    """Of the same network; with the perceptual distance as a part of the loss."""
    options = replace(OPTIONS, images=16, start_from=str(trained), perceptual_weight=0.1)
    seen: list[float] = []
    train_autoencoder(disks, tmp_path / "run", options, lambda progress: seen.append(progress.loss))
    row = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0])
    first = json.loads((trained / "metrics.jsonl").read_text().splitlines()[0])
    assert row["psnr"] > first["psnr"] + 1, "after one step it is no beginner"
    with pytest.raises(InputError, match="another network"):
        train_autoencoder(disks, tmp_path / "other", replace(options, channels=8))
    with pytest.raises(InputError, match="no autoencoder is called"):
        train_autoencoder(disks, tmp_path / "third", replace(options, start_from="nowhere"))
    assert not (tmp_path / "third").exists()


def test_it_learns(trained: Path) -> None:
    rows = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["psnr"] > rows[0]["psnr"] + 1
    made, pictures = PictureAutoencoder.from_pretrained(trained), Dataset.open(trained).pictures
    pixels = held_out(trained)
    assert measure_psnr(pictures, reconstruct(made, pictures, pixels), pixels).mean().item() == pytest.approx(
        rows[-1]["psnr"], abs=0.5
    )
    assert sorted((trained / "samples").glob("*.png"))


def test_latents_fill_their_range(trained: Path) -> None:
    made, data = PictureAutoencoder.from_pretrained(trained), Dataset.open(trained)
    x = made.encode_images(data.pictures.encode(data.train.pixels(torch.arange(len(data.train)))))
    assert x.shape[1:] == (4, 8, 8) and x.abs().max() == 1
    assert (x.abs() == 1).float().mean() < 0.005
    assert x.std().item() == pytest.approx(made.config.sigma_data, rel=0.05)


def test_any_size_is_encoded_and_decoded(trained: Path) -> None:
    made = PictureAutoencoder.from_pretrained(trained)
    x = torch.rand(1, 4, 13, 18) * 2 - 1
    latents = made.encode_images(x)
    assert latents.shape[1:] == made.latent_shape(13, 18) == (4, 4, 5)
    assert made.decode_images(latents, 13, 18).shape == x.shape


def test_crops_are_parts_of_the_pictures(trained: Path) -> None:
    data = Dataset.open(trained).train
    few = replace(data, rows=data.rows[:3], files=data.files[:3], labels=None)
    whole = few.x0(torch.arange(3))
    windows = torch.cat([whole, whole.flip(-1)]).unfold(2, 16, 1).unfold(3, 16, 1)  # (n, c, y, x, 16, 16)
    for crop in random_crops(few, 16, 4, 8, torch.Generator().manual_seed(0)):
        assert (windows == crop[None, :, None, None]).flatten(4).all(4).all(1).any()
    assert random_crops(data, None, 4, 3, torch.Generator()).shape == (3, 4, SIZE, SIZE)


def test_psnr_has_its_closed_form() -> None:
    pictures, pixels = Pictures("L", 8, 8), torch.full((2, 1, 8, 8), 100, dtype=torch.uint8)
    assert measure_psnr(pictures, pixels, pixels + 51).tolist() == pytest.approx([-20 * np.log10(51 / 255)] * 2)
    assert measure_psnr(pictures, pixels, pixels).tolist() == [60, 60]


def test_what_cannot_be_is_refused(disks: Path, trained: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="either a time"):
        AutoencoderOptions()
    for changes, wrong in (({"factor": 3}, "factor"), ({"crop": 10}, "crop"), ({"kl_weight": -1.0}, "kl_weight")):
        with pytest.raises(InputError, match=wrong):
            replace(OPTIONS, **changes)
    with pytest.raises(InputError, match="was started with factor 4, not 2"):
        train_autoencoder(disks, trained, replace(OPTIONS, factor=2))
    with pytest.raises(InputError, match="give another --out"):
        train_autoencoder(disks, _copy_of_run(tmp_path), OPTIONS)
    with pytest.raises(InputError, match="smaller --factor"):
        train_autoencoder(disks, tmp_path / "out", replace(OPTIONS, size=(8, 8), factor=8, crop=8))
    with pytest.raises(InputError, match="is not an autoencoder"):
        PictureAutoencoder.from_pretrained("emoji-16")
    with pytest.raises(InputError, match="is an autoencoder and generates no pictures"):
        noisette.load(trained)
    assert "give one of them" in refused(
        "train-autoencoder", disks, "--out", tmp_path / "x", "--for", "9s", "--images", 9
    )


def test_a_run_becomes_an_autoencoder_of_the_package(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "tools"))
    ship = pytest.importorskip("ship", reason="the tool comes with the repository alone")
    monkeypatch.setattr(shipped, "ROOT", tmp_path / "home")
    (tmp_path / "pool.md").write_text("| one | 54 | me | MIT |\n")
    assert ship.main([str(trained), "art-f4", "--attribution", str(tmp_path / "pool.md")]) == 0
    folder = tmp_path / "home" / "art-f4"
    assert {t.dtype for t in load_file(folder / "model.safetensors").values()} == {torch.float16}
    card = (folder / "README.md").read_text("utf8")
    assert "| loss | L1 + 1 × differences of neighboring pixels at 3 scales + 0.001 × KL |" in card
    assert (
        "| start | random weights |" in card
        and "192 random squares of 16 pixels" in card
        and "54 pictures of 1 sets" in card
        and str(tmp_path) not in card
    )
    assert shipped.list_names() == () and shipped.list_autoencoders() == ("art-f4",)
    later = replace(OPTIONS, start_from=str(trained), perceptual_weight=0.5)
    assert ship.describe_start(later).startswith("192 images on the same pictures, learning rate 0.01, loss L1 + 1 ×")
    assert ship.describe_loss(later).endswith("+ 0.5 × feature maps")
    half, whole = PictureAutoencoder.from_pretrained("art-f4"), PictureAutoencoder.from_pretrained(trained)
    x = torch.rand(1, 4, SIZE, SIZE) * 2 - 1
    assert (half.encode_images(x) - whole.encode_images(x)).abs().max() < 0.02


def _copy_of_run(tmp_path: Path) -> Path:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text('{"format": 1, "options": {}, "plan": {}}')
    return tmp_path / "other"


# ── models on latents ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_latent_model_is_trained_saved_and_loaded(latent: Path, trained: Path) -> None:
    model = noisette.load(latent)
    assert model.codec.shape == model.pictures.model_shape == (4, 8, 8) and model.config.net.in_channels == 4
    assert model.pictures.shape == (4, SIZE, SIZE) and model.pictures.labels == ("a", "b")
    theirs = PictureAutoencoder.from_pretrained(trained).net.state_dict()
    assert model.autoencoder is not None
    assert all(torch.equal(theirs[name], value) for name, value in model.autoencoder.net.state_dict().items())
    assert not any(name.startswith(("codec", "autoencoder")) for name, _ in model.named_parameters())
    assert noisette.draw(model, 3).pixels.shape == (3, 4, SIZE, SIZE)
    early = noisette.load(latent / "checkpoints" / "000000064")
    assert early.codec.decode(torch.zeros(1, 4, 8, 8)).shape == (1, 4, SIZE, SIZE)


def test_latents_are_those_of_the_pictures(latent: Path) -> None:
    data, codec = Dataset.open(latent), noisette.load(latent).codec
    rows = torch.arange(len(data.train))
    pixels = data.train.pixels(rows)
    with torch.no_grad():
        assert (data.train.x0(rows) - codec.encode(pixels)).abs().max() < 1e-3, "but for half precision"
        mirrored = data.train.x0(rows, torch.ones(len(rows), dtype=torch.bool))
        assert (mirrored - codec.encode(pixels.flip(-1))).abs().max() < 1e-3
    assert data.sigma_data == pytest.approx(data.train.x0(rows).std().item(), rel=0.1)


def test_a_latent_run_resumes_without_its_autoencoder(disks: Path, latent: Path, trained: Path, tmp_path: Path) -> None:
    """The run folder holds what it needs; the run ends with the same weights bit for bit."""

    class Stop(Exception):
        pass

    def stop(progress) -> None:
        if progress.images == 32:
            raise Stop

    moved = tmp_path / "autoencoder"
    PictureAutoencoder.from_pretrained(trained).save_pretrained(moved)
    options = replace(LATENT, autoencoder=str(moved))
    with pytest.raises(Stop):
        train(disks, tmp_path / "run", options, stop)
    moved.rename(tmp_path / "elsewhere")
    train(disks, tmp_path / "run", options)
    ours, theirs = (load_file(p / "model" / "model.safetensors") for p in (tmp_path / "run", latent))
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_known_pixels_are_kept_byte_for_byte(latent: Path, tmp_path: Path) -> None:
    pixels = held_out(latent)[:1]
    put(tmp_path / "picture.png", pixels[0].permute(1, 2, 0).numpy())
    mask = np.zeros((SIZE, SIZE, 1), np.uint8)
    mask[5:20, 7:20] = 255
    put(tmp_path / "mask.png", mask)
    done = run(
        "edit", "inpaint", latent, tmp_path / "picture.png", "--mask", tmp_path / "mask.png", "--out", tmp_path / "out",
        "-n", 2, "--steps", 2, "--rounds", 1,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for path in sorted((tmp_path / "out").glob("picture-*.png")):
        made = np.asarray(Image.open(path).convert("RGBA"))
        known = mask[..., 0] == 0
        assert (made[known] == pixels[0].permute(1, 2, 0).numpy()[known]).all()
        assert (made[~known] != pixels[0].permute(1, 2, 0).numpy()[~known]).any()


def test_a_latent_pixel_is_known_if_all_around_it_is() -> None:
    codec = LatentCodec(Pictures("L", 32, 32, latent=LatentSpace(4, 4)), None)
    known = torch.ones(1, 1, 32, 32)
    known[..., 13, 13] = 0
    expected = torch.ones(1, 1, 8, 8)
    expected[..., 2:5, 2:5] = 0
    assert torch.equal(codec.shrink_known(known), expected)
    assert torch.equal(Codec(Pictures("L", 32, 32)).shrink_known(known), known)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_pictures_of_every_mode_go_through_an_rgba_autoencoder(mode, trained: Path) -> None:
    pictures = Pictures(mode, 16, 16, latent=LatentSpace(4, 4))
    images = pictures.encode(torch.randint(0, 256, (2, pictures.channels, 16, 16), dtype=torch.uint8))
    assert torch.allclose(from_mode(to_mode(images, pictures, "RGBA"), pictures, "RGBA"), images, atol=1e-6)
    assert to_mode(images, pictures, "RGBA").shape == (2, 4, 16, 16)
    codec = make_codec(pictures, PictureAutoencoder.from_pretrained(trained))
    with torch.no_grad():
        assert codec.decode(codec.from_images(images)).shape == images.shape


def test_what_needs_pixels_says_so(latent: Path, trained: Path, disks: Path, tmp_path: Path) -> None:
    for words in (
        ("edit", "tile", latent, "--out", tmp_path / "x", "-n", 1, "--steps", 1),
        ("sample", latent, "--size", 64, "--out", tmp_path / "x"),
        ("sample", latent, "--seamless", "x", "--out", tmp_path / "x"),
        ("export", latent, tmp_path / "x", "--to", "onnx"),
        ("export", latent, tmp_path / "x", "--to", "diffusers"),
    ):
        assert "works on the latents of an autoencoder" in refused(*words)
    length = ("--images", 8, *TINY, "--out", tmp_path / "run")
    assert "no autoencoder is called" in refused("train", disks, *length, "--autoencoder", "nowhere")
    assert "for --task draw" in refused("train", disks, *length, "--autoencoder", trained, "--task", "upscale")
    assert "give --size 32" in refused("train", disks, *length, "--autoencoder", trained, "--size", 16)
    assert not (tmp_path / "run").exists()
    assert "works on pixels, and this run works on latents" in refused(
        "train", disks, *length, "--autoencoder", trained, "--size", 32, "--from", "base-32"
    )
    with pytest.raises(InputError, match="needed: 8"):
        make_codec(Pictures("RGBA", 32, 32, latent=LatentSpace(8, 4)), PictureAutoencoder.from_pretrained(trained))


def test_the_report_shows_what_latents_are(latent: Path, trained: Path) -> None:
    subject = load_subject(latent)
    page = latent_space.render_chapter(subject)
    for words in ("32×32 pixels into latents: 4 channels of", "PSNR", "channel 4", "latents, decoded", "label"):
        assert words in page
    assert "This model works on pixels" in latent_space.render_chapter(replace(subject, model=tiny()))


def test_a_latent_model_has_no_bits_per_dimension(latent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound is that of 8-bit pixels, and latents are none."""

    class MeanColors:
        name, hash = "mean colors", "0"

        def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.adaptive_avg_pool2d(pixels.float(), 2).flatten(1)

    monkeypatch.setattr(evaluate, "MIN_PICTURES", 5)
    monkeypatch.setattr(evaluate, "_known_labels", lambda subset: None)
    found, _ = evaluate.evaluate_model(noisette.load(latent), Dataset.open(latent), MeanColors(), n=8)
    assert found.bits_per_dim is None


def test_an_error_map_has_its_closed_form() -> None:
    pictures = Pictures("RGBA", 8, 8)
    a, b = torch.full((1, 4, 8, 8), 255, dtype=torch.uint8), torch.full((1, 4, 8, 8), 255, dtype=torch.uint8)
    b[:, 1, 0, 0], b[:, 3, 1, 1] = 255 - 25, 0
    found = latent_space.error_map(pictures, a, b)
    assert found[0, 0, 0, 0] == 100 and found[0, 0, 1, 1] == 255 and found.sum() == 355


def test_provenance_and_card_name_the_autoencoder(latent: Path, trained: Path) -> None:
    found = collect_provenance(latent)
    assert found.autoencoder is not None and found.autoencoder.attribution is None
    assert found.autoencoder.origin.name == trained.name
    assert found.autoencoder.origin.hash == PictureAutoencoder.from_pretrained(trained).hash
    assert "It draws by the autoencoder run." in found.disclosure and "<h2>Autoencoder</h2>" in render_provenance(found)
    card = card_sections(noisette.load(latent).config, 1, latent, Licenses(None, None))
    assert any("latents of factor 4 with 4 channels" in section for section in card)


def test_latents_of_another_autoencoder_are_not_mixed(latent: Path) -> None:
    """As guide model, classifier or start: of the same size, and yet of another meaning."""
    model = noisette.load(latent)
    space = model.pictures.latent
    assert space is not None and space.autoencoder == PictureAutoencoder.from_pretrained(latent / RUN_AUTOENCODER).hash
    pictures = replace(model.pictures, latent=replace(space, autoencoder="0" * 64))
    other = PictureModel(replace(model.config, pictures=pictures), None, model.autoencoder)
    other.hash = "other"
    with pytest.raises(InputError, match="its autoencoder if it has one"):
        noisette.draw(model, 1, guide_with=other, guidance=2)


def test_damaged_latents_are_refused(latent: Path) -> None:
    path = latent / LATENTS_FILE
    before = path.read_bytes()
    path.write_bytes(before[:-2] + b"\0\1")
    try:
        with pytest.raises(InputError, match=r"remove both files"):
            Dataset.open(latent)
    finally:
        path.write_bytes(before)
    assert (latent / RUN_AUTOENCODER / "config.json").is_file()
