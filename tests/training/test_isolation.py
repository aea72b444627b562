"""Training leaves the process that it runs in as it was: also after an error, a divergence or an interruption.

Whole runs are made in a process of their own, since the tests' checks of annotations draw from `random` themselves.
"""

import json
import signal
import threading
from pathlib import Path

import pytest
import torch

import forking
from commands import SMALL
from noisette.training.isolation import preserve_global_state

from .test_run import DIVERGES

SCRIPT = r"""
import json, os, random, signal, sys
import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState, PartialState
from safetensors.torch import load_file
import noisette
from noisette.training import Diverged, Interrupted

source, out, recipe, diverges = sys.argv[1:]


def state():
    return {
        "random": random.getstate(),
        "numpy": [part.tolist() if isinstance(part, np.ndarray) else part for part in np.random.get_state()],
        "torch": torch.get_rng_state().tolist(),
        "default dtype": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "gradients": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "signals": [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)],
        "deterministic": (torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark),
        "matmul": (torch.get_float32_matmul_precision(), torch.backends.cuda.matmul.allow_tf32),
        "accelerate": [dict(kind._shared_state) for kind in (PartialState, AcceleratorState, GradientState)],
        "environment": {k: v for k, v in os.environ.items() if k != "TORCHINDUCTOR_CACHE_DIR"},  # torch, when imported
    }


def train(name, **changes):
    options = {"preset": "tiny", "images": 16, "batch": 8, "precision": "fp32", "recipe": recipe, "evaluations": 0}
    return noisette.train(source, f"{out}/{name}", **(options | changes))


def crash(progress):
    raise KeyError


def interrupt(progress):
    torch.manual_seed(99)
    if progress.images == 8:  # a second one would end the run without saving it
        signal.raise_signal(signal.SIGINT)


def weights(name):
    return load_file(f"{out}/{name}/model/model.safetensors")


random.seed(1), np.random.seed(2), torch.manual_seed(3)
random.random(), np.random.randn(3), torch.randn(7)  # not at the beginning of any stream
torch.set_default_dtype(torch.float64)
signal.signal(signal.SIGTERM, lambda number, frame: None)
ends = {
    "the end": ({}, None),
    "an error": ({"on_progress": crash}, KeyError),
    "Ctrl-C": ({"on_progress": interrupt, "images": 800}, Interrupted),
    "a divergence": (json.loads(diverges) | {"images": 400}, Diverged),
}
changed = {}
for name, (changes, error) in ends.items():
    before = state()
    try:
        train(name, **changes)
        assert error is None, name
    except Exception as raised:
        assert error is not None and isinstance(raised, error), raised
    after = state()
    changed[name] = [key for key in before if before[key] != after[key]]
with torch.inference_mode(), torch.device("meta"):
    train("meta")
torch.set_default_dtype(torch.float32)
mine = Accelerator(cpu=True, mixed_precision="bf16")
torch.manual_seed(12)
train("plain")
same = [torch.equal(weights("plain")[k], v) and v.dtype == torch.float32 for k, v in weights("meta").items()]
kept = mine.mixed_precision == "bf16" == Accelerator(cpu=True).mixed_precision
print("RESULT", json.dumps({"changed": changed, "same": all(same), "accelerator": kept}))
"""


@pytest.mark.slow
def test_training_leaves_the_process_as_it_was_and_does_not_depend_on_it(sprites: Path, tmp_path: Path) -> None:
    """At the end, after an error, Ctrl-C and a divergence. Default dtype, device and so on change no bit of weights."""
    done = forking.shared().run("-c", SCRIPT, sprites, tmp_path, SMALL, json.dumps(DIVERGES))
    assert done.returncode == 0, done.stderr
    result = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("RESULT")).split(" ", 1)[1])
    assert result["changed"] == {"the end": [], "an error": [], "Ctrl-C": [], "a divergence": []}
    assert result["same"] and result["accelerator"]


@pytest.fixture
def unusual():
    """A process with a default dtype and a signal handler of its own."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
    signal.signal(signal.SIGTERM, before)


def test_all_that_is_changed_inside_is_restored(unusual: None) -> None:
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    with pytest.raises(KeyError), preserve_global_state():
        assert torch.get_default_dtype() == torch.float32
        torch.manual_seed(5)
        torch.set_default_dtype(torch.float16)
        torch.set_num_threads(threads + 1)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyError
    assert torch.equal(torch.get_rng_state(), before) and torch.get_num_threads() == threads
    assert torch.get_default_dtype() == torch.float64 and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_outside_of_the_main_thread_signals_are_left_alone() -> None:
    errors: list[BaseException] = []

    def work() -> None:
        try:
            with preserve_global_state():
                torch.manual_seed(5)
        except BaseException as error:
            errors.append(error)

    before = torch.get_rng_state()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not errors and torch.equal(before, torch.get_rng_state())
