"""noisette distill: the commands of docs/distilling.md, and what is refused."""

import json
import shlex
from pathlib import Path

import pytest
import torch

import commands as commands_
import noisette
from noisette.data.png import write_png
from test_docs import blocks, commands

PAGE = Path(__file__).parents[2] / "docs" / "distilling.md"
SMALL = ("--images", 16, "--batch", 8, "--precision", "fp32", "--any-quality")


def test_the_commands_of_the_page(call, trained, tmp_path, monkeypatch) -> None:
    """distilling.md, with a short training; the run holds too few pictures to be evaluated."""
    run, _ = trained
    monkeypatch.chdir(tmp_path)
    lines = [line for kind, text in blocks(PAGE) for line in commands(kind, text) if line.startswith("noisette")]
    assert [line.split()[1] for line in lines] == ["distill", "sample", "evaluate"]
    for line in lines[:2]:
        words = [run if word == "runs/mine" else word for word in shlex.split(line, comments=True)[1:]]
        if words[0] == "distill":
            at = words.index("--for")
            words[at : at + 2] = SMALL
        result = call(*words)
        assert result.code == 0, result.err
    assert len(list(Path("new").glob("*-*.png"))) == 16
    record = json.loads(call("sample", "runs/fast", "--out", "one", "-n", 1, "--json").out)
    assert record["sampler"] == "ddim" and len(record["times"]) == 1 + record["steps"]
    assert call("doctor", "runs/fast").code == 0


def test_the_default_folder_is_beside_the_teachers(call, trained, tmp_path) -> None:
    run, _ = trained
    words = ("distill", run, "--steps", 1, "--json", *SMALL)
    result = call(*words)
    assert result.code == 0, result.err
    student = noisette.load(f"{run}-1-steps")
    assert student.config.sampling.steps - (student.prior is not None) == 1
    assert json.loads(result.out.splitlines()[-1])["event"] == "done"
    assert call(*words).code == 0 and noisette.load(f"{run}-1-steps").hash == student.hash  # nothing left to do


def test_students_of_upscalers(call, sprites, tmp_path) -> None:
    """What they answer follows from their input, so nothing is compared."""
    words = ("--images", 16, "--batch", 8, "--precision", "fp32", "--preset", "tiny", "--recipe", commands_.SMALL)
    assert call("train", sprites, "--out", tmp_path / "run", "--task", "upscale", *words).code == 0
    result = call("distill", tmp_path / "run", "--out", tmp_path / "fast", "--steps", 2, *SMALL[:-1])
    assert result.code == 0, result.err
    write_png(tmp_path / "small.png", torch.full((1, 4, 4, 4), 200, dtype=torch.uint8))
    edit = ("edit", "upscale", tmp_path / "fast", tmp_path / "small.png", "--out", tmp_path / "new", "-n", 1)
    assert call(*edit).code == 0


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--steps", "9"), "network calls must be 1 to 8, got 9"),
        (("--steps", "0"), "network calls must be 1 to 8, got 0"),
        (("--for", "1m", "--images", "8"), "give one of them"),
        (("--guidance", "500"), "guidance must be between -100 and 100"),
        (("--precision", "fp16"), "auto, fp32 or bf16"),
    ],
)
def test_what_is_refused(refused, trained, tmp_path, words: tuple[str, ...], reason: str) -> None:
    assert reason in refused("distill", trained[0], "--out", tmp_path / "run", *words)
    assert not (tmp_path / "run").exists()


def test_teachers_that_cannot_be(refused, model, tmp_path) -> None:
    assert "is not a model folder" in refused("distill", tmp_path / "nowhere", "--out", tmp_path / "run", "--images", 8)
    assert "holds no data set" in refused("distill", model, "--out", tmp_path / "run", "--images", 8)
    assert not (tmp_path / "run").exists()


def test_in_python_and_by_the_command_it_is_the_same(trained, tmp_path, call) -> None:
    run, _ = trained
    by_name = noisette.distill(run, tmp_path / "a", steps=2, images=16, batch=8, precision="fp32", any_quality=True)
    assert call("distill", run, "--out", tmp_path / "b", "--steps", 2, *SMALL).code == 0
    assert by_name.is_finished and by_name.model.hash == noisette.load(tmp_path / "b").hash
