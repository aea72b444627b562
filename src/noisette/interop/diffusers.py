"""Folders that diffusers wrote: UNet2DModel and its scheduler.

    model_index.json
    unet/config.json, unet/diffusion_pytorch_model.safetensors (or .bin)
    scheduler/scheduler_config.json

diffusers itself is not needed. Weights keep their meaning; q, k and v, which it keeps apart, are one matrix here.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from .. import schedule as schedules
from ..config import ModelConfig, Sampling, from_json
from ..errors import InputError
from ..files import read_json
from ..nn.architecture import UNetConfig
from ..parametrization import EDM, Flow, Parametrization
from ..pictures import Pictures
from ..schedule import Schedule, VariancePreserving
from .diffusers_names import name_of
from .diffusers_out import OURS
from .foreign import PREDICTIONS, Converted, Prediction, Said, mode_of, names_of, read_tensors, weights_of
from .tables import fitted

FORMER: tuple[tuple[str, str], ...] = (  # their names of before 2023 → today's
    (".query.", ".to_q."), (".key.", ".to_k."), (".value.", ".to_v."), (".proj_attn.", ".to_out.0."),
    (".Conv2d_0.", ".conv."),
)  # fmt: skip

BLOCKS: dict[str, tuple[bool, str | None]] = {  # attends?, changes resolution by (None: as the config says)
    "DownBlock2D": (False, "conv"), "UpBlock2D": (False, "conv"),
    "AttnDownBlock2D": (True, None), "AttnUpBlock2D": (True, None),
    "ResnetDownsampleBlock2D": (False, "resnet"), "ResnetUpsampleBlock2D": (False, "resnet"),
}  # fmt: skip

UNET: dict[str, Any] = {  # what an absent key means
    "sample_size": None, "in_channels": 3, "out_channels": 3, "freq_shift": 0, "flip_sin_to_cos": True,
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
    "block_out_channels": (224, 448, 672, 896), "layers_per_block": 2, "downsample_padding": 1,
    "downsample_type": "conv", "upsample_type": "conv", "dropout": 0.0, "attention_head_dim": 8,
    "norm_num_groups": 32, "norm_eps": 1e-5, "resnet_time_scale_shift": "default", "num_class_embeds": None,
    "add_attention": True, "attn_norm_num_groups": None,
}  # fmt: skip

ALONE: dict[str, tuple[object, ...]] = {  # keys of which only these values have a like here
    "center_input_sample": (False,), "time_embedding_type": ("positional",), "time_embedding_dim": (None,),
    "mid_block_scale_factor": (1, 1.0), "act_fn": ("silu", "swish"),
    "class_embed_type": (None,), "mid_block_type": ("UNetMidBlock2D",),
    "resnet_time_scale_shift": ("default", "scale_shift"),
}  # fmt: skip

SAMPLERS: dict[str, tuple[str, int | None]] = {  # their scheduler → ours, and its usual steps (None: the whole chain)
    "DDPMScheduler": ("ddpm", None), "DDIMScheduler": ("ddim", 50), "EulerDiscreteScheduler": ("euler", 50),
    "HeunDiscreteScheduler": ("heun", 25), "DPMSolverMultistepScheduler": ("dpm++2m", 25),
    "UniPCMultistepScheduler": ("unipc-2", 25),
}  # fmt: skip
SPACINGS = {"leading": "leading", "trailing": "trailing", "linspace": "strided"}
TARGETS: dict[str, Prediction] = {"epsilon": "epsilon", "sample": "x0", "v_prediction": "v"}


def knows(path: Path) -> bool:
    """Whether this is such a folder: a pipeline's, or a network's alone."""
    return (path / "model_index.json").is_file() or "UNet2DModel" in str(_config(path).get("_class_name"))


def read(path: Path, said: Said) -> Converted:
    """A pipeline's folder, or the folder of a UNet2DModel alone, of whose process the usual is then assumed."""
    said.only(f"{path}, a diffusers folder", "size")
    if (path / OURS).is_file():
        return _back(path)
    whole = (path / "model_index.json").is_file()
    unet = path / "unet" if whole else path
    theirs = _config(unet)
    if (kind := theirs.get("_class_name", "UNet2DModel")) != "UNet2DModel":
        raise InputError(f"{unet} holds a {kind}: of diffusers' networks, UNet2DModel is known here")
    net = network(theirs, f"{unet / 'config.json'}")
    process = _config(path / "scheduler", "scheduler_config.json") if whole else {}
    if whole and not process:
        raise InputError(f"{path / 'scheduler'} holds no scheduler_config.json: it says what the network predicts")
    notes = () if whole else ("no scheduler beside it: DDPM's linear chain of 1000 steps and ε are assumed",)
    where = f"{path / 'scheduler'}"
    times, predicts = process_of(process, where)
    sampling, more = sampling_of(process, times)
    config = ModelConfig(net, times, predicts, pictures_of(theirs, net, said, path), sampling)
    tensors, changed = weights(unet)
    return Converted("diffusers' UNet2DModel", config, converted(tensors, net, str(unet)), notes + changed + more)


def _back(path: Path) -> Converted:
    """A folder that was exported from here: its own config lies beside what diffusers needs."""
    told = _config(path, OURS)
    config = from_json(ModelConfig, told.get("model"), f"{path / OURS}: model")
    if not isinstance(config.net, UNetConfig):
        raise InputError(f"{path / OURS} describes a {type(config.net).__name__}, which diffusers has none of")
    net, pictures = replace(config.net, vector=0), replace(config.pictures, attributes=(), means=(), scales=())
    if told.get("label") is not None:  # one label went into the weights
        net, pictures = replace(net, classes=0), replace(pictures, labels=())
    tensors, changed = weights(path / "unet")
    config = replace(config, net=net, pictures=pictures)
    return Converted("a model exported from here", config, converted(tensors, net, str(path / "unet")), changed)


def network(given: Mapping[str, Any], where: str) -> UNetConfig:
    """The network that a UNet2DModel's config describes."""
    for key, allowed in ALONE.items():
        if given.get(key, allowed[0]) not in allowed:
            raise InputError(f"{where}: {key} is {given[key]!r}, which no network here does")
    cfg = UNET | dict(given)
    down, up = list(cfg["down_block_types"]), list(cfg["up_block_types"])
    if unknown := set(down + up) - BLOCKS.keys():
        raise InputError(f"{where}: blocks of type {min(unknown)} have no like here")
    attention = tuple(BLOCKS[name][0] for name in down)
    if attention != tuple(BLOCKS[name][0] for name in reversed(up)):
        raise InputError(f"{where}: attention sits on other levels on the way up than down, which no network here does")
    resizers = {BLOCKS[n][1] or cfg["downsample_type"] for n in down[:-1]}
    resizers |= {BLOCKS[n][1] or cfg["upsample_type"] for n in up[:-1]}
    if len(resizers) > 1:
        raise InputError(f"{where}: some levels change resolution by convolutions and some by residual blocks")
    shift = cfg["resnet_time_scale_shift"] == "default"
    groups = cfg["attn_norm_num_groups"] or (cfg["norm_num_groups"] if shift else None)
    if cfg["add_attention"] and groups != cfg["norm_num_groups"]:
        raise InputError(f"{where}: attention in the middle is normalised in {groups or 'no'} groups, unlike all else")
    channels = tuple(cfg["block_out_channels"])
    return UNetConfig(
        in_channels=cfg["in_channels"],
        out_channels=cfg["out_channels"],
        channels=channels,
        blocks=cfg["layers_per_block"],
        attention=attention,
        head_channels=cfg["attention_head_dim"],
        mid_attention=cfg["add_attention"],
        dropout=float(cfg["dropout"]),
        classes=cfg["num_class_embeds"] or 0,
        null_class=False,
        modulation="shift" if shift else "scale_shift",
        resample="block" if resizers == {"resnet"} else "conv",
        pad="both" if cfg["downsample_padding"] else "end",
        groups=cfg["norm_num_groups"],
        eps=float(cfg["norm_eps"]),
        time_channels=channels[0],
        time_order="cos_sin" if cfg["flip_sin_to_cos"] else "sin_cos",
        freq_shift=cfg["freq_shift"],
    )


def converted(theirs: Mapping[str, Tensor], net: UNetConfig, where: str) -> dict[str, Tensor]:
    """UNet2DModel's state dict as ours."""
    today: dict[str, Tensor] = {}
    for name, tensor in theirs.items():
        new = name
        for former, now in FORMER:
            new = new.replace(former, now)
        if new == name or new not in theirs:  # a convolution may be there under both of its names
            today[new] = tensor.flatten(1) if re.search(r"attentions\.\d+\.to_", new) and tensor.ndim > 1 else tensor
    return fitted(today, name_of, net.build, where)


def weights(unet: Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The network's tensors, and what was changed of them."""
    for name in (f"diffusion_pytorch_model{kind}" for kind in (".safetensors", ".fp16.safetensors", ".bin")):
        if (unet / name).is_file():
            data, notes = read_tensors(unet / name)
            return weights_of(data, unet / name), notes
    raise InputError(f"{unet} holds no weights: neither diffusion_pytorch_model.safetensors nor .bin, in one file")


def process_of(cfg: Mapping[str, Any], where: str) -> tuple[Schedule, Parametrization]:
    """The process that a scheduler walks, and what its network predicts."""
    kind, target = str(cfg.get("_class_name", "DDPMScheduler")), cfg.get("prediction_type", "epsilon")
    if kind.startswith("FlowMatch"):
        if cfg.get("shift", 1.0) != 1.0 or cfg.get("use_dynamic_shifting"):
            raise InputError(f"{where}: its times are shifted, which no schedule here does")
        return schedules.RectifiedFlow(float(cfg.get("num_train_timesteps", 1000))), Flow()
    if target not in TARGETS or (kind.startswith("EDM") and target != "epsilon"):
        raise InputError(f"{where}: prediction_type is {target!r}: {', '.join(TARGETS)} are known here")
    if kind.startswith("EDM"):
        return schedules.VarianceExploding(float(cfg.get("sigma_max", 80))), EDM(float(cfg.get("sigma_data", 0.5)))
    return chain_of(cfg, where), PREDICTIONS[TARGETS[target]]


def chain_of(cfg: Mapping[str, Any], where: str) -> Schedule:
    """The process that a scheduler was made for."""
    steps = cfg.get("num_train_timesteps", 1000)
    start, end = float(cfg.get("beta_start", 1e-4)), float(cfg.get("beta_end", 0.02))
    kinds: dict[str, VariancePreserving] = {
        "linear": schedules.LinearBeta(steps, start, end),
        "scaled_linear": schedules.Quadratic(steps, start, end),
        "sigmoid": schedules.Sigmoid(steps, start, end),
        "squaredcos_cap_v2": schedules.Cosine(steps),
    }
    if betas := cfg.get("trained_betas"):
        chain: VariancePreserving = schedules.GivenBetas(len(betas), tuple(map(float, betas)))
    elif (kind := cfg.get("beta_schedule", "linear")) in kinds:
        chain = kinds[kind]
    else:
        raise InputError(f"{where}: beta_schedule is {kind!r}: {', '.join(kinds)} are known here")
    return schedules.ZeroTerminalSNR(chain) if cfg.get("rescale_betas_zero_snr") else chain


def sampling_of(cfg: Mapping[str, Any], chain: Schedule) -> tuple[Sampling, tuple[str, ...]]:
    """How their scheduler draws, as near as it can be said here, and what it draws otherwise."""
    kind, notes = str(cfg.get("_class_name", "DDPMScheduler")), []
    if kind.startswith("EDM"):
        return Sampling(), ()
    if kind.startswith("FlowMatch"):
        return Sampling("euler", "uniform", 50), ()
    if kind not in SAMPLERS:
        notes.append(f"{kind} has no like here: ddim will draw unless --sampler says otherwise")
    name, steps = SAMPLERS.get(kind, ("ddim", 50))
    if name == "ddpm" and "learned" in str(cfg.get("variance_type")):
        name = "ddpm-learned"
    elif name == "ddpm" and cfg.get("variance_type") == "fixed_large":
        name = "ddpm-large"
    spacing = SPACINGS.get(str(cfg.get("timestep_spacing", "leading")), "leading")
    if cfg.get("clip_sample", True) and kind in ("DDPMScheduler", "DDIMScheduler"):
        notes.append("pictures are clipped at every step, and the noise follows (use_clipped_model_output=True there)")
    return Sampling(name, spacing, min(steps or chain.length, chain.length)), tuple(notes)


def pictures_of(cfg: Mapping[str, Any], net: UNetConfig, said: Said, path: Path) -> Pictures:
    """What it draws. The size is that of its training, where the config tells it."""
    size = cfg.get("sample_size") or 8 * net.multiple
    height, width = said.size or ((size, size) if isinstance(size, int) else tuple(size))
    learned = net.out_channels == 2 * net.in_channels
    channels = net.in_channels if learned else net.out_channels
    return Pictures(mode_of(channels, path), height, width, names_of(net.classes))


def _config(folder: Path, name: str = "config.json") -> dict[str, Any]:
    data = read_json(folder / name) if (folder / name).is_file() else {}
    return data if isinstance(data, dict) else {}
