"""Folders that diffusers itself wrote, tiny and random: the converted models answer, and draw, the same."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    DDIMPipeline,
    DDIMScheduler,
    DDPMPipeline,
    DDPMScheduler,
    EDMEulerScheduler,
    FlowMatchEulerDiscreteScheduler,
    PNDMScheduler,
    UNet2DModel,
)
from safetensors.torch import load_file, save_file

from noisette.data.pictures import Pictures
from noisette.diffusion import schedule
from noisette.diffusion.condition import Condition
from noisette.diffusion.grid import leading, trailing
from noisette.diffusion.guidance import Clipped
from noisette.diffusion.parametrization import EDM, Flow
from noisette.diffusion.sampler import DDIM, sample
from noisette.errors import InputError
from noisette.interop.base import ConversionOverrides, ConvertedModel
from noisette.interop.convert import build_model, convert_source
from noisette.interop.diffusers import make_schedule
from noisette.interop.diffusers_configs import SchedulerConfig
from noisette.interop.diffusers_export import to_diffusers, write_diffusers
from noisette.models.config import ModelConfig
from noisette.models.picture_model import PictureModel
from noisette.nn.architecture import UNetConfig

from .reference import randomized

BASE: dict[str, Any] = {
    "sample_size": 16, "layers_per_block": 1, "block_out_channels": (16, 32), "norm_num_groups": 8,
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
}  # fmt: skip

NETWORKS: dict[str, dict[str, Any]] = {
    "usual": {},
    "as DDPM's own": {
        "downsample_padding": 0, "freq_shift": 1, "flip_sin_to_cos": False, "attention_head_dim": None,
        "norm_eps": 1e-6,
    },
    "classes, not square": {"num_class_embeds": 7, "sample_size": (16, 24), "attention_head_dim": 4},
    "residual blocks resize": {
        "down_block_types": ("ResnetDownsampleBlock2D", "AttnDownBlock2D"),
        "up_block_types": ("AttnUpBlock2D", "ResnetUpsampleBlock2D"),
        "downsample_type": "resnet", "upsample_type": "resnet", "resnet_time_scale_shift": "scale_shift",
        "attn_norm_num_groups": 8,
    },
    "no attention": {
        "add_attention": False, "down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2,
    },
}  # fmt: skip


def unet(**kw: Any) -> UNet2DModel:
    net = randomized(UNet2DModel(**(BASE | kw)), 0.1)
    assert isinstance(net, UNet2DModel)
    return net


def written(folder: Path, net: UNet2DModel, scheduler: Any = None, pipeline: type = DDPMPipeline) -> Path:
    pipeline(unet=net, scheduler=DDPMScheduler() if scheduler is None else scheduler).save_pretrained(folder)
    return folder


def ours_of(folder: Path, **overrides: Any) -> tuple[PictureModel, ConvertedModel]:
    found = convert_source(folder, ConversionOverrides(**overrides))
    model = build_model(found)
    assert isinstance(model, PictureModel)
    return model, found


@pytest.mark.parametrize("name", NETWORKS)
def test_the_same_answer(name: str, tmp_path: Path) -> None:
    theirs = unet(**NETWORKS[name])
    ours, _ = ours_of(written(tmp_path / "theirs", theirs))
    x, t = torch.randn(2, *ours.pictures.shape), torch.tensor([0.25, 0.75], dtype=torch.float64)
    label = torch.tensor([1, 6]) if ours.config.net.classes else None
    with torch.no_grad():
        expected = theirs(x, t * 1000 - 1, class_labels=label).sample
        torch.testing.assert_close(ours(x, t, Condition(label=label)), expected, rtol=1e-4, atol=1e-4)
    assert ours.pictures.labels == (tuple("0123456") if label is not None else ())


PROCESSES: list[tuple[dict[str, Any], str, int]] = [
    ({"timestep_spacing": "leading"}, "leading", 20),
    ({"timestep_spacing": "trailing", "beta_schedule": "squaredcos_cap_v2"}, "trailing", 10),
    ({"timestep_spacing": "leading", "beta_schedule": "scaled_linear", "prediction_type": "sample"}, "leading", 10),
    (
        {"timestep_spacing": "trailing", "prediction_type": "v_prediction", "rescale_betas_zero_snr": True},
        "trailing", 10,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("cfg", "grid", "steps"), PROCESSES, ids=range(len(PROCESSES)))
def test_a_whole_walk(cfg: dict[str, Any], grid: str, steps: int, tmp_path: Path) -> None:
    """DDIM from the same noise, as their pipeline walks, and with x0 clipped."""
    theirs, scheduler = unet(), DDIMScheduler(**cfg)
    ours, found = ours_of(written(tmp_path / "theirs", theirs, scheduler, DDIMPipeline))
    assert isinstance(found.config, ModelConfig)
    assert (found.config.sampling.sampler, found.config.sampling.grid) == ("ddim", grid)
    start = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    scheduler.set_timesteps(steps)
    x = start
    with torch.no_grad():
        for t in scheduler.timesteps:
            x = scheduler.step(theirs(x, t).sample, t, x, use_clipped_model_output=True).prev_sample
    times = {"leading": leading, "trailing": trailing}[grid](steps)
    seen = sample(Clipped(ours.given()), DDIM(), times, start, torch.zeros_like)
    torch.testing.assert_close(seen, x, rtol=1e-3, atol=2e-3 if "zero" in str(cfg) else 1e-3)


def test_a_schedule_by_its_betas(tmp_path: Path) -> None:
    betas = [1e-3 * (k + 1) for k in range(20)]
    scheduler = DDPMScheduler(num_train_timesteps=20, trained_betas=betas)
    _, found = ours_of(written(tmp_path / "theirs", unet(), scheduler))
    assert isinstance(found.config, ModelConfig)
    chain = found.config.schedule
    assert isinstance(chain, schedule.GivenBetas) and chain.steps == 20
    torch.testing.assert_close(chain.angles[1:].cos().square().float(), scheduler.alphas_cumprod)
    assert make_schedule(SchedulerConfig(beta_schedule="sigmoid"), "here") == schedule.Sigmoid()


def test_a_network_alone_and_a_sampler_without_a_like(tmp_path: Path) -> None:
    unet().save_pretrained(tmp_path / "alone")
    _, alone = ours_of(tmp_path / "alone", size=(24, 32))
    assert isinstance(alone.config, ModelConfig)
    assert alone.config.schedule == schedule.LinearBeta() and "assumed" in alone.notes[0]
    assert (alone.config.pictures.height, alone.config.pictures.width) == (24, 32)
    _, other = ours_of(written(tmp_path / "whole", unet(), PNDMScheduler()))
    assert any("PNDMScheduler" in note for note in other.notes)


@pytest.mark.parametrize("label", [None, "b"])
def test_there_and_back_is_exact(label: str | None, tmp_path: Path) -> None:
    net = UNetConfig(channels=(16, 32), blocks=1, attention=(False, True), groups=8, time_channels=16, classes=2)
    config = ModelConfig(net, schedule.VarianceExploding(), EDM(0.6), Pictures("RGB", 8, 12, ("a", "b")))
    model = PictureModel(config)
    randomized(model)
    write_diffusers(to_diffusers(model, label), tmp_path / "there")
    back, _ = ours_of(tmp_path / "there")
    cond = None if label else Condition(label=torch.tensor([1, 1]))
    x, t = torch.randn(2, 3, 8, 12), torch.tensor(0.3, dtype=torch.float64)
    with torch.no_grad():
        expected, seen = model(x, t, Condition(label=torch.tensor([1, 1]))), back(x, t, cond)
    if label is None:
        assert back.config == config and seen.equal(expected)
        for name, tensor in model.net.state_dict().items():
            assert back.net.state_dict()[name].equal(tensor), name
    else:
        torch.testing.assert_close(seen, expected, rtol=1e-4, atol=1e-4)


def test_attributes_stay_behind(tmp_path: Path) -> None:
    """diffusers has no place for them: the exported model is the one without them."""
    net = UNetConfig(channels=(16, 32), blocks=1, attention=(False, True), groups=8, time_channels=16, vector=1)
    pictures = Pictures("RGB", 8, 8, attributes=("hue",), means=(0.5,), scales=(0.2,))
    model = PictureModel(ModelConfig(net, schedule.VarianceExploding(), EDM(0.6), pictures))
    randomized(model)
    write_diffusers(to_diffusers(model), tmp_path / "there")
    back, _ = ours_of(tmp_path / "there")
    assert back.pictures == Pictures("RGB", 8, 8)
    x, t = torch.randn(2, 3, 8, 8), torch.tensor(0.3, dtype=torch.float64)
    with torch.no_grad():
        nothing = Condition(vector=torch.full((2, 1), torch.nan))
        torch.testing.assert_close(back(x, t), model(x, t, nothing), rtol=1e-4, atol=1e-4)


def test_flows_and_edm(tmp_path: Path) -> None:
    flow, _ = ours_of(written(tmp_path / "flow", unet(), FlowMatchEulerDiscreteScheduler()))
    assert (flow.config.schedule, flow.config.parametrization) == (schedule.RectifiedFlow(), Flow())
    edm, _ = ours_of(written(tmp_path / "edm", unet(), EDMEulerScheduler(sigma_max=40.0, sigma_data=0.4)))
    assert (edm.config.schedule, edm.config.parametrization) == (schedule.VarianceExploding(40.0), EDM(0.4))
    theirs = EDMEulerScheduler(sigma_max=40.0, sigma_data=0.4)
    theirs.set_timesteps(6)
    x = torch.randn(1, 3, 16, 16) * 40
    expected = x
    net = unet()
    with torch.no_grad():
        for t in theirs.timesteps:
            answer = net(theirs.scale_model_input(expected, t), t).sample
            expected = theirs.step(answer, t, expected).prev_sample
        seen = sample(edm.given(), DDIM(), theirs.sigmas.double() / 40, x, torch.zeros_like)
    torch.testing.assert_close(seen, expected, rtol=1e-3, atol=1e-3)
    with pytest.raises(InputError, match="shifted"):
        convert_source(
            written(tmp_path / "shifted", unet(), FlowMatchEulerDiscreteScheduler(shift=3.0)), ConversionOverrides()
        )


def test_names_of_before_2023(tmp_path: Path) -> None:
    theirs = unet()
    folder = written(tmp_path / "theirs", theirs)
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    old = {}
    for name, tensor in load_file(path).items():
        for now, former in (
            (".to_q.", ".query."),
            (".to_k.", ".key."),
            (".to_v.", ".value."),
            (".to_out.0.", ".proj_attn."),
        ):
            name = name.replace(now, former)  # noqa: PLW2901
        old[name] = tensor.half()
    assert any(".query." in name for name in old)
    path.unlink()
    torch.save(old, path.with_suffix(".bin"))
    ours, found = ours_of(folder)
    x = torch.randn(1, 3, 16, 16)
    with torch.no_grad():
        expected = theirs.half().float()(x, 499).sample
        torch.testing.assert_close(ours(x, torch.tensor(0.5)), expected, rtol=1e-4, atol=1e-4)
    assert "float16" in found.notes[0]


def edit(folder: Path, part: str, **change: Any) -> None:
    path = folder / part
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


UNET, SCHEDULER = "unet/config.json", "scheduler/scheduler_config.json"
WRONG: list[tuple[str, dict[str, Any], str]] = [
    (UNET, {"_class_name": "UNet2DConditionModel"}, "UNet2DConditionModel"),
    (UNET, {"act_fn": "gelu"}, "act_fn is 'gelu'"),
    (UNET, {"time_embedding_type": "fourier"}, "time_embedding_type is 'fourier'"),
    (UNET, {"down_block_types": ["SkipDownBlock2D", "AttnDownBlock2D"]}, "SkipDownBlock2D"),
    (UNET, {"up_block_types": ["UpBlock2D", "AttnUpBlock2D"]}, "different levels"),
    (UNET, {"downsample_type": "resnet", "down_block_types": ["AttnDownBlock2D"] * 2,
            "up_block_types": ["AttnUpBlock2D"] * 2}, "by residual blocks"),
    (UNET, {"resnet_time_scale_shift": "scale_shift"}, "attn_norm_num_groups is None"),
    (UNET, {"block_out_channels": [16, 64]}, "down_blocks.1.resnets.0"),
    (UNET, {"layers_per_block": 2}, "down_blocks.0.resnets.1.*not in the file"),
    (UNET, {"num_class_embeds": 3}, "class_embedding.weight.*not in the file"),
    (UNET, {"sample_size": 4}, "must be 8 to 4096 pixels"),
    (SCHEDULER, {"prediction_type": "flow"}, "prediction_type is 'flow'"),
    (SCHEDULER, {"beta_schedule": "laplace"}, "beta_schedule is 'laplace'"),
]  # fmt: skip


@pytest.mark.parametrize(("part", "change", "words"), WRONG, ids=[str(i) for i in range(len(WRONG))])
def test_diffusers_settings_without_an_equivalent_are_refused(
    part: str, change: dict[str, Any], words: str, tmp_path: Path
) -> None:
    folder = written(tmp_path / "theirs", unet())
    edit(folder, part, **change)
    with pytest.raises(InputError, match=words):
        convert_source(folder, ConversionOverrides())


def test_tensors_that_are_missing_or_too_many(tmp_path: Path) -> None:
    folder = written(tmp_path / "theirs", unet())
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    state = load_file(path)
    save_file(state | {"ema.decay": torch.ones(1)}, path)
    with pytest.raises(InputError, match=r"ema\.decay"):
        convert_source(folder, ConversionOverrides())
    save_file({k: v for k, v in state.items() if k != "conv_norm_out.bias"}, path)
    with pytest.raises(InputError, match=r"conv_norm_out\.bias"):
        convert_source(folder, ConversionOverrides())
    save_file({k: v.half() for k, v in state.items()}, path.with_name("diffusion_pytorch_model.fp16.safetensors"))
    path.unlink()
    assert "float16" in convert_source(folder, ConversionOverrides()).notes[0]
    path.with_name("diffusion_pytorch_model.fp16.safetensors").unlink()
    with pytest.raises(InputError, match="no weights"):
        convert_source(folder, ConversionOverrides())
    with pytest.raises(InputError, match="--heads has no effect"):
        convert_source(folder, ConversionOverrides(heads=2))
    (folder / SCHEDULER).unlink()
    with pytest.raises(InputError, match="no scheduler_config"):
        convert_source(folder, ConversionOverrides())
    with pytest.raises(InputError, match="not a folder written by diffusers"):
        convert_source(tmp_path, ConversionOverrides())
