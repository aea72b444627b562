"""Every example runs as it stands, with a model that is quick to draw with."""

import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import noisette
from noisette.cli import main
from noisette.data import prepare
from noisette.diffusion.grid import trailing
from noisette.diffusion.sampler import DDIM
from noisette.errors import InputError
from noisette.models import registry
from noisette.sampling.generate import final_samples, generate
from tiny_models import tiny

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    tiny().save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def run(monkeypatch: pytest.MonkeyPatch, name: str, *arguments: object) -> dict[str, object]:
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    return runpy.run_path(str(EXAMPLES / name), run_name="__main__")


@pytest.mark.slow
def test_steer(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGBA", (8, 8), (200, 40, 40, 255)).save(tmp_path / "photo.png")
    names = run(monkeypatch, "steer.py", model, tmp_path / "photo.png", "sword", tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["filled.png", "images.png", "sharp.png"]
    known = names["mask"].expand_as(names["filled"]) == 1
    assert (names["filled"][known] == names["photo"].expand_as(names["filled"])[known]).all()
    seen = names["AveragePool"](4)(names["sharp"])
    assert (seen - names["small"]).abs().max() < 1e-4


@pytest.fixture
def tables_as_they_were() -> Iterator[None]:
    """What an example registers is gone after it."""
    tables = [*registry.TABLES.values(), registry.NETWORKS, registry.MODULES, registry._TITLES]
    before = [dict(table) for table in tables]
    yield
    for table, entries in zip(tables, before, strict=True):
        table.clear()
        table.update(entries)


def squares(n: int) -> np.ndarray:
    """Pictures of 8×8, RGB, all different."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (n, 2, 2, 3), dtype=np.uint8).repeat(4, 1).repeat(4, 2)


@pytest.mark.usefixtures("tables_as_they_were")
def test_own_schedule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Trained, saved and loaded; and refused, by the name of the module, where it is not registered."""
    np.save(tmp_path / "pictures.npy", squares(40))
    run(monkeypatch, "own_schedule.py", tmp_path / "pictures.npy", tmp_path / "run", 32)
    assert "Power(power=2.0) 4 samples" in capsys.readouterr().out
    del registry.CONFIG_CLASSES["Power"]
    with pytest.raises(InputError, match=r"'Power' .*import own_schedule, which registers it"):
        noisette.load(tmp_path / "run")


@pytest.mark.usefixtures("tables_as_they_were")
def test_own_sampler_from_python_and_from_the_command_line(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(monkeypatch, "own_sampler.py", model, tmp_path / "drawn.png")
    assert (tmp_path / "drawn.png").is_file()
    words = ("sample", model, "--out", tmp_path / "drawn", "-n", 2, "--steps", 4, "--sampler", "midpoint")
    with pytest.raises(SystemExit) as stop:
        main([*map(str, words), "--import", str(EXAMPLES / "own_sampler.py")])
    assert stop.value.code == 0 and (tmp_path / "drawn" / "grid.png").is_file()
    del sys.modules["own_sampler"]


@pytest.mark.usefixtures("tables_as_they_were")
def test_compare_samplers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The rows are those of the library's own benchmark; the model keeps its sampling defaults."""
    np.save(tmp_path / "pictures.npy", squares(200))
    prepare(tmp_path / "pictures.npy", tmp_path / "run", size=8)
    tiny("RGB", labels=()).save_pretrained(tmp_path / "run" / "model")
    report = run(monkeypatch, "compare_samplers.py", tmp_path / "run", 12)["report"]
    calls = {(row.setting.sampler, row.setting.steps): row.calls for row in report.rows}
    assert calls == {("midpoint", 6): 12, ("midpoint", 12): 24, ("heun", 6): 11, ("heun", 12): 23,
                     ("ddim", 6): 6, ("ddim", 12): 12}  # fmt: skip
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("| sampler | grid | steps | calls |") and len(printed) == 8
    assert printed[2].startswith("| ddim | karras | 6 | 6 |") and printed[-1].startswith(
        "| midpoint | karras | 12 | 24 |"
    )
    model = noisette.load(tmp_path / "run")
    before = model.config
    again = noisette.compare_samplers(model, ["ddim"], steps=(6,), n=12, data=tmp_path / "run")
    assert again.rows[0].kid == report.find(again.rows[0].setting).kid and model.config == before
    with pytest.raises(InputError, match="needs data"):
        noisette.compare_samplers(model, ["ddim"])
    with pytest.raises(InputError, match="no sampler is called 'midpiont'"):
        noisette.compare_samplers(tmp_path / "run", ["midpiont"])


@pytest.mark.usefixtures("tables_as_they_were")
def test_own_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "pictures.npy", squares(40))
    names = run(monkeypatch, "own_network.py", tmp_path / "pictures.npy", tmp_path / "run", 32)
    assert type(names["run"].model.net).__name__ == "Plain" and (tmp_path / "run" / "drawn.png").is_file()


def test_evaluate_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Exact copies of the reference, as floats."""
    np.save(tmp_path / "real.npy", squares(60))
    np.save(tmp_path / "samples.npy", squares(60)[:24].transpose(0, 3, 1, 2) / 255)
    names = run(monkeypatch, "evaluate_samples.py", tmp_path / "samples.npy", tmp_path / "real.npy")
    assert names["ours"].memorized.value == 1.0 and "copies 1.00 [0.86, 1.00]" in capsys.readouterr().out


def test_guidance(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = run(monkeypatch, "guidance.py", model, "sword", tmp_path / "drawn.png")
    opened = noisette.load(model)
    states = generate(opened, range(4), opened.condition("sword", 4), DDIM(), trailing(50), 3.0, 4)
    assert torch.equal(names["images"], final_samples(states, trailing(50)))
    assert (tmp_path / "drawn.png").is_file()


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda p: p.name)
def test_examples_are_short_and_say_how_to_run_them(path: Path) -> None:
    text = path.read_text("utf8")
    assert len(text.splitlines()) <= 40
    assert f"python examples/{path.name}" in re.findall(r'"""(.*?)"""', text, flags=re.S)[0]
