"""One choice of the device, and one wait for it, on accelerators of every kind."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from noisette.team import best_device, synchronize

SOURCE = Path(__file__).parents[1] / "src" / "noisette"


def test_the_cpu_is_the_device_where_there_is_no_accelerator() -> None:
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    assert best_device() == (accelerator or torch.device("cpu"))


@pytest.mark.parametrize("kind", ["cuda", "mps", "xpu"])
def test_accelerators_of_every_kind_are_waited_for(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[torch.device] = []
    monkeypatch.setattr(torch.accelerator, "synchronize", waited.append)
    synchronize(torch.device("cpu"))
    synchronize(torch.device(kind))
    assert waited == [torch.device(kind)]


def test_nothing_waits_for_cuda_alone() -> None:
    """torch.cuda.synchronize would return at once on other accelerators, and measured times would be too short."""
    found = [path for path in SOURCE.rglob("*.py") if ".cuda.synchronize" in path.read_text(encoding="utf-8")]
    assert found == []


def test_importing_chooses_no_device() -> None:
    code = "import noisette.team, torch; assert not torch.cuda.is_initialized()"
    subprocess.run([sys.executable, "-c", code], check=True)
