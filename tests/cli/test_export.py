"""noisette export, as people type it."""

import json

from diffusers import DDIMPipeline

from interop.models import small
from noisette.diffusion.parametrization import V
from noisette.diffusion.schedule import Cosine


def test_diffusers(call, tmp_path) -> None:
    """The folder opens, and a note names what diffusers lacks."""
    small(Cosine(), V(), labels=("a", "b")).save_pretrained(tmp_path / "model")
    result = call("export", tmp_path / "model", tmp_path / "out", "--to", "diffusers")
    assert result.code == 0, result.err
    assert result.out.startswith("note: labels are numbers")
    assert result.out.endswith(f"wrote\n  {(tmp_path / 'out').resolve()}\n")

    result = call("export", tmp_path / "model", tmp_path / "one", "--to", "diffusers", "--label", "b", "--json")
    assert json.loads(result.out) == {"path": str((tmp_path / "one").resolve()), "notes": []}
    pipe = DDIMPipeline.from_pretrained(tmp_path / "one")
    pipe.set_progress_bar_config(disable=True)
    assert pipe(num_inference_steps=2).images[0].size == (8, 8)


def test_what_cannot_be_used_is_one_sentence(refused, model, tmp_path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    message = refused("export", model, tmp_path / "out", "--to", "coreml")
    assert "no format is called 'coreml': there are diffusers, onnx, web, web-folder, hub" in message
    assert "leave it out" in refused("export", model, tmp_path / "out", "--to", "onnx", "--label", "sword")
    assert "leave it out" in refused("export", model, tmp_path / "out", "--to", "diffusers", "--steps", "3")
    assert "must be 1 or more" in refused("export", model, tmp_path / "out", "--to", "onnx", "--steps", "0")
    assert "leave it out" in refused("export", model, tmp_path / "out", "--to", "onnx", "--half")
    assert "must end in .html" in refused("export", model, tmp_path / "out", "--to", "web")
    assert "is not empty" in refused("export", model, tmp_path / "full", "--to", "web-folder")
    assert "is not empty" in refused("export", model, tmp_path / "full", "--to", "onnx")
    assert "is not empty" in refused("export", model, tmp_path / "full", "--to", "diffusers")
    assert "a file is in the way" in refused("export", model, tmp_path / "full" / "mine.txt", "--to", "diffusers")
    assert "no config.json" in refused("export", tmp_path, tmp_path / "out", "--to", "diffusers")
    message = refused("export", model, tmp_path / "out", "--to", "diffusers", "--label", "sward")
    assert "did you mean 'sword'?" in message
    assert [p.name for p in tmp_path.iterdir()] == ["full"]


def test_the_card_of_a_run(call, trained, tmp_path) -> None:
    """It says what the run folder tells, and no path of this machine."""
    run, _ = trained
    words = ("--license", "CC0-1.0", "--data-license", "drawn by me")
    result = call("export", run, tmp_path / "out", "--to", "hub", *words)
    assert result.code == 0 and "note:" not in result.out, result.err
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "license: cc0-1.0" in text and "| license of the data | drawn by me |" in text
    assert "| preset | tiny |" in text and "| lr | 0.002 |" in text and "EDMWeight(sigma_data=" in text
    assert "| labels | food, tool |" in text and "for training" in text and "held-out loss after 32 images" in text
    assert str(tmp_path.parent) not in text and str(run.parent) not in text
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "README.md", "config.json", "model.safetensors", "samples.png",
    ]  # fmt: skip
