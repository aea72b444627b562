"""Preparing the data set of a run folder: pixels, manifest, options and errors."""

import errno
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from noisette.data import Dataset, Subset, open_source, prepare, scan
from noisette.data.resize import resize_and_pad
from noisette.diffusion.condition import Condition
from noisette.errors import InputError

from .build import encoded, folder, noise, put


def everything(data: Dataset) -> Iterator[tuple[str, np.ndarray, Subset, int]]:
    """Name, pixels (H, W, C), side and index of every picture."""
    for side in (data.train, data.held_out):
        every = torch.arange(len(side))
        for i, (name, pixels) in enumerate(zip(side.names(every), side.pixels(every), strict=True)):
            yield name, pixels.permute(1, 2, 0).numpy(), side, i


def test_every_picture_comes_out_as_it_should(source: Path, tmp_path: Path) -> None:
    data = prepare(source, tmp_path / "run", size=(16, 24))
    assert (data.pictures.mode, data.pictures.shape) == ("RGBA", (4, 16, 24))
    assert data.pictures.labels == ("cat", "dog") and not data.pictures.binary_alpha
    assert len(data.train) == 27 and len(data.held_out) == 3
    seen = set()
    for name, pixels, side, i in everything(data):
        original = noise(int(name[-6:-4]), 20, 12, 4)
        original[:5] = np.where(original[:5, :, 3:] >= 0, [0, 0, 0, 0], 0)
        assert (pixels == resize_and_pad(original, 16, 24)).all()
        assert not pixels[pixels[..., 3] == 0].any()  # nothing is hidden
        label = side.condition(torch.tensor([i])).label
        assert label is not None and data.pictures.labels[int(label)] == name.split("/")[0]
        seen.add(name)
    assert len(seen) == 30
    assert "pictures of other proportions, padded with transparent pixels: 30" in data.notes


def test_x0_is_the_encoding_and_sigma_its_deviation(source: Path, tmp_path: Path) -> None:
    data = prepare(source, tmp_path / "run", size=16)
    rows = torch.tensor([5, 0, 5, 26])
    assert (data.train.x0(rows) == data.pictures.encode(data.train.pixels(rows))).all()
    assert (data.train.x0(rows)[0] == data.train.x0(rows)[2]).all()
    every = data.train.x0(torch.arange(27))
    assert data.sigma_data == pytest.approx(every.double().std(correction=0).item(), rel=1e-9)


def test_the_array_is_mapped_and_a_batch_is_a_copy(source: Path, tmp_path: Path) -> None:
    data = prepare(source, tmp_path / "run")
    assert isinstance(data.pixel_array.base, np.memmap) and not data.pixel_array.flags.writeable
    batch = data.train.pixels(torch.tensor([1, 2]))
    batch.zero_()
    assert data.train.pixels(torch.tensor([1])).any()


def test_the_contents_of_the_manifest(source: Path, tmp_path: Path) -> None:
    put(source / "cat" / "copy.png", (source / "cat/01.png").read_bytes())
    put(source / "broken.png", b"oops\n")
    prepare(source, tmp_path / "run")
    manifest = json.loads((tmp_path / "run/data.json").read_text(encoding="utf-8"))
    assert manifest["schema"] == 1 and manifest["source"] == str(source) and manifest["kind"] == "folder"
    assert manifest["pictures"]["mode"] == "RGBA" and manifest["pictures"]["labels"] == ["cat", "dog"]
    assert [q["name"] for q in manifest["quarantined"]] == ["broken.png"]
    files = {f["name"]: f for f in manifest["files"]}
    assert len(files) == 31 and {f["split"] for f in files.values()} == {"train", "held_out"}
    copy, original = files["cat/copy.png"], files["cat/01.png"]
    assert copy["copy_of"] == "cat/01.png" and copy["sha256"] == original["sha256"]
    assert (copy["row"], copy["split"], copy["group"]) == (original["row"], original["split"], original["group"])
    assert sorted({f["row"] for f in files.values()}) == list(range(30))
    assert np.load(tmp_path / "run/data/pixels.npy").shape == (30, 4, 20, 12)
    assert "exact copies, kept once: 1" in manifest["notes"]
    assert sorted(p.name for p in (tmp_path / "run").rglob("*")) == ["data", "data.json", "pixels.npy"]


# ── choices ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_size_that_all_share_is_kept(tmp_path: Path) -> None:
    data = prepare(folder(tmp_path / "a", "1.png", "2.png", h=24, w=10), tmp_path / "run-a")
    assert data.pictures.shape == (3, 24, 10) and "size 10×24, the size of all pictures" in data.notes
    for name, h, w, why in [("b", 80, 80, "larger than 64"), ("c", 7, 9, "smaller than 8")]:
        data = prepare(folder(tmp_path / name, "1.png", "2.png", h=h, w=w), tmp_path / f"run-{name}")
        assert data.pictures.shape == (3, 32, 32) and f"because the pictures are {why} pixels" in " ".join(data.notes)
    put(tmp_path / "a/3.png", noise(9, 8, 8))
    data = prepare(tmp_path / "a", tmp_path / "run-d")
    assert (
        data.pictures.shape == (3, 32, 32) and "size 32×32, because the pictures are of different sizes" in data.notes
    )


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_modes_are_chosen_or_given(tmp_path: Path, channels: int, mode: str) -> None:
    root = folder(tmp_path / "set", "1.png", "2.png", channels=channels)
    data = prepare(root, tmp_path / "run")
    assert data.pictures.mode == mode and data.train.pixels(torch.tensor([0])).shape == (1, channels, 16, 16)
    assert prepare(root, tmp_path / "gray", mode="L").pictures.shape == (1, 16, 16)
    assert prepare(root, tmp_path / "full", mode="RGBA").pictures.shape == (4, 16, 16)


def test_binary_alpha_is_detected(tmp_path: Path) -> None:
    for i in range(4):
        pixels = noise(i, 16, 16, 4)
        pixels[..., 3] = np.where(pixels[..., 3] > 100, 255, 0)
        put(tmp_path / f"set/{i}.png", pixels)
    assert prepare(tmp_path / "set", tmp_path / "a").pictures.binary_alpha
    assert not prepare(tmp_path / "set", tmp_path / "b", size=12).pictures.binary_alpha
    art = prepare(tmp_path / "set", tmp_path / "c", size=8, pixel_art=True)
    assert art.pictures.binary_alpha and art.pictures.pixel_art
    assert any(n.startswith("pictures that are not pixel art enlarged by a whole factor: 4 (0.png)") for n in art.notes)


def test_pixel_art_or_not_at_all(tmp_path: Path) -> None:
    root = folder(tmp_path / "set", "a.png", "b.png", h=20, w=20)
    put(root / "c.png", noise(5, 8, 8).repeat(3, 0).repeat(3, 1))
    with pytest.raises(InputError, match=r"a.png is 20×20 and cannot .* of 8×8 .* nor can 1 more: use 20×20 or 10×10"):
        prepare(root, tmp_path / "run", size=8, pixel_art=True)
    assert not (tmp_path / "run").exists()
    data = prepare(root, tmp_path / "run", size=10, pixel_art=True)
    pixels = {name: p for name, p, *_ in everything(data)}
    assert (pixels["c.png"][1:9, 1:9] == noise(5, 8, 8)).all()


def test_the_sprites_course_file(tmp_path: Path) -> None:
    """Its rows are copies many times over: each is kept once, and a copy is never on the other side."""
    distinct = np.random.default_rng(0).integers(0, 256, (60, 16, 16, 3), np.uint8)
    np.save(tmp_path / "sprites_60_16x16.npy", np.tile(distinct, (5, 1, 1, 1)))
    np.save(tmp_path / "sprite_labels_nc_60_16x16.npy", np.tile(np.eye(5)[np.arange(60) % 5], (5, 1)))
    data = prepare(tmp_path / "sprites_60_16x16.npy", tmp_path / "run")
    assert (len(data.train), len(data.held_out)) == (54, 6)
    assert data.pictures.labels == ("0", "1", "2", "3", "4") and data.pictures.shape == (3, 16, 16)
    assert {int(v) for v in data.held_out.condition(torch.arange(5)).label} == {0, 1, 2, 3, 4}
    assert "exact copies, kept once: 240" in data.notes and len(data.manifest.files) == 300


# ── what is known of them ─────────────────────────────────────────────────────────────────────────────────────────


def test_attributes_become_a_vector(tmp_path: Path) -> None:
    rows = [{"file_name": f"{i}.png", "weight": i, "kind": "ab"[i % 2], "id": f"n{i}", "same": 5} for i in range(90)]
    rows[3] |= {"weight": None}
    rows[4] = {"file_name": "4.png", "text": "nothing known"}
    root = folder(tmp_path / "set", *(f"{i}.png" for i in range(90)), h=8, w=8)
    (root / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = prepare(root, tmp_path / "run")
    assert data.pictures.attributes == ("weight", "kind=a", "kind=b", "same") and data.pictures.labels == ()
    assert any("attribute id, left out: it has 8" in n for n in data.notes)
    for reopened in (data, Dataset.open(tmp_path / "run")):
        known = {n: s.condition(torch.tensor([i])).vector for n, _, s, i in everything(reopened)}
        weights = [f.attributes["weight"] for f in data.train.files if "weight" in f.attributes]
        mean, deviation = np.mean(weights), np.std(weights)
        for i in range(90):
            vector = known[f"{i}.png"]
            assert vector is not None
            if i == 4:
                assert vector.isnan().all()
            else:
                weight = 0 if i == 3 else (i - mean) / deviation
                torch.testing.assert_close(vector[0], torch.tensor([weight, i % 2 == 0, i % 2 == 1, 0.0]).float())


def test_without_labels_the_condition_is_empty(tmp_path: Path) -> None:
    data = prepare(folder(tmp_path / "set", "a.png", "b.png"), tmp_path / "run")
    assert data.train.condition(torch.tensor([0])) == Condition()


def test_a_picture_without_a_label_has_class_minus_one(tmp_path: Path) -> None:
    root = folder(tmp_path / "set", *(f"x/{i}.png" for i in range(5)), "free.png", *(f"y/{i}.png" for i in range(5)))
    data = prepare(root, tmp_path / "run")
    labels = {n: int(s.condition(torch.tensor([i])).label) for n, _, s, i in everything(data)}
    assert labels["free.png"] == -1 and labels["x/0.png"] == 0 and labels["y/0.png"] == 1


# ── what cannot be prepared ───────────────────────────────────────────────────────────────────────────────────────


def test_one_picture_is_not_enough(tmp_path: Path) -> None:
    root = folder(tmp_path / "set", "a.png")
    with pytest.raises(InputError, match="only one picture: at least 2 different ones are needed"):
        prepare(root, tmp_path / "run")
    put(root / "b.png", encoded(noise(0)))
    with pytest.raises(InputError, match="only one picture: at least 2 different ones are needed"):
        prepare(root, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    put(root / "c.png", noise(1))
    data = prepare(root, tmp_path / "run")
    assert len(data.train) == len(data.held_out) == 1


@pytest.mark.parametrize(
    ("size", "words"),
    [(7, "between 8 and 1024 .* got 7×7: .* is 8×8"), ((4, 16), "got 16×4: .* is 16×8"), (5000, "is 1024×1024")],
)
def test_impossible_sizes(tmp_path: Path, size: int | tuple[int, int], words: str) -> None:
    with pytest.raises(InputError, match=words):
        prepare(folder(tmp_path / "set", "a.png", "b.png"), tmp_path / "run", size=size)


def test_an_open_source_is_as_good_as_its_path(source: Path, tmp_path: Path) -> None:
    opened = open_source(source)
    assert prepare(opened, tmp_path / "a").manifest == prepare(source, tmp_path / "b").manifest
    assert scan(opened) == scan(source)


def test_unknown_modes_and_shares(tmp_path: Path) -> None:
    root = folder(tmp_path / "set", "a.png", "b.png")
    with pytest.raises(InputError, match=r"held_out must be above 0 and at most 0\.5, got 0\.9"):
        prepare(root, tmp_path / "run", held_out=0.9)


def test_a_full_disk_leaves_nothing_behind(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr("noisette.io.files.free_bytes", lambda path: 1000)
        with pytest.raises(InputError, match=r"the disk is full \(40,928 bytes needed, 1,000 bytes free\)"):
            prepare(source, run)

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(InputError, match="the disk is full"):
            prepare(source, run)
    assert not [p for p in run.rglob("*") if p.is_file()]
    assert len(prepare(source, run).train) == 27


def test_pictures_that_change_between_scan_and_write_are_refused(source: Path, tmp_path: Path) -> None:
    def change_a_file(done: int, total: int) -> None:
        if done == 40:
            put(source / "dog/27.png", noise(1234))

    with pytest.raises(InputError, match=r"dog/27.png changed while the data set was made"):
        prepare(source, tmp_path / "run", progress=change_a_file)
    assert not (tmp_path / "run/data.json").exists() and not list(tmp_path.rglob("pixels.npy*"))


def test_progress_runs_through_both_passes(source: Path, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    prepare(source, tmp_path / "run", progress=lambda done, total: calls.append((done, total)))
    assert [d for d, _ in calls] == sorted(d for d, _ in calls) and calls[0] == (0, 60) and calls[-1] == (60, 60)


@pytest.mark.slow
def test_emoji_as_they_are_trained_on(tmp_path: Path) -> None:
    data = prepare("emoji", tmp_path / "run", size=16)
    assert data.pictures.shape == (4, 16, 16) and len(data.pictures.labels) == 9
    assert len(data.train) + len(data.held_out) == 1898 and 180 <= len(data.held_out) <= 200
    groups = [{f.group for f in side.files} for side in (data.train, data.held_out)]
    assert not groups[0] & groups[1]
    assert 0.5 < data.sigma_data < 1
    every = data.train.pixels(torch.arange(len(data.train)))
    assert not every[:, :3].masked_select(every[:, 3:] == 0).any()


@pytest.mark.slow
def test_the_code_of_docs_data_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs/data.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(code, names)
    data = names["data"]
    assert isinstance(data, Dataset) and data.pictures.shape == (1, 8, 8)


def test_the_folder_of_a_run_is_not_that_of_its_pictures(tmp_path: Path) -> None:
    """Run folders are left out of a source, so the run could not go on."""
    source = folder(tmp_path / "set", *(f"{label}/{i}.png" for label in "ab" for i in range(3)))
    before = sorted(source.rglob("*"))
    for run in (source, source / "a", tmp_path / "set" / ".." / "set"):
        with pytest.raises(InputError, match="holds pictures to train on, so it cannot be the run's folder"):
            prepare(source, run)
    assert sorted(source.rglob("*")) == before
    inside = prepare(source, source / "run")
    assert len(prepare(source, source / "run").train) == len(inside.train)
