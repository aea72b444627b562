"""The Python API leaves torch's global settings as they were, and its results do not depend on them.

Training is in tests/training/test_isolation.py. Each program runs in a process of its own: what it looks for is a
crash, a wrong number, or a change of global state.
"""

import json
from pathlib import Path

import pytest

import forking
from tiny_models import make_classifier, tiny

PROGRAM = r"""
import json, random, sys
import numpy as np
import torch
import noisette
from noisette.diffusion import (
    DDPM, DPMSolver2M, DPMSolverSDE, GivenBetas, Guided, Heun, LinearBeta, Quadratic, Seeded, Sigmoid, UniPC, karras,
    quadratic, sample, strided, trailing,
)
from noisette.models.classifier import PictureClassifier

model_path, classifier_path, pictures = sys.argv[1:]
real = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)


def state():
    return {
        "random": random.getstate(), "numpy": np.random.get_state()[1].tolist(),
        "torch": torch.get_rng_state().tolist(), "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(), "device": torch.get_default_device(),
    }


def draw():
    options = {"seed": 3, "steps": 3, "guidance": 2.0, "palette": "#ff8000", "classifier": classifier_path}
    return noisette.draw(model_path, 2, "sword", **options).pixels


def walk(sampler, grid, schedule=None):
    # a program of one's own, from the parts
    model = noisette.load(model_path)
    cond = model.condition({"sword": 0.5, "bread": 0.5}, 2)
    denoiser = Guided(model.given(cond), away=model.given(cond.null()), scale=2.0, interval=(0.0, 0.9))
    noise, like = Seeded([0, 1]), torch.empty(2, *model.pictures.shape, device="cpu", dtype=torch.float32)
    times = grid(model.schedule)
    return sample(denoiser, sampler, times, model.schedule(times[0])[1] * noise(like), noise)


def schedules():
    t = torch.tensor([0.1, 0.5, 1.0], dtype=torch.float64, device="cpu")
    return torch.cat([torch.cat(s(t)) for s in (LinearBeta(9), Quadratic(9), Sigmoid(9), GivenBetas(2, (0.1, 0.2)))])


def classifier():
    found = PictureClassifier.from_pretrained(classifier_path)
    like = torch.zeros(2, *found.config.pictures.shape, device="cpu", dtype=torch.float32)
    t = torch.tensor(0.5, dtype=torch.float64, device="cpu")
    return found.log_prob("sword", 2)(like, like, t).detach()


parts = {
    "draw": draw,
    "evaluate": lambda: torch.tensor(noisette.evaluate(real[:24], real).model.kid.value, device="cpu"),
    "train_classifier": lambda: next(noisette.train_classifier(pictures, images=16, batch=8).parameters()).detach(),
    "classifier": classifier,
    "schedules": schedules,
} | {
    type(sampler).__name__: lambda sampler=sampler, grid=grid: walk(sampler, grid)
    for sampler, grid in (
        (Heun(), lambda s: karras(s, 3)), (DDPM(), lambda s: trailing(3)), (UniPC(), lambda s: strided(5)),
        (DPMSolver2M(), lambda s: quadratic(3)), (DPMSolverSDE(), lambda s: karras(s, 3)),
    )
}
torch.manual_seed(1), torch.randn(3)
result = {"changed": {}, "differs": []}
for name, part in parts.items():
    before = state()
    expected = part()
    after = state()
    result["changed"][name] = [key for key in before if before[key] != after[key]]
    for setting, on, off in (
        ("dtype", lambda: torch.set_default_dtype(torch.float64), lambda: torch.set_default_dtype(torch.float32)),
        ("device", lambda: torch.set_default_device("meta"), lambda: torch.set_default_device("cpu")),
    ):
        on()
        try:
            found = part()
            if found.dtype != torch.uint8:
                found = found.to(expected.dtype)
            equal = found.device.type == "cpu" and torch.equal(found, expected)
        except Exception as error:
            equal = f"{type(error).__name__}: {error}"
        off()
        if equal is not True:
            result["differs"].append([name, setting, equal])
print("RESULT", json.dumps(result))
"""


@pytest.mark.slow
def test_default_dtype_device_and_random_state_are_the_callers(sprites: Path, tmp_path: Path) -> None:
    model = tiny("RGBA")
    model.save_pretrained(tmp_path / "model")
    make_classifier(model).save_pretrained(tmp_path / "classifier")
    done = forking.shared().run("-c", PROGRAM, tmp_path / "model", tmp_path / "classifier", sprites)
    assert done.returncode == 0, done.stderr
    result = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("RESULT")).split(" ", 1)[1])
    assert result["differs"] == []
    assert set(map(tuple, result["changed"].values())) == {()}, result["changed"]
