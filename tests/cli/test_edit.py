"""noisette edit …, at tiny size, with models that have learned nothing."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import noisette
from noisette.data.input_picture import read_picture
from noisette.data.png import read_png
from noisette.diffusion.operator import AveragePool
from tiny_models import tiny

FAST = ("--steps", 2, "-n", 3)


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """8×8 RGBA with soft alpha, and colors that hide under alpha 0."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (8, 8, 4), dtype=np.uint8)
    pixels[2:5, 3:6, 3] = 0
    path = tmp_path_factory.mktemp("picture") / "knife.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="module")
def gray(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The other model's kind: 12×8, L."""
    path = tmp_path_factory.mktemp("picture") / "gray.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (8, 12), dtype=np.uint8)).save(path)
    return path


def drawn(folder: Path, stem: str, n: int = 3) -> list[tuple[torch.Tensor, dict]]:
    return [read_png(folder / f"{stem}-{i:06d}.png") for i in range(n)]


# ── vary ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_vary(call, model, picture, tmp_path) -> None:
    """Near the picture with little strength, far with much; each file says what it is of."""
    far = []
    for strength in (0.05, 1.0):
        result = call("edit", "vary", model, picture, "--out", tmp_path / str(strength), *FAST, "--strength", strength,
                      "--label", "sword", "--guidance", 1.5)  # fmt: skip
        assert result.code == 0, result.err
        files = drawn(tmp_path / str(strength), "knife")
        metadata = files[1][1]
        assert metadata["edit"] == "vary" and metadata["strength"] == strength and metadata["picture"] == "knife.png"
        assert (metadata["seed"], metadata["label"], metadata["steps"], metadata["model"]) == (
            1,
            "sword",
            2,
            noisette.load(model).hash,
        )
        assert len(metadata["picture_sha256"]) == 64
        assert files[0][0].shape == (1, 4, 8, 8) and not torch.equal(files[0][0], files[1][0])
        whole = noisette.load(model).pictures
        x0 = whole.encode(read_png_pixels(picture))
        far.append(float((whole.encode(files[0][0]) - x0).abs().mean()))
        assert (tmp_path / str(strength) / "grid.png").is_file() and "grid.png" in result.out
    assert far[0] < far[1]


def test_edits_are_guided_as_samples_are(call, refused, model, picture, tmp_path) -> None:
    """By all that noisette sample has; what led them is in the files. What would lead nowhere is refused."""
    ways = {
        "vary": (picture, "--strength", 1.0),
        "inpaint": (picture, "--rounds", 1),
        "tile": ("--rounds", 1),
    }
    for edit, more in ways.items():
        command = ("edit", edit, model, *more, *FAST, "--label", "sword", "--guidance", 2)
        found = []
        for i, led in enumerate(((), ("--negative-label", "bread", "--guidance-rescale", 0.5), ("--color", "#00ff00"))):
            out = tmp_path / f"{edit}-{i}"
            result = call(*command, *led, "--out", out)
            assert result.code == 0, result.err
            found.append(read_png(next(out.glob("*-000000.png"))))
        (plain, _), (away, negative), (green, hue) = found
        assert not torch.equal(plain, away) and not torch.equal(plain, green)
        assert negative["steering"]["negative"] == "bread" and negative["steering"]["rescale"] == 0.5
        assert hue["steering"]["colors"] == ["#00ff00"]
    idle = refused("edit", "vary", model, picture, "--out", tmp_path / "no", "--negative-label", "bread")
    assert "without effect at guidance 1: negative label" in idle and not (tmp_path / "no").exists()


def read_png_pixels(path: Path) -> torch.Tensor:
    with Image.open(path) as image:
        return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]


def test_the_same_command_draws_the_same_files(call, model, picture, tmp_path) -> None:
    for name in ("a", "b"):
        assert call("edit", "vary", model, picture, "--out", tmp_path / name, *FAST, "--sampler", "ddpm").code == 0
    assert call("edit", "vary", model, picture, "--out", tmp_path / "c", "--steps", 2, "-n", 1, "--seed", 2,
                "--sampler", "ddpm").code == 0  # fmt: skip
    for name in ("knife-000000.png", "knife-000002.png", "grid.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    alone, together = (read_png(tmp_path / f / "knife-000002.png")[0].int() for f in ("c", "a"))
    assert (alone - together).abs().max() <= 1  # a sum in another order


def test_pictures_of_another_size_and_kind_are_made_like_the_models(call, other_model, picture, gray, tmp_path) -> None:
    result = call("edit", "vary", other_model, picture, "--out", tmp_path / "a", *FAST, "--json")
    assert result.code == 0
    assert "is RGBA: converted to L" in result.err and "is 8×8: resized to 12×8" in result.err
    assert [json.loads(line)["seed"] for line in result.out.splitlines()] == [0, 1, 2]
    assert drawn(tmp_path / "a", "knife")[0][0].shape == (1, 1, 8, 12)
    assert call("edit", "vary", other_model, gray, "--out", tmp_path / "b", *FAST).err == ""


# ── inpaint ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("way", ["repaint", "ddnm"])
def test_inpaint_keeps_known_pixels_byte_for_byte(call, model, picture, tmp_path, way) -> None:
    """Those that hide a color, too. White in the mask is drawn anew."""
    mask = np.zeros((8, 8), np.uint8)
    mask[4:, 2:7] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    result = call("edit", "inpaint", model, picture, "--out", tmp_path / "out", "--mask", tmp_path / "mask.png",
                  "--method", way, "--rounds", 2, *FAST)  # fmt: skip
    assert result.code == 0, result.err
    before = np.array(Image.open(picture))
    for pixels, metadata in drawn(tmp_path / "out", "knife"):
        after = pixels[0].permute(1, 2, 0).numpy()
        assert (after[mask == 0] == before[mask == 0]).all()
        assert (after[mask == 255] != before[mask == 255]).any()
        assert metadata["method"] == way and metadata["mask"] == "mask.png" and metadata["rounds"] == 2


def test_inpaint_fills_what_is_transparent(call, model, picture, tmp_path) -> None:
    """Of the picture where there is no mask, of the mask where it has an alpha of its own."""
    assert call("edit", "inpaint", model, picture, "--out", tmp_path / "a", *FAST).code == 0
    before = np.array(Image.open(picture))
    after = drawn(tmp_path / "a", "knife")[0][0][0].permute(1, 2, 0).numpy()
    clear = before[..., 3] == 0
    assert (after[~clear] == before[~clear]).all() and (after[clear] != before[clear]).any()
    hole = np.full((8, 8, 4), 255, np.uint8)
    hole[:2, :, 3] = 0
    Image.fromarray(hole).save(tmp_path / "hole.png")
    arguments = ("--mask", tmp_path / "hole.png", *FAST)
    assert call("edit", "inpaint", model, picture, "--out", tmp_path / "b", *arguments).code == 0
    after = drawn(tmp_path / "b", "knife")[0][0][0].permute(1, 2, 0).numpy()
    assert (after[2:] == before[2:]).all() and (after[:2] != before[:2]).any()


def test_inpaint_of_a_larger_picture_keeps_it_as_it_was_made(call, model, picture, tmp_path) -> None:
    """Resized by the rules of the data: twice as large, every pixel four times, it is the same picture."""
    large = np.array(Image.open(picture)).repeat(2, 0).repeat(2, 1)
    mask = np.zeros((16, 16), np.uint8)
    mask[9:, :] = 255  # a part of a row is wanted: all of it is
    Image.fromarray(large).save(tmp_path / "large.png")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    result = call("edit", "inpaint", model, tmp_path / "large.png", "--out", tmp_path / "out",
                  "--mask", tmp_path / "mask.png", *FAST)  # fmt: skip
    assert result.code == 0 and "is 16×16: resized to 8×8" in result.err
    after = drawn(tmp_path / "out", "large")[0][0][0].permute(1, 2, 0).numpy()
    before = np.array(Image.open(picture))
    seen = before[..., 3] > 0
    seen[4:] = False
    assert (after[seen] == before[seen]).all()


def test_inpaint_draws_more_around_a_picture(call, model, picture, tmp_path) -> None:
    result = call("edit", "inpaint", model, picture, "--out", tmp_path, "--margin", 3, "--rounds", 1, *FAST)
    assert result.code == 0, result.err
    for pixels, metadata in drawn(tmp_path, "knife"):
        assert pixels.shape == (1, 4, 14, 14) and metadata["margin"] == 3
        assert torch.equal(pixels[:, :, 3:11, 3:11], read_png_pixels(picture)) and pixels[:, :, :3].sum() > 0


# ── upscale ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("factor", [2, 4])
def test_upscale_agrees_with_the_small_picture(call, model, tmp_path, factor) -> None:
    """To less than a byte's step, after the file was written and read."""
    side = 8 // factor
    pixels = np.random.default_rng(2).integers(0, 256, (side, side, 4), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "small.png")
    result = call("edit", "upscale", model, tmp_path / "small.png", "--out", tmp_path / "out", *FAST)
    assert result.code == 0, result.err
    pictures = noisette.load(model).pictures
    small = pictures.encode(read_png_pixels(tmp_path / "small.png"))
    for drawn_pixels, metadata in drawn(tmp_path / "out", "small"):
        assert drawn_pixels.shape == (1, 4, 8, 8) and metadata["factor"] == factor
        assert ((AveragePool(factor)(pictures.encode(drawn_pixels)) - small).abs() / 2).max() < 1 / 255


# ── tile ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("axes", ["x", "y", "xy"])
def test_tile_tells_its_seams(call, model, tmp_path, axes) -> None:
    result = call("edit", "tile", model, "--out", tmp_path, "--axes", axes, *FAST, "--json")
    assert result.code == 0, result.err
    rows = [json.loads(line) for line in result.out.splitlines()]
    assert [Path(r["path"]).name for r in rows] == [f"tile-{i:06d}.png" for i in range(3)]
    assert all(r["seam_x"] > 0 and r["seam_y"] > 0 and r["axes"] == axes for r in rows)
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.mode == "RGBA"


def test_tile_repairs_a_picture_and_keeps_its_middle(call, model, picture, tmp_path) -> None:
    result = call(
        "edit", "tile", model, "--out", tmp_path, "--picture", picture, "--axes", "x", "--border-width", 1, *FAST
    )
    assert result.code == 0, result.err
    before = read_png_pixels(picture)
    for pixels, metadata in drawn(tmp_path, "knife"):
        assert torch.equal(pixels[..., 1:-1], before[..., 1:-1]) and metadata["band"] == 1
        assert not torch.equal(pixels, before)


# ── walk ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("film", ["gif", "png", "none"])
def test_walk_in_frames_and_as_a_film(call, model, tmp_path, film) -> None:
    result = call("edit", "walk", model, "--out", tmp_path, "--keyframes", 2, "--frames", 4, "--steps", 2,
                  "--format", film,
                  "--label", "sword", "--label", "bread", "--batch", 3)  # fmt: skip
    assert result.code == 0, result.err
    frames = [read_png(tmp_path / f"frame-{i}.png") for i in range(4)]
    assert [t["weight"] for _, t in frames] == [0, 0.5, 0, 0.5]
    assert [(t["from_seed"], t["to_label"]) for _, t in frames] == [(0, "bread")] * 2 + [(1, "sword")] * 2
    assert (tmp_path / f"walk.{film}").is_file() == (film != "none")
    if film != "none":
        with Image.open(tmp_path / f"walk.{film}") as shown:
            assert shown.n_frames == 4 and shown.width == 128
    loaded = noisette.load(model)
    from noisette.sampling.generate import final_samples, generate

    grid = loaded.grid(2)  # a frame at a stop is the picture of that stop's seed and label
    right = final_samples(generate(loaded, [1], loaded.condition("bread", 1), loaded.sampler(), grid), grid)
    assert (loaded.pictures.decode_samples(right).int() - frames[2][0].int()).abs().max() <= 1


def test_a_mask_lies_where_its_picture_does(call, tmp_path) -> None:
    """Of pixel art, too, which is not stretched: what is marked is drawn, and nothing else."""
    plain = tiny(height=16, width=16)
    plain.config = replace(plain.config, pictures=replace(plain.pictures, pixel_art=True))
    plain.save_pretrained(tmp_path / "model")
    rng = np.random.default_rng(0)
    for side in (12, 16, 32):  # padded, as it is, and shrunk
        given, mask = tmp_path / f"given{side}.png", tmp_path / f"mask{side}.png"
        pixels = rng.integers(0, 256, (side, side, 4), dtype=np.uint8)
        pixels[..., 3] = 255
        marked = np.zeros((side, side), np.uint8)
        marked[: side // 4, : side // 2] = 255
        Image.fromarray(pixels).save(given)
        Image.fromarray(marked).save(mask)
        out = tmp_path / f"out{side}"
        done = call("edit", "inpaint", tmp_path / "model", given, "--mask", mask, "--out", out, "-n", 1, "--steps", 2,
                    "--rounds", 1)  # fmt: skip
        assert done.code == 0, done.err
        drawn, _ = read_png(next(out.glob("given*.png")))
        model = noisette.load(tmp_path / "model").pictures
        there = read_picture(given, model).pixels
        as_picture = tmp_path / "marked.png"
        Image.fromarray(np.dstack([marked] * 3 + [np.full_like(marked, 255)])).save(as_picture)
        wanted = read_picture(as_picture, model).pixels[0, 0] > 127
        assert torch.equal(drawn[0][:, ~wanted], there[0][:, ~wanted])
        assert not torch.equal(drawn[0][:, wanted], there[0][:, wanted])


def test_files_say_the_temperature_that_was_used(call, tmp_path) -> None:
    """The model's own where a picture begins with its noise; where a picture is given, none."""
    cool = tiny()
    cool.config = replace(cool.config, sampling=replace(cool.config.sampling, temperature=0.8))
    cool.save_pretrained(tmp_path / "model")
    given = tmp_path / "given.png"
    Image.fromarray(np.full((8, 8, 4), 128, np.uint8)).save(given)
    for words, file, wanted in (
        (("tile",), "tile-000000.png", 0.8),
        (("walk", "--format", "none", "--frames", 2, "--keyframes", 2), "frame-0.png", 0.8),
        (("vary", given), "given-000000.png", 1.0),
    ):
        edit, *rest = words
        more = () if edit == "walk" else ("-n", 1)
        done = call("edit", edit, tmp_path / "model", *rest, "--out", tmp_path / edit, "--steps", 2, *more)
        assert done.code == 0, done.err
        assert read_png(tmp_path / edit / file)[1]["temperature"] == wanted


def test_a_walk_is_guided_as_samples_are(call, model, tmp_path) -> None:
    """The keyframes equal what noisette sample generates with the same options."""
    options = ("--label", "sword", "--label", "bread", "--guidance", 2, "--seed", 3, "--steps", 3)
    led = (
        "--guidance-interval",
        "0,0.9",
        "--negative-label",
        "health potion",
        "--guidance-rescale",
        0.5,
        "--color",
        "#ff8000",
    )
    given = ("--keyframes", 2, "--frames", 2, "--format", "none")
    walk, plain, free = (tmp_path / name for name in ("walk", "plain", "free"))
    assert call("edit", "walk", model, "--out", walk, *given, *options, *led).code == 0
    assert call("sample", model, "--out", plain, "-n", 2, *options, *led).code == 0
    assert call("edit", "walk", model, "--out", free, *given, *options).code == 0
    for i, label in enumerate(("sword", "bread")):
        frame, metadata = read_png(walk / f"frame-{i}.png")
        drawn, _ = read_png(plain / f"{label}-{3 + i:06d}.png")
        assert (frame.int() - drawn.int()).abs().max() <= 1
        assert metadata["steering"]["negative"] == "health potion" and metadata["interval"] == [0, 0.9]
        assert not torch.equal(frame, read_png(free / f"frame-{i}.png")[0])


def test_walk_of_a_model_without_labels(call, other_model, tmp_path) -> None:
    result = call("edit", "walk", other_model, "--out", tmp_path, "--keyframes", 3, "--frames", 3, "--steps", 1,
                  "--no-loop", "--format", "none", "--json")  # fmt: skip
    rows = [json.loads(line) for line in result.out.splitlines()]
    assert [r["weight"] for r in rows] == [0, 0, 1] and rows[0]["loop"] is False


# ── invert ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_invert_prints_psnr_and_reconstructs(call, model, picture, tmp_path) -> None:
    result = call("edit", "invert", model, picture, "--out", tmp_path, "--steps", 4, "--source-label", "bread",
                  "--label", "sword", "--label", "bread:0.5,sword:0.5")  # fmt: skip
    assert result.code == 0, result.err
    assert "PSNR of the reconstruction: " in result.out and "dB" in result.out
    names = {"grid.png", "knife-back.png", "knife-sword.png", "knife-bread-0-5-sword-0-5.png"}
    assert {p.name for p in tmp_path.iterdir()} == names
    assert read_png(tmp_path / "knife-back.png")[1]["source_label"] == "bread"


# ── hspace ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_hspace_finds_directions_and_moves_along_them(call, model, sprites, tmp_path) -> None:
    result = call("edit", "hspace", model, "--out", tmp_path / "found", "-n", 5, "--steps", 2, "--components", 2,
                  "--without", sprites / "tool", "--with", sprites / "food", "--json")  # fmt: skip
    assert result.code == 2 and "words.png is a text file" in result.err
    clean = tmp_path / "pairs"
    for kind in ("plain", "marked"):
        (clean / kind).mkdir(parents=True)
        for i in range(2):
            color = (200, 30 * i, 0 if kind == "plain" else 255, 255)
            Image.new("RGBA", (8, 8), color).save(clean / kind / f"{i}.png")
    result = call("edit", "hspace", model, "--out", tmp_path / "found", "-n", 5, "--steps", 2, "--components", 2,
                  "--without", clean / "plain", "--with", clean / "marked", "--json")  # fmt: skip
    assert result.code == 0, result.err
    rows = [json.loads(line) for line in result.out.splitlines()]
    names = [r["name"] for r in rows]
    assert names[0].startswith("component 1 (") and names[2:] == ["bread", "health potion", "sword", "marked - plain"]
    assert all(r["r2"] <= 1 and -1 <= r["homogeneity"] <= 1 and r["rms_change"] >= 0 for r in rows)
    file = tmp_path / "found" / "directions.safetensors"
    assert file.is_file() and (tmp_path / "found" / "grid.png").is_file()

    moved = tmp_path / "moved"
    for name, along in (("plain", "sword=0"), ("sword", "sword=2"), ("both", "1=1")):
        more = ("--along", "marked - plain=-1") if name == "both" else ()
        result = call("edit", "hspace", model, "--out", moved / name, "--directions", file, "--along", along, *more,
                      "--label", "bread", *FAST)  # fmt: skip
        assert result.code == 0, result.err
    plain, sword, both = (drawn(moved / name, "hspace")[0] for name in ("plain", "sword", "both"))
    assert sword[1]["along"] == {"sword": 2.0} and len(both[1]["along"]) == 2
    call("sample", model, "--out", moved / "sample", "--label", "bread", *FAST)
    same = read_png(moved / "sample" / "bread-000000.png")[0].int() - plain[0].int()
    assert same.abs().max() <= 1 and not torch.equal(plain[0], sword[0])


# ── what cannot be used: one sentence, exit code 2, nothing written ───────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (
            ("vary", "MODEL", "PICTURE", "--strength", 0),
            "strength must be above 0 (almost no change) and at most 1, got 0",
        ),
        (("vary", "MODEL", "PICTURE", "--strength", 1.5), "at most 1, got 1.5"),
        (("vary", "MODEL", "PICTURE", "--label", "swrod"), "did you mean 'sword'"),
        (("vary", "MODEL", "PICTURE", "-n", 0), "n must be a whole number of at least 1, got 0"),
        (("vary", "MODEL", "NOTHING"), "cannot read"),
        (("vary", "MODEL", "TEXT"), "is a text file"),
        (("vary", "NOTHING", "PICTURE"), "no config.json"),
        (("inpaint", "MODEL", "PICTURE", "--method", "magic"), "no inpainting method is called 'magic'"),
        (("inpaint", "MODEL", "PICTURE", "--rounds", 0), "--rounds must be at least 1, got 0"),
        (("inpaint", "MODEL", "PICTURE", "--mask", "SMALL"), "give them the same size"),
        (("inpaint", "MODEL", "PICTURE", "--mask", "BLACK"), "has no white or transparent pixel"),
        (("inpaint", "MODEL", "PICTURE", "--margin", -1), "--margin must be at least 0, got -1"),
        (("inpaint", "MODEL", "OPAQUE"), "has no transparent pixel"),
        (("upscale", "MODEL", "PICTURE"), "a whole factor, 2 or more, must lead to 8×8"),
        (("upscale", "MODEL", "SMALL"), "is 3×3: a whole factor"),
        (("tile", "MODEL", "--axes", "z"), "--axes must be x, y or xy, got 'z'"),
        (("tile", "MODEL", "--border-width", 2), "--border-width needs a --picture"),
        (("tile", "MODEL", "--picture", "PICTURE", "--border-width", 4), "leave part of the 8×8 picture, got 4"),
        (("walk", "MODEL", "--keyframes", 1), "at least 2 keyframes and 2 frames, got 1 and 48"),
        (("walk", "MODEL", "--format", "avi"), "--format must be gif, png, mp4 or none, got 'avi'"),
        (("walk", "MODEL", "--frame-ms", 0), "--frame-ms must be at least 1, got 0"),
        (("invert", "MODEL", "PICTURE", "--sampler", "ddpm"), "needs a deterministic sampler"),
        (("invert", "MODEL", "PICTURE", "--steps", 1), "steps must be at least 2"),
        (("invert", "MODEL", "PICTURE", "--label", "dragon"), "no label is called 'dragon'"),
        (("invert", "MODEL", "PICTURE", "--source-label", "dragon"), "no label is called 'dragon'"),
        (("hspace", "MODEL", "--along", "1"), "need each other"),
        (("hspace", "MODEL", "--without", "NOTHING"), "need each other"),
        (("hspace", "MODEL", "-n", 3), "-n must be more than --components 4, got 3"),
        (("hspace", "MODEL", "--layer", "decodre"), "did you mean 'decoder'"),
        (("hspace", "MODEL", "--directions", "TEXT", "--along", "1", "--layer", "mid"), "--layer is for finding"),
        (("hspace", "MODEL", "--components", 0), "--components must be at least 1, got 0"),
        (("hspace", "MODEL", "--directions", "NOTHING", "--along", "1"), "cannot read"),
        (("hspace", "MODEL", "--directions", "TEXT", "--along", "1"), "not a safetensors file"),
        (("hspace", "MODEL", "--without", "NOTHING", "--with", "NOTHING"), "is not a folder of pictures"),
    ],
)
def test_edits_that_cannot_be(refused, model, picture, tmp_path, arguments, reason: str) -> None:
    Image.new("RGBA", (3, 3), "red").save(tmp_path / "small.png")
    Image.new("L", (8, 8), 0).save(tmp_path / "black.png")
    Image.new("RGBA", (8, 8), "red").save(tmp_path / "opaque.png")
    (tmp_path / "text.png").write_text("this is no picture, but a line of text")
    stands = {"MODEL": model, "PICTURE": picture, "NOTHING": tmp_path / "nowhere", "TEXT": tmp_path / "text.png",
              "SMALL": tmp_path / "small.png", "BLACK": tmp_path / "black.png",
              "OPAQUE": tmp_path / "opaque.png"}  # fmt: skip
    words = [stands.get(a, a) if isinstance(a, str) else a for a in arguments]
    assert reason in refused("edit", *words, "--out", tmp_path / "out", *(() if "--steps" in words else ("--steps", 2)))
    assert not (tmp_path / "out").exists()


def test_directions_belong_to_one_model(call, refused, model, other_model, tmp_path) -> None:
    assert call("edit", "hspace", other_model, "--out", tmp_path, "-n", 4, "--steps", 1, "--components", 1).code == 0
    file = tmp_path / "directions.safetensors"
    out = tmp_path / "out"
    assert "of another model" in refused("edit", "hspace", model, "--out", out, "--directions", file, "--along", "1")
    for along, reason in (("2=1", "no direction is called '2'"), ("1=much", "must be NAME=STRENGTH")):
        message = refused("edit", "hspace", other_model, "--out", out, "--directions", file, "--along", along)
        assert reason in message
    assert not out.exists()


def test_like_refuses_a_picture_of_an_edit(call, refused, model, picture, tmp_path) -> None:
    call("edit", "vary", model, picture, "--out", tmp_path / "a", *FAST)
    mine = tmp_path / "a" / "knife-000001.png"
    assert "was written by noisette edit vary" in refused("sample", model, "--out", tmp_path / "b", "--like", mine)
