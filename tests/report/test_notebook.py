"""The example notebook, executed by a kernel as people execute it: every cell shows what it is there for."""

import os
import runpy
from pathlib import Path
from typing import Any

import pytest

from commands import SMALL
from noisette.training import TrainOptions, train

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def notebook(sprites: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    run = tmp_path_factory.mktemp("notebook") / "squares"
    train(sprites, run, TrainOptions(preset="tiny", images=64, batch=8, precision="fp32", recipe=SMALL))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT / "src"))
        patch.setenv("IPYTHONDIR", str(run / "ipython"))
        patch.setenv("JUPYTER_PLATFORM_DIRS", "1")
        script = runpy.run_path(str(ROOT / "benchmarks" / "notebook.py"))
        found = script["executed"](run)
    shots = os.environ.get("NOISETTE_SHOTS")
    if shots:
        (Path(shots) / "notebook.html").write_text(script["page"](found), encoding="utf-8")
    return found


def outputs(notebook: Any) -> dict[str, dict[str, str]]:
    """What each cell of code shows, by its last line."""
    cells = [c for c in notebook.cells if c.cell_type == "code"]
    return {c.source.splitlines()[-1]: c.outputs[-1].data for c in cells}


@pytest.mark.slow
def test_every_cell_shows_something_to_look_at(notebook: Any) -> None:
    found = outputs(notebook)
    assert len(found) == 9
    for line, data in found.items():
        assert "text/html" in data or "image/png" in data, line
    assert "Images seen" in found["run"]["text/html"] and "data:image/png" in found["run"]["text/html"]
    assert "Sampler" in found["model"]["text/html"]
    assert found["pictures"]["text/html"].count("<img") == 8 and "image/png" in found["pictures"]
    assert "σ/α" in found["model.schedule"]["text/html"]
    assert all("image/png" in data for line, data in found.items() if line.startswith("plots."))
