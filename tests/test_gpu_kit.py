"""benchmarks/gpu.py, on the CPU and at small size: every part runs, and prints figures."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from commands import ENV, SMALL

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_kit_runs_without_a_gpu(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (240, 4, 4, 3), dtype=np.uint8).repeat(2, 1).repeat(2, 2)
    np.save(tmp_path / "pictures.npy", pixels)
    train = f"--images 16 --batch 8 --preset tiny --from none --recipe {SMALL}"
    words = ["--device", "cpu", "--presets", "tiny", "--size", "8", "--batch", "2", "--seconds", "0.01"]
    words += ["--no-compile", "--source", str(tmp_path / "pictures.npy"), f"--train={train}", "-n", "20"]
    done = subprocess.run(
        [sys.executable, "benchmarks/gpu.py", *words, "--out", str(tmp_path)],
        capture_output=True, text=True, env=ENV, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "gpu.json").read_text())["rows"]
    assert {(row["network"], row["precision"]) for row in rows} == {
        (network, precision) for network in ("noisette", "diffusers") for precision in ("fp32", "bf16")
    }
    assert all(row["train"] > 0 and row["forward"] > 0 and not row["note"] for row in rows)
    assert len(re.findall(r"^\| (?:Heun|SDE-DPM-Solver\+\+) \| [\d.]+ ms", done.stdout, re.M)) == 2
    assert '"kid"' in done.stdout and (tmp_path / "run" / "model").is_dir()
