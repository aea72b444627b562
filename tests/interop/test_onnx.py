"""The exported network answers what ours answers, and the script beside it draws what we draw, without PyTorch."""

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

from noisette.data.origin_mark import xmp_packet
from noisette.data.pictures import Pictures
from noisette.diffusion.condition import Condition
from noisette.diffusion.parametrization import Flow, V
from noisette.diffusion.sampler import sample
from noisette.diffusion.schedule import Cosine, RectifiedFlow
from noisette.errors import InputError
from noisette.interop import onnx as module
from noisette.interop.onnx import OnnxReport, export_onnx, make_table, measure_max_error, reject_external_data
from noisette.interop.onnx_sample import sample as sample_onnx
from noisette.interop.onnx_sample import to_pixels
from noisette.models.config import ModelConfig, SamplingDefaults
from noisette.models.picture_model import PictureModel
from noisette.nn.architecture import Architecture
from noisette.nn.context_unet import ContextUNetConfig
from noisette.nn.dit import DiTConfig
from noisette.nn.linear_attention import LinearAttentionUNetConfig
from noisette.sampling.generate import build_denoiser
from oracles import Stream

from .models import small

MODELS: dict[str, PictureModel] = {
    "a preset's": small(mode="RGBA", labels=("a", "b"), modulation="scale_shift", binary_alpha=True),
    "a padded flow in gray": small(
        RectifiedFlow(), Flow(), mode="L", size=(9, 11), labels=("x",), null_class=False, attributes=("big", "red"),
        sampling=SamplingDefaults("unipc", "uniform", 5),
    ),
    "a learned variance": small(
        Cosine(), V(), mode="LA", out_channels=4, resample="block", labels=("a", "b"),
        sampling=SamplingDefaults("ddpm-learned", "trailing", 5, guidance=2.0),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, OnnxReport]]:
    """Each model, exported once."""
    home, made = tmp_path_factory.mktemp("onnx"), {}
    for name, model in MODELS.items():
        made[name] = (home / name, export_onnx(model, home / name))
    return made


@pytest.mark.parametrize("name", MODELS)
def test_the_network(folders, name: str):
    """In one file, of plain operations, for any number of pictures; null and label alike."""
    (folder, report), model = folders[name], MODELS[name]
    assert sorted(p.name for p in folder.iterdir()) == ["model.json", "model.onnx", "sample.py"]
    proto = onnx.load(str(folder / "model.onnx"), load_external_data=False)
    onnx.checker.check_model(proto)
    assert [(o.domain, o.version) for o in proto.opset_import] == [("", report.opset)]
    assert {n.domain for n in proto.graph.node} == {""}
    assert b".py" not in (folder / "model.onnx").read_bytes(), "it tells of the machine that it was made on"
    assert report.max_error < 1e-4
    assert json.loads((folder / "model.json").read_text())["max_error"] == report.max_error

    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    given: dict[str, Any] = {"x": torch.randn(7, *model.pictures.shape), "noise_label": torch.randn(7)}
    cond: dict[str, Any] = {}
    if model.config.net.classes:
        null = -1 if model.config.net.null_class else 0
        given["label"] = cond["label"] = torch.tensor([0, null] * 3 + [0])
    if model.config.net.vector:
        given["vector"] = cond["vector"] = torch.tensor([[torch.nan] * 2, [0.5, -1.0]] * 3 + [[1.0, 0.0]])
    (seen,) = session.run(["out"], {k: v.numpy() for k, v in given.items()})
    expected = model.net(given["x"], given["noise_label"], Condition(**cond))
    torch.testing.assert_close(torch.from_numpy(seen), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_the_script_samples_as_the_model_does(folders, name: str):
    """From the same noise, the script's pictures are ours."""
    (folder, report), model = folders[name], MODELS[name]
    table = json.loads((folder / "model.json").read_text())
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    conditions: dict[str, Any] = {}
    if model.config.net.classes:
        conditions["label"] = torch.tensor([0, len(model.pictures.labels) - 1])
    if model.config.net.vector:
        conditions["vector"] = torch.tensor([[torch.nan] * 2, [0.5, -1.0]])
    start, noise = torch.randn(2, *model.pictures.shape), Stream(3, torch.float32)
    inputs = {k: v.numpy() for k, v in conditions.items()}
    draws = itertools.chain([start], (noise(start) for _ in itertools.count()))
    x = sample_onnx(session, table, inputs, table["guidance"], lambda: next(draws).numpy())

    grid, cond = model.grid(), Condition(**conditions) if conditions else None
    learned = model.config.sampling.sampler == "ddpm-learned"
    sampler = model.sampler("ddpm" if learned else None)
    denoise, noise_again = build_denoiser(model, cond, table["guidance"]), Stream(3, torch.float32)
    begin = start * model.schedule(grid[0])[1]
    expected = sample(denoise, sampler, grid, begin, lambda like: noise_again(start))
    torch.testing.assert_close(torch.from_numpy(x), expected, rtol=0, atol=1e-3)
    drawn = torch.from_numpy(to_pixels(x, table)).permute(0, 3, 1, 2)
    assert (drawn.int() - model.pictures.decode_samples(expected).int()).abs().max() <= 1
    assert bool(report.notes) == learned


@pytest.mark.slow
@pytest.mark.parametrize(
    "net",
    [
        DiTConfig(width=16, depth=1, heads=2, classes=2),
        ContextUNetConfig(features=8, height=8, width=8, classes=2),
        LinearAttentionUNetConfig(channels=(8, 16), full=(False, True), heads=(2, 2), head_channels=(8, 8)),
    ],
)
def test_every_kind_of_network(net: Architecture, tmp_path: Path):
    labels = ("a", "b") if net.classes else ()
    config = ModelConfig(net, Cosine(), V(), Pictures("RGB", 8, 8, labels), SamplingDefaults("ddim", "trailing", 2))
    report = export_onnx(PictureModel(config).eval().requires_grad_(False), tmp_path / "out")
    assert report.max_error < 1e-5


def script(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """sample.py where PyTorch cannot be imported."""
    code = "import sys, runpy\nsys.modules['torch'] = None\nsys.modules['noisette'] = None\n"
    code += f"sys.argv = ['sample.py', *{list(words)!r}]\nrunpy.run_path('sample.py', run_name='__main__')"
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)


def test_the_script(folders, tmp_path: Path):
    folder, _ = folders["a preset's"]
    assert len((folder / "sample.py").read_text().splitlines()) < 100
    done = script(folder, "-n", "3", "--out", str(tmp_path / "new"), "--guidance", "2")
    assert done.returncode == 0, done.stderr
    names = [p.name for p in sorted((tmp_path / "new").iterdir())]
    assert names == ["a-000000.png", "a-000002.png", "b-000001.png"]
    with Image.open(tmp_path / "new" / "a-000002.png") as image:
        assert (image.mode, image.size) == ("RGBA", (8, 8))
        assert set(np.unique(np.array(image)[..., 3])) <= {0, 255}
        assert image.text["Software"] == "noisette"  # by which `own_files` knows them
        assert image.text["XML:com.adobe.xmp"] == xmp_packet("generated")
    script(folder, "-n", "1", "--out", str(tmp_path / "again"), "--seed", "2", "--guidance", "2", "--label", "a")
    again = (tmp_path / "again" / "a-000002.png").read_bytes()
    assert again == (tmp_path / "new" / "a-000002.png").read_bytes()
    assert "invalid choice: 'c'" in script(folder, "--label", "c").stderr
    assert "must be 1" in script(folders["a padded flow in gray"][0], "--guidance", "2").stderr


def test_fewer_steps():
    """`steps`: the model's own by default."""
    table = make_table(MODELS["a preset's"], 3, [])
    assert table["sampling"]["steps"] == 3 and [len(s["calls"]) for s in table["steps"]] == [2, 2, 1]
    assert table["initial_scale"] == pytest.approx(80)
    assert table["steps"][0]["calls"][0]["noise_label"] == pytest.approx(np.log(80) / 4)


def test_what_cannot_be_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("x")
    with pytest.raises(InputError, match="is not empty"):
        export_onnx(MODELS["a preset's"], tmp_path / "full")
    with pytest.raises(InputError, match="takes an input picture"):
        export_onnx(small(in_channels=6), tmp_path / "out")
    monkeypatch.setattr(module, "MAX_BYTES", 1000)
    with pytest.raises(InputError, match="more than 2 GB"):
        export_onnx(MODELS["a preset's"], tmp_path / "out")
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "onnxruntime" else object())
    with pytest.raises(InputError, match=r"needs onnxruntime, which is not installed.*noisette\[onnx\]"):
        export_onnx(MODELS["a preset's"], tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["full"]


def test_weights_in_other_files_are_refused(folders, tmp_path: Path):
    """A model may name any file as its weights: it is not read."""
    folder, _ = folders["a preset's"]
    proto = onnx.load(str(folder / "model.onnx"))
    onnx.save(proto, str(tmp_path / "model.onnx"), save_as_external_data=True, location="weights.bin", size_threshold=0)
    with pytest.raises(InputError, match=r"stores weights in other files.*only models in one file"):
        reject_external_data(tmp_path / "model.onnx")
    (tmp_path / "words.onnx").write_text("no model")
    with pytest.raises(InputError, match="not an ONNX file"):
        reject_external_data(tmp_path / "words.onnx")
    for name in ("model.json", "sample.py"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "weights.bin").unlink()
    done = script(tmp_path, "-n", "1")
    assert done.returncode != 0 and not (tmp_path / "new" / "a-000000.png").exists()


def test_a_wrong_network_is_noticed(folders):
    other = small(mode="RGBA", labels=("a", "b"), modulation="scale_shift", std=0.3)
    with pytest.raises(AssertionError, match="differ by"):
        measure_max_error(other, folders["a preset's"][0] / "model.onnx")
