"""What is exported is opened by diffusers itself, and draws what the model draws."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDIMPipeline, DDPMPipeline, DiffusionPipeline, UNet2DModel
from torch import Tensor

from nn.diffusers_oracle import convert
from noisette.diffusion.condition import Condition
from noisette.diffusion.grid import karras, trailing
from noisette.diffusion.guidance import Clipped
from noisette.diffusion.parametrization import EDM, X0, Epsilon, Flow, V
from noisette.diffusion.posterior import LearnedRange
from noisette.diffusion.sampler import DDIM, DDPM, DPMSolver2M, Sampler, sample
from noisette.diffusion.schedule import Cosine, LinearBeta, Quadratic, RectifiedFlow, Sigmoid
from noisette.errors import InputError
from noisette.interop.diffusers_export import to_diffusers, write_diffusers
from noisette.models.config import ModelConfig, SamplingDefaults, from_json
from noisette.models.picture_model import PictureModel
from oracles import Stream, their_grid

from .models import small

NETWORKS: dict[str, dict[str, Any]] = {
    "plain": {},
    "of diffusers' examples": {"pad": "end", "freq_shift": 1, "time_order": "sin_cos", "eps": 1e-6},
    "blocks that resample": {"resample": "block", "channels": (8, 8, 16), "attention": (False, True, False)},
    "scale and shift": {"modulation": "scale_shift", "head_channels": 4},
    "attention nowhere": {"attention": (False, False), "mid_attention": False, "blocks": 2},
    "heads by number": {"heads": 2, "attention": (False, True)},
    "one level": {"channels": (8,), "attention": (True,)},
}


def saved(model: PictureModel, folder: Path, label: str | None = None) -> tuple[str, ...]:
    folder_of = to_diffusers(model, label)
    write_diffusers(folder_of, folder)
    return folder_of.notes


def opened(folder: Path) -> UNet2DModel:
    """Their network, every weight of which came from the file."""
    net, info = UNet2DModel.from_pretrained(folder, subfolder="unet", output_loading_info=True)
    assert not any(info.values()), info
    return net.eval()


class Seen:
    """What a network is given on a walk: x as scaled for it, and the noise label."""

    def __init__(self, net: torch.nn.Module) -> None:
        self.x: list[Tensor] = []
        self.labels: list[float] = []
        net.register_forward_pre_hook(self.note)

    def note(self, net: torch.nn.Module, args: tuple[Any, ...]) -> None:
        self.x.append(args[0].clone())
        self.labels.append(float(args[1].reshape(-1)[0]))


class Theirs:
    """Two pictures by a pipeline of theirs, from the noise of seed 3."""

    def __init__(self, pipeline: Any, folder: Path, **options: Any) -> None:
        pipe = pipeline.from_pretrained(folder)
        pipe.set_progress_bar_config(disable=True)
        self.seen = Seen(pipe.unet)
        options |= {"batch_size": 2, "generator": torch.Generator().manual_seed(3), "output_type": "pt"}
        self.pictures: Tensor = pipe(**options).images
        self.scheduler = pipe.scheduler

    def agree(
        self,
        model: PictureModel,
        sampler: Sampler,
        grid: Tensor,
        cond: Condition | None = None,
        std: float = 1.0,
        clipped: bool = True,
        tol: float = 2e-3,  # their tables are float32
    ) -> None:
        """The same noise, sampled by our own loop: the same x, to the same network, at every step."""
        seen, noise = Seen(model.net), Stream(3, torch.float32)
        start = noise(torch.empty(2, *model.pictures.shape)) * std
        denoise = Clipped(model.given(cond)) if clipped else model.given(cond)
        x = sample(denoise, sampler, grid, start, noise)
        torch.testing.assert_close(torch.tensor(self.seen.labels), torch.tensor(seen.labels), rtol=1e-5, atol=1e-4)
        torch.testing.assert_close(torch.stack(self.seen.x), torch.stack(seen.x), rtol=0, atol=tol)
        torch.testing.assert_close(self.pictures, (x / 2 + 0.5).clamp(0, 1), rtol=0, atol=tol)


@pytest.mark.parametrize("net", NETWORKS.values(), ids=NETWORKS)
def test_the_network_answers_the_same(net: dict[str, Any], tmp_path: Path):
    model = small(Cosine(), V(), labels=("a", "b"), **net)
    saved(model, tmp_path / "out")
    x, t = torch.randn(3, 3, 8, 8), torch.tensor([0.0, 3.0, 700.0])
    theirs = opened(tmp_path / "out")(x, t, class_labels=torch.tensor([0, 1, 2])).sample  # 2 is the null class
    torch.testing.assert_close(theirs, model.net(x, t, Condition(label=torch.tensor([0, 1, -1]))), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("net", NETWORKS.values(), ids=NETWORKS)
def test_nothing_is_lost_on_the_way(net: dict[str, Any], tmp_path: Path):
    model = small(labels=("a", "b"), **net)
    saved(model, tmp_path / "out")
    back = convert(opened(tmp_path / "out").state_dict())
    assert back.keys() == model.net.state_dict().keys()
    assert all(torch.equal(back[k], v) for k, v in model.net.state_dict().items())
    data = json.loads((tmp_path / "out" / "noisette.json").read_text())
    assert from_json(ModelConfig, data["model"]) == model.config


CHAINS = [(LinearBeta(), Epsilon()), (Cosine(), V()), (Quadratic(), X0()), (Sigmoid(), Epsilon())]
CHAINS += [(Cosine(offset=0.02), V())]
NAMES = [f"{type(s).__name__} {type(p).__name__}" for s, p in CHAINS]


@pytest.mark.parametrize(("schedule", "target"), CHAINS, ids=NAMES)
@pytest.mark.parametrize(("grid", "steps"), [("trailing", 20), ("leading", 12)])
def test_ddim_pipeline(schedule: Any, target: Any, grid: str, steps: int, tmp_path: Path):
    model = small(schedule, target, sampling=SamplingDefaults("ddim", grid, steps))
    saved(model, tmp_path / "out")
    theirs = Theirs(DDIMPipeline, tmp_path / "out", num_inference_steps=steps, use_clipped_model_output=True)
    theirs.agree(model, DDIM(), model.grid())


@pytest.mark.parametrize(("schedule", "target"), CHAINS, ids=NAMES)
def test_ddpm_pipeline(schedule: Any, target: Any, tmp_path: Path):
    model = small(schedule, target, sampling=SamplingDefaults("ddpm", "trailing", 20), size=(8, 16), mode="RGBA")
    notes = saved(model, tmp_path / "out")
    Theirs(DDPMPipeline, tmp_path / "out", num_inference_steps=20).agree(model, DDPM(), model.grid())
    assert len(notes) == 1 and "premultiplied" in notes[0]


def test_a_short_chain_with_the_large_variance(tmp_path: Path):
    model = small(LinearBeta(steps=100), V(), sampling=SamplingDefaults("ddpm-large", "leading", 20))
    saved(model, tmp_path / "out")
    Theirs(DDPMPipeline, tmp_path / "out", num_inference_steps=20).agree(model, model.sampler(), model.grid())


def test_a_strided_grid(tmp_path: Path):
    """Their step back is then T // n and not to the next time of the grid, so that n is T's own."""
    model = small(LinearBeta(steps=50), V(), sampling=SamplingDefaults("ddim", "strided", 50))
    saved(model, tmp_path / "out")
    theirs = Theirs(DDIMPipeline, tmp_path / "out", num_inference_steps=50, use_clipped_model_output=True)
    assert theirs.scheduler.config.timestep_spacing == "linspace"
    theirs.agree(model, model.sampler(), model.grid())


def test_a_learned_variance(tmp_path: Path):
    model = small(Cosine(), V(), out_channels=6, sampling=SamplingDefaults("ddpm", "leading", 20))
    (note,) = saved(model, tmp_path / "out")
    theirs = Theirs(DDPMPipeline, tmp_path / "out", num_inference_steps=20)
    theirs.agree(model, DDPM(LearnedRange()), model.grid())
    assert "learned variance" in note


def test_a_flow(tmp_path: Path):
    model = small(RectifiedFlow(), Flow())
    (note,) = saved(model, tmp_path / "out")
    theirs = Theirs(DDPMPipeline, tmp_path / "out", num_inference_steps=10)
    theirs.agree(model, DDIM(), their_grid(theirs.scheduler), clipped=False)
    assert note.startswith("use DDPMPipeline")


@pytest.mark.parametrize("labels", [(), ("a", "b")])
def test_edm(labels: tuple[str, ...], tmp_path: Path):
    """The presets' kind of model: their loop scales what the network sees, and starts from σ = √(80² + 1)."""
    model = small(labels=labels)
    notes = saved(model, tmp_path / "out")
    arguments = {"class_labels": [0, 2]} if labels else {}
    cond = Condition(label=torch.tensor([0, -1])) if labels else None
    theirs = Theirs(DiffusionPipeline, tmp_path / "out", num_inference_steps=12, **arguments)
    std = (80.0**2 + 1) ** 0.5
    theirs.agree(model, DPMSolver2M(), karras(model.schedule, 12), cond, std, clipped=False, tol=1e-4)
    assert "cannot scale" in notes[0] and len(notes) == 1 + len(labels[:1])


def test_labels_on_a_chain(tmp_path: Path):
    model = small(Cosine(), V(), labels=("a", "b", "c"))
    (note,) = saved(model, tmp_path / "out")
    theirs = Theirs(DiffusionPipeline, tmp_path / "out", num_inference_steps=10, class_labels=[2, 0])
    theirs.agree(model, DDPM(), trailing(10), Condition(label=torch.tensor([2, 0])))
    assert "0 to 2" in note and "3 for no label" in note


def test_one_label_for_any_pipeline(tmp_path: Path):
    model = small(Cosine(), V(), labels=("a", "b"), attributes=("big", "red"))
    (note,) = saved(model, tmp_path / "out", label="b")
    theirs = Theirs(DDIMPipeline, tmp_path / "out", num_inference_steps=10, use_clipped_model_output=True)
    theirs.agree(model, DDIM(), trailing(10), model.condition("b", 2))
    assert "attributes" in note


def test_what_diffusers_lacks_is_refused():
    for model, message in (
        (small(size=(9, 8)), "multiples of 2"),
        (small(time_channels=16), "first level"),
        (small(in_channels=6), "input picture"),
        (small(heads=2, attention=(True, True)), "the same width at all levels"),
        (small(Cosine(), EDM(0.5)), "predicts EDM on Cosine"),
        (small(out_channels=6), "learns its variance"),
        (small(Cosine(100, label_steps=1000), V()), "has them rescaled to 1000"),
        (small(RectifiedFlow(label_scale=1.0), Flow()), "Flow on RectifiedFlow"),
    ):
        with pytest.raises(InputError, match=message) as error:
            to_diffusers(model)
        assert ("--to hub" if message == "input picture" else "--to onnx") in str(error.value)
    with pytest.raises(InputError, match="no label is called 'kat': did you mean 'cat'"):
        to_diffusers(small(labels=("cat",)), label="kat")


def test_a_folder_in_use_is_left_alone(tmp_path: Path):
    (tmp_path / "mine").write_text("x")
    with pytest.raises(InputError, match="is not empty"):
        write_diffusers(to_diffusers(small()), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]
