"""docs/networks.md is run from top to bottom, on tiny files of the kinds that it names."""

import re
import shlex
from pathlib import Path

import pytest
import torch

from cli.conftest import Call, call
from cli.test_convert import state
from interop import test_context_unet as course
from interop import test_ddpm_pytorch as ddpm
from interop import test_diffusers as diffusers
from interop.reference import guided_diffusion, randomized

__all__ = ["call"]
PAGE = (Path(__file__).parents[2] / "docs" / "networks.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(console|python)\n(.*?)```", PAGE, flags=re.S)


def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(state(), "ema_0.9999_500000.pt")
    classifier = guided_diffusion().unet.EncoderUNetModel(
        image_size=16, in_channels=3, model_channels=32, out_channels=1000, num_res_blocks=2, channel_mult=(1, 2),
        attention_resolutions=(2,), num_head_channels=16, resblock_updown=True, pool="attention",
    )  # fmt: skip
    torch.save(randomized(classifier).state_dict(), "64x64_classifier.pt")
    torch.save(ddpm.trainer(ddpm.diffusion({})), "model-10.pt")
    torch.save(course.course(), "context_model_31.pth")
    diffusers.written(tmp_path / "ddpm-cifar10-32", diffusers.unet())
    names: dict[str, object] = {}
    for kind, text in BLOCKS:
        if kind == "python":
            exec(text, names)
            continue
        for line in re.findall(r"^\$ ([^#\n]*)", text, flags=re.M):
            program, *words = shlex.split(line)
            assert program == "noisette"
            done = call(*words)
            assert done.code == 0, f"{line}\n{done.err}"
    assert sorted(p.name for p in Path("models").iterdir()) == ["cifar", "classifier", "iddpm", "mine", "sprites"]
    assert "guided" in names
