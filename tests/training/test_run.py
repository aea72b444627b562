"""A run: the same whatever interrupts it, however many share it, and honest when it fails."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import noisette
from commands import SMALL, TINY, run, start
from forking import Child
from noisette.errors import InputError
from noisette.models.config import SamplingDefaults
from noisette.training import Diverged, Progress, TrainOptions, train

# the weight decay times the learning rate: weights grow a millionfold at each step
DIVERGES: dict[str, Any] = {
    "lr": 1000.0,
    "recipe": json.loads(Path(SMALL).read_text())
    | {"training": {"warmup": 0.0, "beta2": 0.0, "min_lr_ratio": 1.0, "weight_decay": 1000.0}},
}


LENGTH = ("--images", "96", *TINY, "--recipe", SMALL)  # of the runs by the command line


def options(**changes) -> TrainOptions:
    settings = {"preset": "tiny", "images": 96, "batch": 8, "precision": "fp32", "recipe": SMALL}
    return TrainOptions(**(settings | changes))


def rows(out: Path, key: str = "loss") -> list:
    return [r for line in (out / "metrics.jsonl").read_text().splitlines() if key in (r := json.loads(line))]


def losses(out: Path) -> list[float]:
    return [r["last"] for r in rows(out)]


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "model" / "model.safetensors")


def assert_same_run(a: Path, b: Path) -> None:
    assert losses(a) == losses(b)
    assert [r["held_out"] for r in rows(a, "held_out")] == [r["held_out"] for r in rows(b, "held_out")]
    theirs = weights(b)
    for name, value in weights(a).items():
        assert torch.equal(value, theirs[name]), name
    assert sorted(p.name for p in (a / "samples").iterdir()) == sorted(p.name for p in (b / "samples").iterdir())


def wait_for_rows(process: Child, out: Path, count: int) -> None:
    """Wait until a run has written so many rows of metrics, or has ended."""
    metrics = out / "metrics.jsonl"
    while process.poll() is None and not (metrics.exists() and len(metrics.read_text().splitlines()) >= count):
        time.sleep(0.01)


@pytest.fixture(scope="module")
def whole(sprites: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run, by the command line."""
    out = tmp_path_factory.mktemp("whole") / "run"
    done = run("train", sprites, "--out", out, *LENGTH)
    assert done.returncode == 0, done.stderr
    return out


def test_a_run_folder_holds_everything(whole: Path):
    for name in ("config.json", "data.json", "metrics.jsonl", "model/config.json", "model/model.safetensors"):
        assert (whole / name).is_file(), name
    assert sorted((whole / "samples").glob("*.png"))
    model = noisette.load(whole)
    assert model.pictures.labels == ("food", "tool")
    assert model.pictures.shape == (4, 8, 8)
    assert all(p.isfinite().all() for p in model.parameters())
    assert len(losses(whole)) == 96 // 8
    assert rows(whole, "held_out")[-1]["held_out"].keys() == {"all", "low", "middle", "high", "highest"}


def test_the_loss_falls(whole: Path):
    held_out_losses = [r["held_out"]["all"] for r in rows(whole, "held_out")]
    assert held_out_losses[-1] < 0.9 * held_out_losses[0]


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 8, 18])
def test_a_run_killed_at_any_moment_ends_with_the_same_weights(whole: Path, sprites: Path, tmp_path: Path, after: int):
    """Somewhere after so many rows of its metrics; a whole run writes 24."""
    words = ("train", sprites, "--out", tmp_path / "run", "--save-every", "0.2s", *LENGTH)
    first = start(*words)
    wait_for_rows(first, tmp_path / "run", after)
    first.send_signal(signal.SIGKILL)
    first.wait()
    again = run(*words)
    assert again.returncode == 0, again.stderr
    assert_same_run(whole, tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_saves_before_it_stops(whole: Path, sprites: Path, tmp_path: Path, number: signal.Signals):
    words = ("train", sprites, "--out", tmp_path / "run", *LENGTH)
    first = start(*words)
    wait_for_rows(first, tmp_path / "run", 6)
    first.send_signal(number)
    stopped = first.wait(60)
    assert stopped.returncode == 128 + number, stopped.stderr
    assert list((tmp_path / "run" / "checkpoints").iterdir())
    assert "the same command continues" in stopped.stderr
    assert run(*words).returncode == 0
    assert_same_run(whole, tmp_path / "run")


def test_a_finished_run_has_nothing_left_to_do(whole: Path, sprites: Path):
    """And keeps the sampling defaults of its model."""
    before = (whole / "metrics.jsonl").read_text()
    noisette.load(whole).save_sampling(whole, SamplingDefaults("unipc", steps=8))
    again = run("train", sprites, "--out", whole, *LENGTH)
    assert again.returncode == 0
    assert (whole / "metrics.jsonl").read_text() == before
    assert noisette.load(whole).config.sampling == SamplingDefaults("unipc", steps=8)


TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc_per_node=2")
ACCELERATE = ("accelerate.commands.launch", "--cpu", "--num_processes=2", "--mixed_precision=no", "--num_machines=1")


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [TORCHRUN, ACCELERATE], ids=["torchrun", "accelerate"])
def test_two_processes_give_the_loss_curve_of_one(whole: Path, sprites: Path, tmp_path: Path, launcher):
    """And end well with a tracker beside the journal, too."""
    pytest.importorskip("tensorboard")
    tracker = () if launcher is ACCELERATE else ("--track", "tensorboard")
    launcher = (*launcher, "--main_process_port=29571") if launcher is ACCELERATE else launcher
    done = run("train", sprites, "--out", tmp_path / "run", *tracker, *LENGTH, launcher=launcher)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "model" / "config.json").is_file()
    assert losses(tmp_path / "run") == pytest.approx(losses(whole), abs=1e-5)
    theirs = weights(whole)
    for name, value in weights(tmp_path / "run").items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-2, atol=1e-3)


def test_parts_of_a_step_change_nothing(sprites: Path, tmp_path: Path):
    train(sprites, tmp_path / "one", options(images=48))
    train(sprites, tmp_path / "four", options(images=48, accumulate=4))
    assert losses(tmp_path / "four") == pytest.approx(losses(tmp_path / "one"), abs=1e-5)


def test_on_progress_changes_nothing_and_reports_every_step(sprites: Path, tmp_path: Path):
    seen: list[Progress] = []
    train(sprites, tmp_path / "a", options(), on_progress=seen.append)
    train(sprites, tmp_path / "b", options(save_every=0.0))
    assert_same_run(tmp_path / "a", tmp_path / "b")
    assert [p.images for p in seen] == list(range(8, 97, 8))
    assert seen[-1].total == 96
    assert seen[-1].seconds_left == 0
    assert any(p.held_out_loss for p in seen)


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_pictures(sprites: Path, tmp_path: Path):
    with pytest.raises(Diverged, match=r"not finite at step \d+ .*\.png.*") as caught:
        train(sprites, tmp_path / "run", options(**DIVERGES, save_every=0.0, images=400))
    assert "batch" in str(caught.value)
    for path in (tmp_path / "run").rglob("*.safetensors"):
        assert all(t.isfinite().all() for t in load_file(path).values()), path
    assert not (tmp_path / "run" / "model").exists()


def test_another_option_on_the_same_folder_is_refused(sprites: Path, tmp_path: Path):
    train(sprites, tmp_path / "run", options(images=16))
    with pytest.raises(InputError, match="with --seed 0, not with --seed 5"):
        train(sprites, tmp_path / "run", options(images=16, seed=5))


def test_a_batch_that_cannot_be_shared_is_refused(sprites: Path, tmp_path: Path):
    with pytest.raises(InputError, match="multiple of 3"):
        train(sprites, tmp_path / "run", options(accumulate=3))
    train(sprites, tmp_path / "run", options(images=16))
    for parts in (3, 16):  # a run that goes on, too
        with pytest.raises(InputError, match=f"multiple of {parts}"):
            train(sprites, tmp_path / "run", options(images=16, accumulate=parts))


def test_a_time_or_a_number_of_images_and_not_both():
    with pytest.raises(InputError, match=r"either a time .* or a number"):
        TrainOptions(seconds=60, images=100)
    with pytest.raises(InputError, match=r"either a time .* or a number"):
        TrainOptions()
    with pytest.raises(InputError, match=r"--for must be above 0 and at most .*, got -1"):
        TrainOptions(seconds=-1)
    with pytest.raises(InputError, match="no preset is called 'tinny': did you mean 'tiny'"):
        TrainOptions(preset="tinny", images=1)


@pytest.mark.slow
def test_a_time_box_is_kept(sprites: Path, tmp_path: Path):
    taken = []
    for out in (tmp_path / "one", tmp_path / "two"):  # a program that starts or ends near the end of a run spoils one
        began = time.monotonic()
        train(sprites, out, TrainOptions(seconds=15))
        taken.append(time.monotonic() - began)
        assert (out / "model" / "model.safetensors").is_file()
        first, last = max(r["lr"] for r in rows(out)), rows(out)[-1]
        is_finished = last["lr"] < 0.05 * first  # the learning rate has come down
        if is_finished and taken[-1] == pytest.approx(15, rel=0.05):
            return
    pytest.fail(f"runs of 15 s took {taken} s")
