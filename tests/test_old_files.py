"""Files that version 0.1.0 wrote can still be read, and mean the same.

tests/fixtures/v0.1.0 holds small files of every kind that noisette 0.1.0 (commit 71f0fae) wrote; its MANIFEST.json
gives, for each, the command that made it, and hashes of what that version read from it. They stand for files that
people have, so they are not regenerated. Where possible they are read through the command line and the top-level
functions.

A processor of another kind adds numbers up in another order. Hashes of weights and of models must be equal everywhere;
what is computed is compared within a tolerance, or exactly with NOISETTE_EXACT=1 on the kind of machine that made the
fixtures (`about` in MANIFEST.json says which).
"""

import contextlib
import hashlib
import json
import os
import runpy
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import noisette
from noisette.cli.diagnosis import diagnose_run
from noisette.io.json_files import read_json

FIXTURES = Path(__file__).parent / "fixtures" / "v0.1.0"
MANIFEST: dict[str, Any] = json.loads((FIXTURES / "MANIFEST.json").read_text("utf8"))
EXACT = os.environ.get("NOISETTE_EXACT") == "1"
NEAR = 3  # levels of 255 by which a value may differ that was computed on another kind of machine
FEW = 0.03  # the share of values that may differ by more: those next to a threshold
INTERNAL = {  # where classes are defined that are not top-level names: edit this when they move
    "Dataset": "noisette.data", "DirectionCache": "noisette.studio.directions",
    "PictureClassifier": "noisette.models.classifier", "Trainer": "noisette.studio.trainer",
    "Workspace": "noisette.studio.workspace",
}  # fmt: skip
RENAMED = {  # options that MANIFEST.json's commands have, and what they are called today
    "--then": "--upscaler", "--level": "--noise-aug", "--towards": "--palette", "--towards-scale": "--color-scale",
    "--away": "--guide-with", "--rescale": "--guidance-rescale", "--negative": "--negative-label",
    "--way": "--method", "--of": "--source-label", "--band": "--border-width", "--stops": "--keyframes",
    "--one-way": "--no-loop", "--film": "--format", "--from": "--without", "--to": "--with", "--at": "--layer",
    "--checkups": "--evaluations", "--encoder": "--text-encoder", "--keep": "--keep-default",
}  # fmt: skip
UNFINISHED = {name: entry for name, entry in MANIFEST["runs"].items() if "resumed" in entry}

Call = Callable[..., str]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the fixtures that the tests of this file only read from."""
    return Path(shutil.copytree(FIXTURES, tmp_path_factory.mktemp("old") / "files"))


@pytest.fixture
def files(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same copy, as the working directory: paths inside the fixtures are relative to it."""
    monkeypatch.chdir(shared)
    return shared


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy that a test may write to, as the working directory."""
    folder = Path(shutil.copytree(FIXTURES, tmp_path / "files"))
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """`python -m noisette …` in this process: checks its exit code, and returns what it printed."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: object, code: int = 0) -> str:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["noisette", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            runpy.run_module("noisette", run_name="__main__")
        out, err = capsys.readouterr()
        assert (stop.value.code or 0) == code, err
        return out + err

    return run


def internal(name: str) -> Any:
    """A class by its name in INTERNAL."""
    return getattr(import_module(INTERNAL[name]), name)


def words_of(made: str) -> list[str]:
    """The words of a command in MANIFEST.json, without `noisette` and without `--out OUT`."""
    words = shlex.split(made, comments=True)
    assert words[0] == "noisette"
    return today(words[1:-2] if words[-2:] == ["--out", "OUT"] else words[1:])


def today(words: list[str]) -> list[str]:
    """The same words, with options as they are called today."""
    return [RENAMED.get(word, word) for word in words]


def hash_of_weights(module: torch.nn.Module) -> str:
    """See `about.weights` in MANIFEST.json. Names do not count: a later version may rename modules."""
    each = sorted(
        hashlib.sha256(f"{t.dtype} {tuple(t.shape)} ".encode() + t.contiguous().numpy().tobytes()).hexdigest()
        for t in module.state_dict().values()
    )
    return hashlib.sha256("".join(each).encode()).hexdigest()


def hash_of_pixels(path: Path) -> str:
    with Image.open(path) as image:
        return hashlib.sha256(f"{image.mode} {image.size} ".encode() + image.tobytes()).hexdigest()


def premultiplied(path: Path) -> np.ndarray:
    """Color times alpha, and alpha: what hides under a transparent pixel does not count."""
    with Image.open(path) as image:
        rgba = np.asarray(image.convert("RGBA")).astype(float)
    return np.concatenate([rgba[..., :3] * rgba[..., 3:] / 255, rgba[..., 3:]], -1)


def assert_alike(one: Path, other: Path) -> None:
    """Two pictures are equal, or nearly so if they may come from different machines."""
    with Image.open(one) as a, Image.open(other) as b:
        assert (a.mode, a.size) == (b.mode, b.size)
    if EXACT:
        assert hash_of_pixels(one) == hash_of_pixels(other)
    else:
        off = np.abs(premultiplied(one) - premultiplied(other)) > NEAR
        assert off.mean() <= FEW, f"{off.mean():.1%} of the values differ"


def assert_draws(model: Any, entry: dict[str, Any], out: Path) -> None:
    """A model draws what an entry of MANIFEST.json says: three pictures, side by side."""
    drawn = noisette.draw(model, **entry["how"]).pixels
    image = torch.cat(list(drawn), -1).permute(1, 2, 0).numpy()
    Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).save(out / "drawn.png")
    assert_alike(out / "drawn.png", FIXTURES / entry["drawn"])


def losses(run: Path) -> list[list[float]]:
    return [[row["images"], row["loss"]] for row in noisette.Run(run).metrics if "loss" in row]


def assert_same_losses(run: Path, wanted: list[list[float]]) -> None:
    """The rows of the journal. Other instructions of a processor change them by 1e-6, relatively."""
    found = losses(run)
    assert [images for images, _ in found] == [images for images, _ in wanted]
    tolerance = {"abs": 1e-6} if EXACT else {"rel": 1e-4}
    assert [loss for _, loss in found] == pytest.approx([loss for _, loss in wanted], **tolerance)


def test_the_fixtures_are_whole_and_small() -> None:
    for part in ("pngs", "edits"):
        for name, entry in MANIFEST[part].items():
            assert hash_of_pixels(FIXTURES / "pngs" / f"{name}.png") == entry["pixels"], name
            assert hash_of_pixels(FIXTURES / "pngs" / f"{name}.again.png") == entry["again"], name
            assert entry["equal"], name
    pictures = {path.name.removesuffix(".png") for path in (FIXTURES / "pngs").iterdir()}
    assert {n for n in pictures if not n.endswith(".again")} == {
        *MANIFEST["pngs"], *MANIFEST["edits"], *MANIFEST["refused"],
    }  # fmt: skip
    assert sum(path.stat().st_size for path in FIXTURES.rglob("*") if path.is_file()) < 1.5e6


# ── models ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", MANIFEST["models"])
def test_a_model_loads_and_draws_what_it_drew(files: Path, tmp_path: Path, name: str) -> None:
    """Model folders, run folders, snapshots and checkpoints. The hash decides whether --like accepts a picture."""
    entry, model = MANIFEST["models"][name], noisette.load(name)
    assert model.hash == entry["hash"]
    assert hash_of_weights(model) == entry["weights"]
    if "drawn" in entry:
        assert_draws(model, entry, tmp_path)


@pytest.mark.parametrize("name", MANIFEST["classifiers"])
def test_a_classifier_loads_and_answers_what_it_answered(files: Path, name: str) -> None:
    entry, classifier = MANIFEST["classifiers"][name], internal("PictureClassifier").from_pretrained(name)
    assert classifier.hash == entry["hash"] and hash_of_weights(classifier) == entry["weights"]
    assert list(classifier.config.pictures.labels) == entry["labels"]
    x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    logits = classifier(x, torch.tensor([0.01, 0.002], dtype=torch.float64))
    torch.testing.assert_close(logits, torch.tensor(entry["logits"]), rtol=1e-3, atol=1e-4)


def test_what_was_exported_to_diffusers_comes_back(files: Path, tmp_path: Path, call: Call) -> None:
    call("convert", "diffusers", tmp_path / "back")
    assert hash_of_weights(noisette.load(tmp_path / "back")) == MANIFEST["diffusers"]["weights"]


def test_a_model_folder_with_a_card(files: Path) -> None:
    """As it lies on the hub. That it loads is tested above."""
    assert sorted(path.name for path in Path("hub-card").iterdir()) == MANIFEST["card"]["files"]
    assert Path("hub-card/README.md").read_text("utf8").startswith("---\nlibrary_name: noisette\n")
    assert hash_of_pixels(Path("hub-card/samples.png")) == MANIFEST["card"]["samples"]


# ── pictures ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", MANIFEST["pngs"])
def test_a_picture_is_drawn_again(files: Path, tmp_path: Path, call: Call, name: str) -> None:
    like = (*today(MANIFEST["pngs"][name]["like"]), "--like", f"pngs/{name}.png", "--out", tmp_path / "out")
    call("--trust-encoder", "encoder", "sample", *like)  # which version 0.1.0 opened because the model named it
    (drawn,) = (tmp_path / "out").iterdir()
    assert_alike(drawn, files / "pngs" / f"{name}.png")


@pytest.mark.parametrize("name", MANIFEST["edits"])
def test_an_edit_is_made_again_by_its_command(files: Path, tmp_path: Path, call: Call, name: str) -> None:
    """--like does not draw it: it says which command made it."""
    entry = MANIFEST["edits"][name]
    words = words_of(entry["made"])
    output = call("sample", words[2], "--like", f"pngs/{name}.png", "--out", tmp_path / "no", code=2)
    assert f"edit {words[1]}" in output
    call(*words, "--out", tmp_path / "out")
    assert_alike(tmp_path / "out" / f"{entry['picture']}.png", files / "pngs" / f"{name}.png")


@pytest.mark.parametrize("name", MANIFEST["refused"])
def test_the_studios_edits_and_branches_are_refused(files: Path, tmp_path: Path, call: Call, name: str) -> None:
    """They are not drawn again by --like, and were not by 0.1.0: one sentence says so."""
    like = today(MANIFEST["refused"][name]["like"])
    output = call("sample", *like, "--like", f"pngs/{name}.png", "--out", tmp_path / "no", code=2)
    assert output.count("\n") == 1 and not (tmp_path / "no").exists()


@pytest.mark.parametrize("file", MANIFEST["directions"])
def test_directions_keep_their_names(files: Path, tmp_path: Path, call: Call, file: str) -> None:
    """Pictures that are moved along some of them are among the edits."""
    along = [word for name in MANIFEST["directions"][file]["names"] for word in ("--along", f"{name}=0.1")]
    call("edit", "hspace", "run", "--directions", file, *along, "-n", 1, "--steps", 1, "--out", tmp_path / "out")
    words = ("edit", "hspace", "run", "--directions", file, "--along", "nothing=1", "--out", tmp_path / "no")
    call(*words, code=2)


# ── runs ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_finished_run_has_its_plan_and_losses(files: Path) -> None:
    entry, run = MANIFEST["runs"]["run"], noisette.Run("run")
    assert run.is_finished and run.plan["images"] == entry["images"] and run.plan["preset"] == "tiny"
    assert run.pictures.labels == ("food", "tool") and run.pictures.shape == (4, 8, 8)
    found = [[images, pytest.approx(loss, abs=1e-6)] for images, loss in losses(Path("run"))]
    assert entry["rows"] == found
    assert any("held_out" in row for row in run.metrics) and any("evaluation" in row for row in run.metrics)
    assert run.sample_history.images_seen == entry["grown"] and len(run.samples.pixels) == entry["samples"]
    pixels = b"".join(one.numpy().tobytes() for one in run.sample_history.pictures)
    assert hashlib.sha256(pixels).hexdigest() == entry["grown_sha256"]
    assert len(run.model.config.sampling.fitted) == entry["fitted"] > 0


def test_a_finished_run_has_nothing_left_to_do(own: Path, call: Call) -> None:
    """The same command finds the same data, options and model, and writes none of them."""
    kept = {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}
    call(*words_of(MANIFEST["runs"]["run"]["made"]))
    changed = [str(path) for path, data in kept.items() if not path.is_file() or path.read_bytes() != data]
    assert not [path for path in changed if "checkpoints" not in path], changed
    assert noisette.load("run/checkpoints/000003200").hash == MANIFEST["models"]["run/checkpoints/000003200"]["hash"]


@pytest.mark.parametrize("name", UNFINISHED)
def test_a_run_continues_where_it_stopped(own: Path, tmp_path: Path, call: Call, name: str) -> None:
    """Stopped by SIGTERM, by a loss that learns or remembers beside the model, or before the first checkpoint."""
    entry = UNFINISHED[name]
    call(*words_of(entry["made"]))
    model = noisette.load(name)
    assert_same_losses(Path(name), entry["resumed"]["rows"])
    if sampling := entry["resumed"].get("sampling"):  # what 0.1.0 chose at the end of the run; today chooses otherwise
        fitted = tuple(map(tuple, sampling["fitted"]))
        model = model.with_sampling(replace(model.config.sampling, **(sampling | {"fitted": fitted})))
    assert_draws(model, entry["resumed"], tmp_path)
    if EXACT:
        assert hash_of_weights(model) == entry["resumed"]["weights"]
        assert sampling or model.hash == entry["resumed"]["hash"]


def test_a_run_with_other_options_is_refused(own: Path, call: Call) -> None:
    words = words_of(UNFINISHED["run-unfinished"]["made"])
    output = call(*words[:-1], "4", code=2)
    assert "seed" in output and output.count("\n") == 1


@pytest.mark.parametrize("name", ["run", "run-unfinished", "run-importance", "run-uncertainty", "run-checked"])
def test_doctor_reads_a_run(files: Path, name: str) -> None:
    """What it says of them is for people; that it says something of each part, and finds no damage, is tested here."""
    facts = {fact.name: fact.value for fact in diagnose_run(Path(name))}
    assert {"plan", "state", "checkpoints"} <= facts.keys() and "damaged" not in facts
    if name != "run-checked":
        assert noisette.Run(name).is_finished == ("resumed" not in MANIFEST["runs"][name])
    if name == "run-checked":
        assert "1,024" in facts["snapshot"] and "KID" in facts["last evaluation"]


def test_the_best_snapshot_is_the_runs_model(files: Path, tmp_path: Path, call: Call) -> None:
    """By the figures in checkup.json."""
    hashes = {}
    for name in ("best", "last", "1024"):
        words = ("sample", "run-checked", "--out", tmp_path / name, "-n", 1, "--steps", 1, "--label", "3", "--json")
        output = call(*words, "--snapshot", name)
        hashes[name] = json.loads(output.splitlines()[0])["model"]
    best, last = (MANIFEST["models"][f"run-checked/snapshots/00000{n}"]["hash"] for n in ("1024", "3072"))
    assert hashes == {"best": best, "last": last, "1024": best} and noisette.load("run-checked").hash == best


def test_growth_is_filmed_from_old_sheets(files: Path, tmp_path: Path, call: Call) -> None:
    call("film", "run", "--kind", "growth", "--out", tmp_path / "growth.png", "--scale", "1", "--columns", "4")
    with Image.open(tmp_path / "growth.png") as film:
        assert getattr(film, "n_frames", 1) == len(MANIFEST["runs"]["run"]["grown"])


def test_data_sets_open_without_their_source(files: Path) -> None:
    """data.json, pixels.npy, and captions that were encoded once."""
    data = internal("Dataset").open("run")
    assert (len(data.train), len(data.held_out)) == (22, 2) and data.pictures.labels == ("food", "tool")
    model = noisette.load("model-text")
    assert model.pictures.labels == ("food", "tool") and model.pictures.text_encoder is not None
    Path("encoder").rename("encoder-away")
    try:
        assert model.condition(text="a blue tool") is not None  # a known text, from the run folder
        with pytest.raises(ValueError, match="encoder"):
            model.condition(text="a tool of blue")
    finally:
        Path("encoder-away").rename("encoder")


def test_a_data_set_with_attributes_is_the_same_again(own: Path, call: Call) -> None:
    """data.json with its columns, whose pixels are lost: they are made again from the source."""
    name = "run-begun/attributes"
    before = json.loads(Path(name, "data.json").read_text("utf8"))
    call(*words_of(MANIFEST["runs"][name]["made"]))
    after = read_json(Path(name, "data.json"))
    assert after["pictures"].pop("text_encoder") is before["pictures"].pop("wording") is None  # has another name
    assert isinstance(after["pictures"].pop("alpha_snap"), list)  # is new
    new = [after["options"].pop(name) for name in ("mask_value", "near_duplicates", "percentiles")]
    assert new == [None] * 3 and after["pictures"].pop("levels") is None
    assert after == before
    pictures = noisette.Run(name).pictures
    assert pictures.attributes == ("hue", "shape=fish", "shape=square", "shape=tool") and pictures.scales[0] > 0


def test_a_classifier_is_trained_for_an_old_run(files: Path, tmp_path: Path, call: Call) -> None:
    """By the schedule in its config.json, and its data."""
    call("train-classifier", "run", "--out", tmp_path / "classifier", "--images", "64", "--batch", "32")
    assert (tmp_path / "classifier" / "model.safetensors").is_file()


# ── figures ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_was_measured_is_not_measured_again(own: Path, call: Call) -> None:
    """steps.json: rows of 0.1.0 keep their seconds; settings that it did not know, such as temperatures, are added."""
    pytest.importorskip("efficientnet_lite_pytorch")
    entry, path = MANIFEST["steps"], Path("steps/steps.json")
    former = json.loads(path.read_text("utf8"))["rows"]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"] and len(former) == entry["rows"]
    output = call(*words_of(entry["made"]), "--json")
    found = json.loads(next(line for line in output.splitlines() if line.startswith("{")))["rows"]
    kept = [row["seconds"] for row in found if row["seconds"] in [old["seconds"] for old in former]]
    assert len(kept) == entry["rows"] < len(found)


@pytest.mark.slow
def test_a_lesson_trains_on_from_an_old_run(own: Path, call: Call) -> None:
    """`noisette explain --lesson no-ema` reads its recipe, its optimizer's state and its data."""
    call("explain", "run", "--out", "lesson.html", "--lesson", "no-ema")
    assert Path("lesson.html").stat().st_size > 10_000


# ── the studio ────────────────────────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def workspace(folder: Path) -> Iterator[Any]:
    """The studio's trainer on a folder of runs."""
    pytest.importorskip("gradio")
    trainer = internal("Trainer")(internal("Workspace")(folder))
    yield trainer
    trainer.close()


def test_the_studio_knows_how_a_run_was_started(own: Path) -> None:
    """.studio/NAME.json, from which it goes on with a run; and directions that lie in a run folder."""
    entry = MANIFEST["studio"]
    shutil.move(own / "studio" / ".studio", own / ".studio")
    shutil.copytree("run-unfinished", entry["name"])
    with workspace(own) as trainer:
        assert trainer.list_started() == [entry["name"]]
        assert trainer.get_status(entry["name"]).state == "stopped"
        assert trainer.get_status("run").state == "finished"
        assert trainer.list_used_sources() == {entry["told"]["source"]}
    found = internal("DirectionCache")().get(noisette.load("run"))
    assert [one.name for one in found] == MANIFEST["directions"]["directions-decoder.safetensors"]["names"]
