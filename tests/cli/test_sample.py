import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from PIL import Image

import noisette
from noisette.data.png import read_metadata, read_png
from noisette.io.json_files import read_json
from noisette.models.config import SamplingDefaults
from noisette.sampling.generate import final_samples, generate
from noisette.sampling.steering import Steering
from tiny_models import tiny

from .conftest import python


def test_draws_what_the_library_draws(call, model, tmp_path) -> None:
    """Single PNGs at native size with alpha, a sheet, and what each is."""
    result = call("sample", model, "--out", tmp_path / "out", "-n", 5, "--seed", 10, "--steps", 3, "--batch", 2,
                  "--sampler", "ddpm", "--guidance", 1.5)  # fmt: skip
    assert result.code == 0, result.err
    names = ["bread-000010", "health-potion-000011", "sword-000012", "bread-000013", "health-potion-000014"]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted([*(f"{n}.png" for n in names), "grid.png"])
    assert str((tmp_path / "out" / "grid.png").resolve()) in result.out.split()

    loaded = noisette.load(model)
    grid, labels = loaded.grid(3), [n[:-7].replace("-", " ") for n in names]
    walk = generate(loaded, range(10, 15), loaded.condition(labels, 5), loaded.sampler("ddpm"), grid, 1.5, 2)
    pixels = loaded.pictures.decode_samples(final_samples(walk, grid))
    for i, name in enumerate(names):
        drawn, metadata = read_png(tmp_path / "out" / f"{name}.png")
        assert torch.equal(drawn[0], pixels[i])
        assert metadata == {
            "model": loaded.hash, "seed": 10 + i, "label": labels[i], "sampler": "ddpm", "grid": "karras",
            "steps": 3, "guidance": 1.5, "batch": 2 if i < 4 else 1, "times": [],
            "attributes": [], "eta": None, "interval": [0.0, 1.0], "rotations": [], "noisette": noisette.__version__,
            "steering": asdict(Steering()) | {"colors": []}, "text": None, "upscalers": [], "noise_aug": 0.0,
            "temperature": 1.0, "noise_scale": 1.0, "upscaler_sampling": [], "lock": None, "canvas": None,
        }  # fmt: skip
    with Image.open(tmp_path / "out" / "grid.png") as grid_image:
        assert grid_image.mode == "RGBA" and grid_image.width > 8 * 16


def test_sheet_keeps_labels_together(call, model, tmp_path) -> None:
    call("sample", model, "--out", tmp_path, "-n", 4, "--steps", 1, "--label", "sword", "--label", "bread")
    order = ["bread-000001", "bread-000003", "sword-000000", "sword-000002"]
    tiles = [Image.open(tmp_path / f"{n}.png").resize((128, 128), Image.Resampling.NEAREST) for n in order]
    with Image.open(tmp_path / "grid.png") as grid:
        for i, tile in enumerate(tiles):
            top, left = i // 2 * 144, i % 2 * 144
            assert grid.crop((left, top, left + 128, top + 128)).tobytes() == tile.tobytes()


def test_a_series_is_drawn_in_parts_and_its_grid_is_bounded(call, model, tmp_path, monkeypatch) -> None:
    """Any number of pictures takes the memory of one part, and every picture is what it is in the whole."""
    assert call("sample", model, "--out", tmp_path / "whole", "-n", 7, "--steps", 1, "--batch", 2).code == 0
    monkeypatch.setattr("noisette.cli.sample.PART_SIZE", 5)  # parts of two batches
    monkeypatch.setattr("noisette.cli.sample.MAX_GRID_PIXELS", 3 * 64)
    result = call("sample", model, "--out", tmp_path / "parts", "-n", 7, "--steps", 1, "--batch", 2)
    assert result.code == 0 and "sheets show the first 3 of 7 pictures" in result.err
    for path in (tmp_path / "whole").glob("*-*.png"):
        assert path.read_bytes() == (tmp_path / "parts" / path.name).read_bytes()
    assert len(list((tmp_path / "parts").glob("*-*.png"))) == 7
    assert (
        "-n must be at most 1,000,000,000, got 2,000,000,000"
        in call("sample", model, "--out", tmp_path / "o", "-n", 2 * 10**9).err
    )


@pytest.mark.parametrize("batch", [1, 3, 5])
def test_like_draws_the_same_file_again(call, model, tmp_path, batch: int) -> None:
    """Byte for byte, whatever batch the picture was drawn in, for its first and its last one."""
    call("sample", model, "--out", tmp_path / "a", "-n", 5, "--steps", 2, "--batch", batch, "--guidance", 2)
    for name in ("bread-000000.png", "health-potion-000004.png"):
        result = call("sample", model, "--out", tmp_path / "b", "--like", tmp_path / "a" / name)
        assert result.code == 0, result.err
        assert result.out.split() == ["wrote", str((tmp_path / "b" / name).resolve())]
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert not (tmp_path / "b" / "grid.png").exists()


def test_a_picture_drawn_on_a_fitted_grid_is_drawn_again_after_another_was_fitted(call, model, tmp_path) -> None:
    """Its times are in the picture; and how a model samples is no part of its hash."""
    shutil.copytree(model, tmp_path / "m")
    loaded = noisette.load(tmp_path / "m")
    loaded.save_sampling(tmp_path / "m", SamplingDefaults("unipc", "fitted", 3, fitted=((1.0, 0.1, 0.01, 0.0),)))
    assert call("sample", tmp_path / "m", "--out", tmp_path / "a", "-n", 1, "--label", "sword").code == 0
    first = tmp_path / "a" / "sword-000000.png"
    metadata = read_metadata(first)
    assert (
        metadata["times"] == [1.0, 0.1, 0.01, 0.0]
        and metadata["sampler"] == "unipc"
        and metadata["model"] == loaded.hash
    )
    loaded.save_sampling(tmp_path / "m", SamplingDefaults("ddim", "fitted", 3, fitted=((1.0, 0.5, 0.2, 0.0),)))
    assert noisette.load(tmp_path / "m").hash == loaded.hash
    assert call("sample", tmp_path / "m", "--out", tmp_path / "b", "--like", first).code == 0
    assert (tmp_path / "b" / first.name).read_bytes() == first.read_bytes()
    assert call("sample", tmp_path / "m", "--out", tmp_path / "c", "-n", 1, "--label", "sword", "--steps", 5).code == 0
    assert len(read_metadata(tmp_path / "c" / first.name)["times"]) == 6


def test_a_model_without_labels(call, other_model, tmp_path) -> None:
    """Gray, not square."""
    result = call("sample", other_model, "--out", tmp_path, "-n", 3, "--steps", 2, "--json")
    rows = [json.loads(line) for line in result.out.splitlines()]
    assert [r["seed"] for r in rows] == [0, 1, 2] and {r["label"] for r in rows} == {None}
    with Image.open(rows[2]["path"]) as picture:
        assert picture.mode == "L" and picture.size == (12, 8) and Path(rows[2]["path"]).name == "000002.png"
    assert (tmp_path / "grid.png").is_file()
    again = call("sample", other_model, "--out", tmp_path / "b", "--like", rows[1]["path"])
    assert again.code == 0 and (tmp_path / "b" / "000001.png").read_bytes() == Path(rows[1]["path"]).read_bytes()


def test_a_copied_run_folder_samples_in_another_process(call, model, tmp_path) -> None:
    """Offline, as always; the same bytes."""
    shutil.copytree(model, tmp_path / "copied")
    done = python("sample", tmp_path / "copied", "--out", tmp_path / "a", "-n", 2, "--steps", 2)
    assert done.returncode == 0, done.stderr
    assert call("sample", model, "--out", tmp_path / "b", "-n", 2, "--steps", 2).code == 0
    for name in ("bread-000000.png", "health-potion-000001.png", "grid.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_mixtures_and_attributes_by_name(call, refused, tmp_path) -> None:
    """Told in the file, and drawn again from it."""
    model, out = tmp_path / "metadata", tmp_path / "out"
    tiny(attributes=("hue", "shape=round", "shape=square"), means=(0.5, 0, 0), scales=(0.2, 1, 1)).save_pretrained(
        model
    )
    conditions = ("--label", "bread:0.5,sword:0.5", "--attribute", "hue=0.3", "--attribute", "shape=round")
    result = call("sample", model, "--out", out, "-n", 2, "--steps", 2, *conditions, "--guidance", 1.5)
    assert result.code == 0, result.err
    name = "bread-0-5-sword-0-5-000001.png"
    metadata = read_metadata(out / name)
    assert metadata["label"] == "bread:0.5,sword:0.5" and metadata["attributes"] == ["hue=0.3", "shape=round"]
    assert call("sample", model, "--out", tmp_path / "b", "--like", out / name).code == 0
    assert (out / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    loaded = noisette.load(model)
    cond = loaded.condition({"bread": 1.0, "sword": 1.0}, 2, attributes={"hue": 0.3, "shape": "round"})
    grid = loaded.grid(2)
    right = loaded.pictures.decode_samples(
        final_samples(generate(loaded, [0, 1], cond, loaded.sampler(), grid, 1.5), grid)
    )
    assert torch.equal(read_png(out / name)[0], right[1:])
    for words, reason in (
        (("--attribute", "hu=1"), "did you mean 'hue'"), (("--attribute", "hue"), "write it like hue=0.3"),
        (("--attribute", "shape=oval"), "has no value 'oval'"), (("--label", "bread:x"), "write it like potion:0.5"),
        (("--label", "bread:1,swrod:1"), "did you mean 'sword'"),
    ):  # fmt: skip
        assert reason in refused("sample", model, "--out", tmp_path / "c", *words)


def test_a_model_without_attributes_refuses_them(refused, model, tmp_path) -> None:
    assert "without attributes" in refused("sample", model, "--out", tmp_path / "out", "--attribute", "hue=1")
    assert not (tmp_path / "out").exists()


# ── what cannot be used: one sentence, exit code 2, nothing written ───────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--label", "swrod"), "did you mean 'sword'?"),
        (("--label", "Sword"), "did you mean 'sword'?"),
        (("--label", "dragon"), "there are bread, health potion, sword"),
        (("--sampler", "huen"), "no sampler is called 'huen': did you mean 'heun'"),
        (("--sampler", "dpmpp2m"), "did you mean 'dpm++2m'"),
        (("--sampler", "ddpm-learned"), "did not learn a variance: choose ddpm or ddpm-large"),
        (("--grid", "karas"), "no grid is called 'karas': did you mean 'karras'?"),
        (("--grid", "fitted"), "fit one with `noisette steps`"),
        (("--grid", "trailing", "--steps", "1001"), "must be from 1 to 1000"),
        (("-n", "0"), "-n must be at least 1, got 0"),
        (("--steps", "0"), "steps must be a whole number of at least 1, got 0"),
        (("--seed", "-1"), "seed must be a whole number of at least 0, got -1"),
        (("--batch", "0"), "batch must be a whole number of at least 1, got 0"),
    ],
)
def test_impossible_options_are_refused(refused, model, tmp_path, arguments, reason: str) -> None:
    assert reason in refused("sample", model, "--out", tmp_path / "out", *arguments)
    assert not (tmp_path / "out").exists()


def test_a_model_without_labels_refuses_them(refused, other_model, tmp_path) -> None:
    assert "without labels" in refused("sample", other_model, "--out", tmp_path / "out", "--label", "cat")
    assert "without labels" in refused("sample", other_model, "--out", tmp_path / "out", "--guidance", 2)
    assert not (tmp_path / "out").exists()


def test_models_that_are_none(refused, model, tmp_path) -> None:
    out = tmp_path / "out"
    assert "no config.json" in refused("sample", tmp_path / "nowhere", "--out", out)
    assert "no config.json" in refused("sample", tmp_path, "--out", out)
    for name, change, reason in (
        ("newer", lambda p: _edit(p, lambda c: c | {"format": 99}), "newer"),
        ("hash", lambda p: (p / "model.safetensors").write_bytes(b"x" * 80_000), "damaged"),
        ("size", lambda p: (p / "model.safetensors").write_bytes(b"x" * 400), "belongs to another model"),
        ("key", lambda p: _edit(p, lambda c: c | {"model": c["model"] | {"nett": 1}}), "nett"),
        ("code", lambda p: _edit(p, lambda c: c | {"model": c["model"] | {"schedule": {"is": "os.system"}}}), "system"),
        ("text", lambda p: (p / "config.json").write_text("{"), "not JSON"),
    ):
        shutil.copytree(model, tmp_path / name)
        change(tmp_path / name)
        assert reason in refused("sample", tmp_path / name, "--out", out)
    assert not out.exists()


def _edit(folder: Path, change) -> None:
    config = read_json(folder / "config.json")
    (folder / "config.json").write_text(json.dumps(change(config)))


def test_folders_that_cannot_be_written(refused, model, tmp_path) -> None:
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        assert "cannot write" in refused("sample", model, "--out", out, "-n", 1, "--steps", 1)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(refused, model, tmp_path) -> None:
    tmp_path.chmod(0o500)
    assert "permission" in refused("sample", model, "--out", tmp_path / "out", "-n", 1)
    tmp_path.chmod(0o700)


def test_pictures_that_cannot_be_drawn_again(refused, call, model, other_model, tmp_path) -> None:
    call("sample", model, "--out", tmp_path / "a", "-n", 1, "--steps", 1, "--label", "sword")
    mine, out = tmp_path / "a" / "sword-000000.png", tmp_path / "out"
    assert "of another model" in refused("sample", other_model, "--out", out, "--like", mine)
    assert "leave -n and --seed out" in refused("sample", model, "--out", out, "--like", mine, "-n", 3, "--seed", 0)
    Image.open(mine).save(tmp_path / "saved-again.png")
    assert "has no noisette metadata" in refused("sample", model, "--out", out, "--like", tmp_path / "saved-again.png")
    assert "no such file" in refused("sample", model, "--out", out, "--like", tmp_path / "none.png")
    from noisette.data.png import write_png

    metadata = read_metadata(mine)
    for change, reason in (
        ({"sampler": "exec"}, "no sampler"), ({"steps": "many"}, "should be int"),
        ({"batch": 10**9}, "forged.png: batch must be at most 4096"),
        ({"label": "dragon"}, "no label"), ({"steps": 0}, "steps must be a whole number of at least 1"),
        ({"times": [1.0, 0.0, 0.5]}, "decrease from at most 1 to 0"),
        ({"times": [1, 0.5, 0]}, "times must be steps + 1 = 2 numbers, got 3"),
        ({"surprise": 1}, "surprise"),
    ):  # fmt: skip
        write_png(tmp_path / "forged.png", Image.open(mine), metadata | change)
        assert reason in refused("sample", model, "--out", out, "--like", tmp_path / "forged.png")
    assert not out.exists()


def test_a_disk_that_fills_up_leaves_whole_pictures(call, model, tmp_path, monkeypatch) -> None:
    """The third write fails: two pictures are there and whole, nothing half-written beside them."""
    import errno

    from noisette.io import files

    real, count = os.fsync, [0]

    def full(fd: int) -> None:
        count[0] += 1
        if count[0] == 5:  # a file and its folder for each picture
            raise OSError(errno.ENOSPC, "No space left on device")
        real(fd)

    monkeypatch.setattr(files.os, "fsync", full)
    result = call("sample", model, "--out", tmp_path / "out", "-n", 4, "--steps", 1)
    assert result.code == 2 and "disk is full" in result.err
    found = sorted((tmp_path / "out").iterdir())
    assert [p.name for p in found] == ["bread-000000.png", "health-potion-000001.png"]
    for path in found:
        read_png(path)


def test_snapshots_of_a_run(call, refused, trained, tmp_path) -> None:
    """A run without evaluations is its own last and best; what it has not is refused."""
    run, _ = trained
    for name in ("last", "best"):
        result = call("sample", run, "--out", tmp_path / name, "-n", 1, "--steps", 1, "--snapshot", name)
        assert result.code == 0, result.err
    assert "has no snapshot '16': give best or last" in refused(
        "sample", run, "--out", tmp_path / "no", "--snapshot", "16"
    )
