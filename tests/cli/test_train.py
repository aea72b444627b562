import json
import os
import signal
import time

import pytest
import torch

import forking
from noisette.cli import progress as watch_module
from noisette.cli.progress import JsonReporter, LineReporter, progress_bar
from noisette.training import Progress

FIXED = {"all": 0.5, "low": 0.1, "middle": 0.2, "high": 0.3, "highest": 1.4}


def test_trains_with_the_flags_of_others(trained) -> None:
    run, done = trained
    plan = json.loads((run / "config.json").read_text())["plan"]
    assert plan["images"] == 32 and plan["seed"] == 7 and plan["precision"] == "fp32"
    assert plan["recipe"]["training"]["batch"] == 8 and plan["recipe"]["training"]["lr"] == 2e-3
    for path in (run / "model", run / "samples", run / "metrics.jsonl"):
        assert f"  {path.resolve()}\n" in done.stdout and path.exists()
    assert "held-out 1" in done.stdout or "held-out 0" in done.stdout
    assert "100 %" in done.stdout and f"noisette sample {run}" in done.stdout


def test_its_run_folder_is_enough_to_draw(call, trained, tmp_path) -> None:
    run, _ = trained
    result = call("sample", run, "--out", tmp_path, "-n", 2, "--steps", 1, "--label", "tool")
    assert result.code == 0, result.err
    assert (tmp_path / "tool-000001.png").is_file()


def test_doctor_recognizes_a_run(call, trained) -> None:
    run, _ = trained
    result = call("doctor", run)
    text = " ".join(result.out.split())
    assert "preset tiny, fp32, for 32 images, seed 7" in text
    assert (
        "finished: 32 images" in text
        and "its model is whole" in text
        and "newest undamaged one is from 32 images" in text
    )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--for", "10m", "--images", "5"), "give one of them"),
        (("--for", "soon"), "90s, 10m"),
        (("--images", "10m"), "200k"),
        (("--size", "big"), "32x24"),
        (("--preset", "tinny"), "did you mean 'tiny'"),
        (("--precision", "fp16"), "auto, fp32 or bf16"),
        (("--log", "wandb"), "jsonl, tensorboard or trackio"),
        (("--save-every", "0s"), "more than 0"),
        (("--recipe", "nowhere.json"), "cannot read nowhere.json"),
        (("--from", "emoji-61"), "no model is called emoji-61"),
        (("--batch", "0"), "--batch must be above 0 and at most 65,536, got 0"),
    ],
)
def test_runs_that_cannot_be(refused, sprites, tmp_path, arguments, reason: str) -> None:
    assert reason in refused("train", sprites, "--out", tmp_path / "run", *arguments)
    assert not (tmp_path / "run").exists()


def test_out_folders_that_cannot_be(refused, sprites, tmp_path) -> None:
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        assert "cannot write" in refused("train", sprites, "--out", out, "--images", "8")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_run_with_other_options_is_refused(refused, sprites, trained) -> None:
    run, _ = trained
    before = {p: p.stat().st_mtime_ns for p in run.rglob("*") if p.is_file()}
    assert "another --out" in refused("train", sprites, "--out", run, "--images", "64")
    assert {p: p.stat().st_mtime_ns for p in run.rglob("*") if p.is_file()} == before


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_saves_and_exits_with_130(sprites, tmp_path) -> None:
    process = forking.shared().start(
        "train", sprites, "--out", tmp_path / "run", "--json",
        "--preset", "tiny", "--batch", "8", "--images", "1M", "--precision", "fp32",
    )  # fmt: skip
    while process.poll() is None and "\n" not in process.output():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    done = process.wait(60)
    first, messages = json.loads(done.stdout.splitlines()[0]), done.stderr
    assert first["event"] == "progress" and first["total"] == 10**6
    assert done.returncode == 130 and "the same command continues" in messages and "Traceback" not in messages
    from noisette.io import checkpoint

    assert checkpoint.find_latest(tmp_path / "run").images > 0


# ── what is shown ─────────────────────────────────────────────────────────────────────────────────────────────────


EVALUATION = {
    "samples": 64, "kid": {"value": 212.3, "low": 190.0, "high": 240.1},
    "real_kid": {"value": 2.0, "low": -3.0, "high": 8.0},
    "copies": {"value": 0.03, "low": 0.01, "high": 0.1},
}  # fmt: skip


def progress(images: int, fixed=None, notes=(), evaluation=None) -> Progress:
    return Progress(images, 1000, 12.0, 50.0, 0.25, fixed, notes, evaluation)


def test_an_evaluation_in_every_format(capsys, tmp_path) -> None:
    line = "evaluation: KID × 10³ 212 [190, 240], real 2, copies 3 % (64 samples)"
    lines, as_json = LineReporter(tmp_path), JsonReporter()
    for show in (lines, as_json):
        show(progress(100))
        capsys.readouterr()
        show(progress(500, evaluation=EVALUATION))
        out = capsys.readouterr().out
        assert line in out if show is lines else json.loads(out)["evaluation"] == EVALUATION
    lines(progress(600, evaluation=EVALUATION | {"kid": None, "real_kid": None}))  # where there is no feature net
    assert "evaluation: copies 3 % (64 samples)" in capsys.readouterr().out


def test_progress_lines_without_a_terminal(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    show = LineReporter(tmp_path)
    for images in range(100, 1001, 100):
        show(
            progress(images, FIXED if images == 500 else None, ("a [checkpoint] was skipped",) if images == 200 else ())
        )
    assert capsys.readouterr().out.splitlines() == [
        "10 %  100 of 1000 images  50/s  18 s left  loss 0.25",
        "a [checkpoint] was skipped",
        "50 %  500 of 1000 images  50/s  10 s left  loss 0.25  "
        "held-out 0.5 (by noise: low 0.1, middle 0.2, high 0.3, highest 1.4)",
    ]  # the others came too soon after another


def test_json_output(capsys) -> None:
    show = JsonReporter()
    show(progress(100))
    show(progress(200))
    show(progress(300, FIXED))
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [r["images"] for r in rows] == [100, 300]
    assert rows[1]["held_out"] == FIXED and rows[1]["seconds_left"] == 14.0 and rows[1]["total"] == 1000


def test_a_progress_bar_on_a_terminal(monkeypatch) -> None:
    """On a terminal: share, images/s, time left, loss; held-out losses stay above it."""
    import io

    from rich.console import Console

    screen = io.StringIO()
    monkeypatch.setattr(
        watch_module, "get_console", lambda: Console(file=screen, force_terminal=True, width=160, highlight=False)
    )
    with progress_bar() as show:
        show(progress(500, FIXED))
        show(progress(1000))
        time.sleep(0.3)
    drawn = screen.getvalue()
    assert "held-out loss 0.5 (by noise: low 0.1" in drawn
    assert "1000 of 1000 images  50/s  0 s left  loss 0.25" in drawn and "100 %" in drawn


def test_an_accelerator_is_optional(model) -> None:
    from noisette.models.picture_model import load
    from noisette.sampling.draw import to_accelerator

    where = torch.accelerator.current_accelerator(check_available=True)
    assert next(to_accelerator(load(model)).parameters()).device.type == (where.type if where else "cpu")
