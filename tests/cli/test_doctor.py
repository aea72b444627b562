import json
import re
import shutil

import pytest

from noisette.cli import system_info as machine
from noisette.cli.diagnosis import describe_trends, diagnose_run
from noisette.errors import InputError
from noisette.io.lock import RunLock
from noisette.io.metrics_log import read_metrics


def test_report_on_the_machine(call) -> None:
    data = json.loads(call("doctor", "--json").out)
    facts = {f["name"]: f for f in data["machine"]}
    assert {"noisette", "python", "packages", "device", "processor", "precision", "memory", "disk"} <= facts.keys()
    assert {f"extra {name}" for name in machine.EXTRAS} <= facts.keys()
    assert facts["precision"]["value"].split(":")[0] in ("fp32", "bf16")
    assert "torch 2" in facts["packages"]["value"]


def test_names_the_convolution_engine_and_what_it_is_worth(monkeypatch) -> None:
    fact = machine.describe_kernels()
    if machine.get_build().library is not None:
        assert re.search(
            r"noisette's, (compiled|from the wheel).* take \d+\.\d\d ms, with PyTorch's \d+\.\d\d ms", fact.value
        )
    absent = machine.get_build.__wrapped__
    monkeypatch.setattr(machine, "get_build", absent)
    monkeypatch.setenv("NOISETTE_KERNELS", "0")
    fact = machine.describe_kernels()
    assert (
        "PyTorch's" in fact.value and "NOISETTE_KERNELS is 0" in fact.value and fact.advice == "unset NOISETTE_KERNELS"
    )


def test_missing_parts_have_advice(monkeypatch) -> None:
    monkeypatch.setitem(machine.EXTRAS, "dreams", (("no_such_module_at_all",), "sleeping"))
    assert machine.describe_extra("dreams").advice == 'for sleeping: pip install "noisette[dreams]"'
    monkeypatch.setattr(machine, "free_bytes", lambda place: 10**8)
    assert "make room" in machine.describe_disk(machine.Path()).advice


def test_sees_that_others_keep_the_processor_busy(monkeypatch) -> None:
    cores = machine.psutil.cpu_count(logical=False) or 1
    monkeypatch.setattr(machine.torch, "get_num_threads", lambda: cores)
    monkeypatch.setattr(machine, "OtherPrograms", lambda: lambda: 1.0)
    fact = machine.describe_processor()
    assert "other programs use 1.0 of them" in fact.value and "close the other programs" in fact.advice
    monkeypatch.setattr(machine.torch, "get_num_threads", lambda: cores - 1)
    assert "OMP_NUM_THREADS" not in machine.describe_processor().advice  # one thread less is right then
    monkeypatch.setattr(machine, "OtherPrograms", lambda: lambda: 0.1)
    assert "unset OMP_NUM_THREADS" in machine.describe_processor().advice
    monkeypatch.setattr(machine.torch, "get_num_threads", lambda: cores)
    assert machine.describe_processor().advice == ""


@pytest.mark.parametrize(("half", "best"), [(0.5, "bf16"), (0.95, "fp32"), (2.0, "fp32")])
def test_recommends_the_faster_precision(monkeypatch, half: float, best: str) -> None:
    monkeypatch.setattr(machine, "_time_convolution", lambda where, is_half: half if is_half else 1.0)
    assert machine.measure_precision().value.startswith(best)


def held_out_rows(*losses: float) -> list[dict]:
    level = ("low", "middle", "high", "highest")
    return [{"images": i, "held_out": {"all": loss} | dict.fromkeys(level, loss)} for i, loss in enumerate(losses)]


def test_trends_in_words() -> None:
    (falling,) = describe_trends(held_out_rows(*(1.0 / k for k in range(1, 21))))
    assert "still falling at low noise" in falling.value
    (flat,) = describe_trends(held_out_rows(*([1.0, 0.6] + [0.5] * 18)))
    assert "flat at high noise" in flat.value
    (rising,) = describe_trends(held_out_rows(*(1.0 - 0.1 * min(k, 5) + 0.05 * max(k - 5, 0) for k in range(20))))
    assert "rising at highest noise" in rising.value
    (few,) = describe_trends(held_out_rows(1.0, 0.5))
    assert "too few" in few.value


def test_states_of_a_run(trained, tmp_path) -> None:
    def state(run) -> dict[str, str]:
        return {f.name: f.value for f in diagnose_run(run)}

    run = tmp_path / "run"
    shutil.copytree(trained[0], run)
    with RunLock(run):
        assert "training now" in state(run)["state"]
    (run / "lock").write_text("{}")  # left by one that died
    assert state(run)["state"].startswith("finished: 32 images")
    (run / "metrics.jsonl").open("a").write('{"images": 40, "lo')
    assert len(read_metrics(run / "metrics.jsonl")) > 0 and "finished" in state(run)["state"]

    weights = run / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    assert "cannot be used" in state(run)["state"] and "damaged" in state(run)["state"]
    shutil.rmtree(run / "model")
    assert state(run)["state"].startswith("not finished: 32 images")

    newest = max((run / "checkpoints").iterdir()) / "ema.safetensors"
    newest.write_bytes(newest.read_bytes()[:100])
    assert "none of the" in state(run)["checkpoints"] or "was skipped" in state(run)["damaged"]
    shutil.rmtree(run / "checkpoints")
    assert state(run)["checkpoints"] == "none yet"


def test_folders_that_are_no_runs(refused, model, tmp_path) -> None:
    assert "there is no run folder" in refused("doctor", tmp_path / "nowhere")
    assert "not a run folder" in refused("doctor", tmp_path)
    with pytest.raises(InputError, match="model folder"):
        diagnose_run(model)
