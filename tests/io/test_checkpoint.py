import errno
import hashlib
import json
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from faults import counted, failing
from noisette.errors import InputError
from noisette.io import checkpoint
from noisette.io.checkpoint import check_tensors, find_latest, model_hash, read, read_model, save, save_model
from noisette.io.files import HOST_ID
from noisette.io.json_files import json_sha256, read_json

Tensors = dict[str, Tensor]


def state(n: int) -> dict[str, Tensors]:
    return {
        "model": {"w": torch.full((40, 50), float(n)), "b": torch.arange(n % 10)},
        "optimizer": {"step": torch.tensor(n)},
    }


def run_of(folder: Path, *numbers: int) -> Path:
    for n in numbers:
        save(folder, n, state(n), {"n": n})
    return folder


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def equal(a: Tensors, b: Tensors) -> bool:
    return a.keys() == b.keys() and all(a[k].dtype == b[k].dtype and torch.equal(a[k], b[k]) for k in a)


def flip(path: Path, bit: int | None = None) -> None:
    data = bytearray(path.read_bytes())
    bit = 8 * (len(data) - 1) if bit is None else bit
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


# ── a model folder ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_model_round_trip(tmp_path: Path) -> None:
    big = torch.randn(6, 8)
    tensors = {
        "plain": torch.randn(3, 4),
        "empty": torch.zeros(0, 3),
        "scalar": torch.tensor(2.5, dtype=torch.float64),
        "half": torch.randn(5).bfloat16(),
        "number": torch.tensor([1, -(2**40)]),
        "flag": torch.tensor([True, False]),
        "turned": big.T,
        "slice": big[2:4, 1:3],
        "row": big[3],
        "tied": big,
        "grad": nn.Parameter(torch.randn(2)),
        "channels_last": torch.randn(2, 3, 4, 4).contiguous(memory_format=torch.channels_last),
    }
    config = {"name": "Nüsse", "sizes": [1, 2], "deep": {"x": 0.1}}
    save_model(tmp_path / "a" / "model", config, tensors)
    found, back = read_model(tmp_path / "a" / "model")
    assert found == config and equal(back, tensors)
    assert names(tmp_path / "a") == ["model"] and names(tmp_path / "a" / "model") == [
        "config.json",
        "model.safetensors",
    ]


def test_the_hash_of_a_model_is_of_its_weights_and_its_config(tmp_path: Path) -> None:
    one, two = {"w": torch.zeros(2)}, {"w": torch.ones(2)}
    for name, config, tensors in (
        ("a", {"x": 1}, one),
        ("b", {"x": 1}, one),
        ("c", {"x": 2}, one),
        ("d", {"x": 1}, two),
    ):
        save_model(tmp_path / name, config, tensors)
    a, b, c, d = (model_hash(tmp_path / name) for name in "abcd")
    assert a == b and len({a, c, d}) == 3 and len(a) == 64
    save_model(tmp_path / "e", {"x": {"y": 1, "z": 2}}, one)
    save_model(tmp_path / "f", {"x": {"y": 1, "z": 3}}, one)
    save_model(tmp_path / "g", {"x": {"y": 2, "z": 3}}, one)
    assert model_hash(tmp_path / "e", ("x", "z")) == model_hash(tmp_path / "f", ("x", "z"))
    assert len({model_hash(tmp_path / name, ("x", "z")) for name in "fg"} | {model_hash(tmp_path / "f")}) == 3
    assert model_hash(tmp_path / "a", ("x", "z")) == a  # which has no such part


def test_a_model_is_replaced_and_what_lies_beside_it_kept(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    save_model(folder, {"x": 1}, {"w": torch.zeros(2)})
    (folder / "README.md").write_text("mine")
    (folder / "more").mkdir()
    (folder / "more" / "notes").write_text("mine, too")
    save_model(folder, {"x": 2}, {"w": torch.ones(2)})
    found, back = read_model(folder)
    assert found == {"x": 2} and equal(back, {"w": torch.ones(2)})
    assert (folder / "README.md").read_text() == "mine" and (folder / "more" / "notes").read_text() == "mine, too"
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_bytes(b"1")
    with pytest.raises(
        InputError, match=r"photos is not a model folder but has files, such as cat\.png: give a new folder"
    ):
        save_model(tmp_path / "photos", {}, {"w": torch.ones(2)})
    assert names(tmp_path) == ["model", "photos"]


@pytest.mark.parametrize("bit", range(0, 8 * 200, 97))
def test_a_flipped_bit_of_the_weights_is_found(tmp_path: Path, bit: int) -> None:
    save_model(tmp_path / "m", {}, {"w": torch.randn(50)})
    flip(tmp_path / "m" / "model.safetensors", bit)
    with pytest.raises(InputError, match=r"model\.safetensors is damaged or does not belong to config\.json"):
        read_model(tmp_path / "m")


def test_model_folders_that_are_none(tmp_path: Path) -> None:
    save_model(tmp_path / "m", {}, {"w": torch.randn(5)})
    good = read_json(tmp_path / "m" / "config.json")
    for text, says in (
        ("{", "is not JSON"),
        ("[]", "was not made by Noisette: its format must be"),
        ("{}", "was not made by Noisette: its format must be"),
        (json.dumps(good | {"format": "1"}), "was not made by Noisette: its format must be"),
        (json.dumps(good | {"format": 2}), r"config\.json was made by a newer Noisette .* upgrade"),
        (json.dumps({"format": 1}), "is damaged or does not belong to config.json"),
    ):
        (tmp_path / "m" / "config.json").write_text(text)
        with pytest.raises(InputError, match=says):
            read_model(tmp_path / "m")
    (tmp_path / "m" / "config.json").unlink()
    for folder in (tmp_path / "m", tmp_path / "absent", tmp_path / "m" / "model.safetensors"):
        for reader in (read_model, model_hash):
            with pytest.raises(InputError, match=r"is not a model folder: it has no config\.json"):
                reader(folder)
    save_model(tmp_path / "m", {}, {"w": torch.randn(5)})
    (tmp_path / "m" / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"cannot read .*model\.safetensors: no such file"):
        read_model(tmp_path / "m")


def test_weights_that_are_no_safetensors_though_the_hash_agrees(tmp_path: Path) -> None:
    """A malicious file is refused; its content is never executed."""
    draw = random.Random(0)
    save_model(tmp_path / "m", {}, {"w": torch.randn(5, 5), "v": torch.arange(3)})
    path, config = tmp_path / "m" / "model.safetensors", tmp_path / "m" / "config.json"
    good, manifest = path.read_bytes(), read_json(config)
    refused = 0
    for _ in range(300):
        data = bytearray(good)
        for _ in range(draw.randint(1, 4)):
            data[draw.randrange(min(len(data), 140))] = draw.randrange(256)
        data = data[: draw.choice([0, 5, 20, len(data), len(data)])]
        path.write_bytes(data)
        config.write_text(json.dumps(manifest | {"weights_sha256": checkpoint.file_sha256(path)}))
        try:
            read_model(tmp_path / "m")
        except InputError as error:
            refused += "is not a safetensors file" in str(error)
    assert refused > 200


def test_a_model_can_be_read_while_it_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The config is the old one and the weights are the new: it reads again. Or a process died in between."""
    folder, reading = tmp_path / "m", checkpoint.read_bytes
    save_model(folder, {"x": 1}, {"w": torch.zeros(2)})

    def replaced(path: Path) -> bytes:
        monkeypatch.setattr(checkpoint, "read_bytes", reading)
        save_model(folder, {"x": 2}, {"w": torch.ones(2)})
        return reading(path)

    monkeypatch.setattr(checkpoint, "read_bytes", replaced)
    config, tensors = read_model(folder)
    assert config == {"x": 2} and equal(tensors, {"w": torch.ones(2)})
    folder.rename(tmp_path / f"m.old-{2**22 + 1}-{HOST_ID}-0123abcd-0")
    assert read_model(folder)[0] == {"x": 2} and names(tmp_path) == ["m"]


def test_an_older_format_is_migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_model(tmp_path / "m", {"color": "red"}, {"w": torch.ones(2)})

    def from_1(config: dict[str, Any], tensors: Tensors) -> tuple[dict[str, Any], Tensors]:
        return {"hue": config["color"]}, {"weight": tensors["w"]}

    def from_2(config: dict[str, Any], tensors: Tensors) -> tuple[dict[str, Any], Tensors]:
        return config | {"depth": 8}, tensors

    monkeypatch.setattr(checkpoint, "FORMAT_VERSION", 3)
    monkeypatch.setattr(checkpoint, "MIGRATIONS", {1: from_1, 2: from_2})
    config, tensors = read_model(tmp_path / "m")
    assert config == {"hue": "red", "depth": 8} and equal(tensors, {"weight": torch.ones(2)})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_a_tensor_that_is_not_finite_is_never_written(tmp_path: Path, value: float, dtype: torch.dtype) -> None:
    bad = torch.zeros(1000, dtype=dtype)
    bad[617] = value
    run = run_of(tmp_path / "run", 1)
    before = contents(tmp_path)
    with pytest.raises(InputError, match=r"the tensor mid\.weight has values that are not finite; nothing was written"):
        save_model(tmp_path / "m", {}, {"a": torch.zeros(1), "mid.weight": bad})
    with pytest.raises(InputError, match=r"000000002: ema: the tensor mid\.weight has values that are not finite"):
        save(run, 2, {"model": {"a": torch.zeros(1)}, "ema": {"mid.weight": bad}}, {})
    with pytest.raises(InputError, match="a number that is not finite"):
        save(run, 2, state(2), {"loss": value})
    assert contents(tmp_path) == before and names(run / "checkpoints") == ["000000001"]


def test_large_numbers_are_finite(tmp_path: Path) -> None:
    """Their sum is not; they are."""
    tensors = {"w": torch.full((10,), torch.finfo(torch.float32).max)}
    save_model(tmp_path / "m", {}, tensors)
    assert equal(read_model(tmp_path / "m")[1], tensors)


def test_tensors_of_another_network_are_named() -> None:
    wanted = {"a": torch.zeros(2), "b": torch.zeros(2, 3)}
    check_tensors(dict(wanted), wanted, "FILE")
    for given, says in (
        ({"a": torch.zeros(2)}, "FILE has no tensor b"),
        (wanted | {"c": torch.zeros(1)}, "FILE has a tensor c that"),
        (wanted | {"b": torch.zeros(3, 2)}, r"FILE: the tensor b has shape \(3, 2\), not \(2, 3\)"),
    ):
        with pytest.raises(InputError, match=says):
            check_tensors(given, wanted, "FILE")


# ── checkpoints ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_checkpoint_round_trip(tmp_path: Path) -> None:
    assert find_latest(tmp_path / "run") is None
    meta = {"knots": [[0, 0.0], [64, 1 / 3]], "seconds": 1e-300, "text": "Größe", "none": None}
    folder = save(tmp_path / "run", 64, state(64), meta)
    assert folder == tmp_path / "run" / "checkpoints" / "000000064"
    found = find_latest(tmp_path / "run")
    assert found is not None and (found.images, found.meta, found.skipped_reasons, found.pinned) == (
        64,
        meta,
        (),
        False,
    )
    assert all(equal(found.read_tensors(part), tensors) for part, tensors in state(64).items())
    with pytest.raises(InputError, match="no part 'ema': there are model, optimizer"):
        found.read_tensors("ema")
    assert names(folder) == ["model.safetensors", "optimizer.safetensors", "state.json"]


def test_order_is_by_number_even_beyond_nine_digits(tmp_path: Path) -> None:
    run = run_of(tmp_path, 999_999_999, 1_000_000_000)
    found = find_latest(run)
    assert found is not None and found.images == 1_000_000_000
    assert [p.name for p in checkpoint.list_checkpoints(run)] == ["999999999", "1000000000"]


def test_the_oldest_are_dropped_and_the_pinned_kept(tmp_path: Path) -> None:
    for n in range(1, 8):
        save(tmp_path, n, state(n), {}, keep_last=2, pinned=n in (2, 4))
    assert names(tmp_path / "checkpoints") == [f"{n:09d}" for n in (2, 4, 6, 7)]
    save(tmp_path, 4, state(4), {}, pinned=False)  # saved again, it is still pinned
    assert read(tmp_path / "checkpoints" / "000000004").pinned
    save(tmp_path, 8, state(8), {}, keep_last=1)
    assert names(tmp_path / "checkpoints") == [f"{n:09d}" for n in (2, 4, 8)]


def spoil(folder: Path, how: str) -> None:
    weights = folder / "model.safetensors"
    if how == "truncated":
        weights.write_bytes(weights.read_bytes()[:-1])
    elif how == "zero":
        weights.write_bytes(b"")
    elif how == "flipped":
        flip(weights)
    elif how == "gone":
        weights.unlink()
    elif how == "state flipped":
        text = (folder / "state.json").read_text()
        assert '"n": ' in text
        (folder / "state.json").write_text(text.replace('"n": ', '"n": 1'))
    elif how == "format flipped":
        text = (folder / "state.json").read_text()
        (folder / "state.json").write_text(text.replace('"format": 1', '"format": 9'))
    elif how == "state zero":
        (folder / "state.json").write_bytes(b"")
    elif how == "state gone":
        (folder / "state.json").unlink()
    elif how == "moved":
        folder.rename(folder.with_name("000000009"))


SPOILT = {
    "truncated": r"model\.safetensors has .* bytes, not the .* that were written",
    "zero": r"model\.safetensors has 0 bytes",
    "flipped": r"model\.safetensors is damaged",
    "gone": r"model\.safetensors is missing",
    "state flipped": r"state\.json is damaged",
    "format flipped": r"state\.json is damaged",
    "state zero": r"state\.json is not JSON",
    "state gone": r"cannot read .*state\.json",
    "moved": r"belongs to another checkpoint \(of 3 images\)",
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_bad_newest_checkpoint_is_named_and_skipped(tmp_path: Path, how: str) -> None:
    run = run_of(tmp_path, 2, 3)
    spoil(run / "checkpoints" / "000000003", how)
    found = find_latest(run)
    assert found is not None and found.images == 2 and equal(found.read_tensors("model"), state(2)["model"])
    assert len(found.skipped_reasons) == 1
    assert re.search(rf"^00000000[39] was skipped: .*{SPOILT[how]}", found.skipped_reasons[0])


def test_with_only_damaged_checkpoints_the_run_does_not_start_over(tmp_path: Path) -> None:
    run = run_of(tmp_path, 2, 3)
    spoil(run / "checkpoints" / "000000003", "zero")
    spoil(run / "checkpoints" / "000000002", "flipped")
    with pytest.raises(InputError, match=r"none of the 2 checkpoints in .* can be used: restore one .*0003.*0002"):
        find_latest(run)


def test_bad_checkpoints_do_not_count_among_the_kept_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a damaged newest checkpoint, two valid ones remain at any time, and the damaged one is removed later."""
    run = run_of(tmp_path, 10, 20, 30)
    monkeypatch.setattr(checkpoint, "VERIFIED", set())  # another process goes on
    spoil(run / "checkpoints" / "000000030", "flipped")
    for n, left in ((25, [20, 25, 30]), (35, [25, 30, 35]), (40, [35, 40])):
        save(run, n, state(n), {"n": n})
        assert [int(p.name) for p in checkpoint.list_checkpoints(run)] == left


def test_one_can_be_saved_again_over_itself(tmp_path: Path) -> None:
    run = run_of(tmp_path, 2, 3)
    spoil(run / "checkpoints" / "000000003", "zero")
    run_of(run, 3)
    found = find_latest(run)
    assert (
        found is not None
        and (found.images, found.skipped_reasons) == (3, ())
        and equal(found.read_tensors("model"), state(3)["model"])
    )


def test_a_newer_format_is_not_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(tmp_path, 2)
    monkeypatch.setattr(checkpoint, "FORMAT_VERSION", 2)
    run_of(run, 3)
    monkeypatch.setattr(checkpoint, "FORMAT_VERSION", 1)
    with pytest.raises(InputError, match=r"made by a newer Noisette .* upgrade"):
        find_latest(run)


def test_a_manifest_cannot_lead_out_of_its_folder(tmp_path: Path) -> None:
    run = run_of(tmp_path, 2)
    path = run / "checkpoints" / "000000002" / "state.json"
    body = json.loads(path.read_text())
    for parts in ({"../model": body["parts"]["model"]}, {"model": 3}, [], {"model": {"bytes": None, "sha256": ""}}):
        bad = {k: v for k, v in body.items() if k != "sha256"} | {"parts": parts}
        path.write_text(json.dumps(bad | {"sha256": json_sha256(bad)}))
        with pytest.raises(InputError, match=r"state\.json *(belongs to another checkpoint|.*should be)"):
            read(path.parent)


def test_mutated_files_are_only_ever_refused(tmp_path: Path) -> None:
    run, draw = run_of(tmp_path, 2), random.Random(0)
    folder = run / "checkpoints" / "000000002"
    before, refused = contents(folder), 0
    for _ in range(400):
        name = draw.choice(list(before))
        data = bytearray(before[name])
        for _ in range(draw.randint(1, 3)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        (folder / name).write_bytes(data)
        try:
            read(folder)
        except InputError:
            refused += 1
        else:  # the same byte again, or a space for a line's end
            assert bytes(data) == before[name] or json.loads(data) == json.loads(before["state.json"])
        (folder / name).write_bytes(before[name])
    assert read(folder).images == 2 and refused > 350


# ── the disk fails ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_fault_at_any_call_leaves_the_checkpoints_before(tmp_path: Path, number: int) -> None:
    with counted() as calls:
        save(run_of(tmp_path / "0", 1, 2), 3, state(3), {})
    refused, total = 0, len(calls)
    with counted() as calls:
        run_of(tmp_path / "00", 1, 2)
    for at in range(1, total - len(calls) + 1):
        run = run_of(tmp_path / str(at), 1, 2)
        before, message = contents(run), ""
        try:
            with counted(failing(at, number)):
                save(run, 3, state(3), {})
        except InputError as error:
            message = str(error)
        found = find_latest(run)
        assert found is not None and found.skipped_reasons == ()
        assert equal(found.read_tensors("model"), state(found.images)["model"])
        if message and "did not confirm" not in message:
            refused += 1
            assert contents(run) == before and names(run / "checkpoints") == ["000000001", "000000002"]
            assert "000000003" in message and ("the disk is full" in message or "reports a fault" in message)
        else:
            assert found.images == 3
    assert refused >= 10


def test_a_disk_that_is_really_full(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(small_disk / "run", 1)
    before = contents(small_disk)
    large = {"model": {"w": torch.zeros(300_000)}}
    with pytest.raises(
        InputError, match=r"000000002: the disk is full \(1\.3 MB needed, 1\.0 MB free\); nothing was changed"
    ):
        save(run, 2, large, {})
    with pytest.raises(InputError, match=r"m: the disk is full \(1\.3 MB needed"):
        save_model(small_disk / "m", {}, large["model"])
    monkeypatch.setattr(
        "noisette.io.files.require_space", lambda path, required_bytes: None
    )  # it fills up while it is written
    with pytest.raises(InputError, match=r"000000002: the disk is full \(1\.3 MB needed, 1\.0 MB free\)"):
        save(run, 2, large, {})
    with pytest.raises(InputError, match=r"m: the disk is full \(1\.3 MB needed"):
        save_model(small_disk / "m", {}, large["model"])
    assert contents(small_disk) == before and names(run / "checkpoints") == ["000000001"]
    found = find_latest(run)
    assert found is not None and found.images == 1
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(InputError, match="the disk is read-only"):
        save(run, 2, state(2), {})
    found = find_latest(run)  # but it can be read
    assert found is not None and equal(found.read_tensors("model"), state(1)["model"])


# ── the process is killed ─────────────────────────────────────────────────────────────────────────────────────────


def killed(run: Path, *args: str) -> str:
    env = os.environ | {"PYTHONPATH": str(Path(checkpoint.__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    script = str(Path(__file__).parents[1] / "killed.py")
    done = subprocess.run(
        [sys.executable, script, str(run), *args], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="the processes that are killed are forked")


@pytest.mark.slow
@forks
def test_a_kill_at_a_random_moment_loses_at_most_what_was_being_saved(tmp_path: Path) -> None:
    assert killed(tmp_path, "random", "30") == ""


@pytest.mark.slow
@forks
def test_a_kill_at_any_call_loses_at_most_what_was_being_saved(tmp_path: Path) -> None:
    run = tmp_path / "0"
    run_of(run, 1, 2)
    with counted() as calls:
        save(run, 3, {"model": state(3)["model"], "ema": state(3)["model"]}, {})
    assert len(calls) > 15
    assert killed(tmp_path / "run", "calls", str(len(calls) + 20)) == ""  # the first has nothing to remove yet


@pytest.mark.slow
@forks
def test_the_kill_test_detects_a_program_that_writes_in_place(tmp_path: Path) -> None:
    assert "half-written" in killed(tmp_path, "calls", "80", "direct")


# ── optimizers ────────────────────────────────────────────────────────────────────────────────────────────────────


def network() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.SiLU(), nn.Conv2d(8, 3, 3)).to(memory_format=torch.channels_last)


def steps(net: nn.Module, optimizer: torch.optim.Optimizer, first: int, last: int) -> None:
    for i in range(first, last):
        x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(i))
        optimizer.zero_grad()
        net(x).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("options", [{}, {"fused": True}, {"amsgrad": True}, {"foreach": True}])
def test_training_goes_on_bit_for_bit(tmp_path: Path, options: dict[str, bool]) -> None:
    def made() -> tuple[nn.Module, torch.optim.Optimizer, dict[str, nn.Parameter]]:
        net = network()
        return net, torch.optim.AdamW(net.parameters(), 1e-2, **options), dict(net.named_parameters())  # type: ignore[arg-type]

    whole, optimizer, _ = made()
    steps(whole, optimizer, 0, 7)

    net, optimizer, named = made()
    steps(net, optimizer, 0, 4)
    save(tmp_path, 4, {"model": net.state_dict(), "optimizer": checkpoint.optimizer_tensors(optimizer, named)}, {})

    again, other, others = made()
    found = find_latest(tmp_path)
    assert found is not None
    again.load_state_dict(found.read_tensors("model"))
    checkpoint.load_optimizer_tensors(other, others, found.read_tensors("optimizer"))
    assert equal(checkpoint.optimizer_tensors(other, others), checkpoint.optimizer_tensors(optimizer, named))
    memory = other.state[next(again.parameters())]["exp_avg"]
    assert memory.is_contiguous(memory_format=torch.channels_last)
    steps(again, other, 4, 7)
    assert equal(again.state_dict(), whole.state_dict())


def test_an_optimizer_keeps_its_options_and_may_have_no_state() -> None:
    net = network()
    named = dict(net.named_parameters())
    optimizer = torch.optim.AdamW(net.parameters(), 1e-2)
    assert checkpoint.optimizer_tensors(optimizer, named) == {}
    checkpoint.load_optimizer_tensors(optimizer, named, {})
    net[0].weight.grad = torch.ones_like(net[0].weight)  # type: ignore[arg-type]
    optimizer.step()
    tensors = checkpoint.optimizer_tensors(optimizer, named)
    assert sorted(tensors) == ["exp_avg/0.weight", "exp_avg_sq/0.weight", "step/0.weight"]
    other = torch.optim.AdamW(net.parameters(), 3e-4)
    checkpoint.load_optimizer_tensors(other, named, tensors)
    assert equal(checkpoint.optimizer_tensors(other, named), tensors) and other.param_groups[0]["lr"] == 3e-4
    tensors["exp_avg/0.weight"].zero_()
    assert other.state[net[0].weight]["exp_avg"].abs().sum() > 0  # it has memory of its own


def test_the_state_of_another_optimizer_is_refused() -> None:
    net = network()
    named = dict(net.named_parameters())
    optimizer = torch.optim.AdamW(net.parameters())
    steps(net, optimizer, 0, 1)
    good = checkpoint.optimizer_tensors(optimizer, named)
    for bad, says in (
        ({k: v for k, v in good.items() if k != "exp_avg_sq/2.bias"}, "has no tensor exp_avg_sq/2.bias"),
        (good | {"exp_avg/9.weight": torch.zeros(1)}, "has a tensor exp_avg/9.weight"),
        (good | {"exp_avg/0.bias": torch.zeros(9)}, r"exp_avg/0\.bias has shape \(9,\), not \(8,\)"),
    ):
        with pytest.raises(InputError, match=says):
            checkpoint.load_optimizer_tensors(optimizer, named, bad)
    assert equal(checkpoint.optimizer_tensors(optimizer, named), good)


# ── time ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_saving_takes_little_beside_what_it_cannot_do_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """2 M parameters with their average and optimizer, 32 MB: about 3 times a copy, a hash and a file of these bytes.

    Without the flushing, and in processor time, as others share the machine. A machine that has little memory at hand
    takes as long over a page of either.
    """
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    weights, average = ({f"{i}": torch.randn(20_000) for i in range(100)} for _ in range(2))
    optimizer = {f"{k}/{i}": torch.randn(20_000) for k in ("exp_avg", "exp_avg_sq") for i in range(100)}
    data, least, saving = bytes(range(256)) * 125_000, [], []
    for n in range(1, 9):
        start = time.process_time()
        copied = bytearray(data)
        hashlib.sha256(copied)
        (tmp_path / f"plain-{n}").write_bytes(copied)
        del copied
        middle = time.process_time()
        save(tmp_path, n, {"model": weights, "ema": average, "optimizer": optimizer}, {})
        least.append(middle - start)
        saving.append(time.process_time() - middle)
    print(f"without which nothing goes {min(least) * 1e3:.0f} ms, saving {min(saving) * 1e3:.0f} ms")
    assert min(saving) < 6 * min(least)
