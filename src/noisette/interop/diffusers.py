"""Read folders written by diffusers: a UNet2DModel and its scheduler.

    model_index.json
    unet/config.json, unet/diffusion_pytorch_model.safetensors (or .bin)
    scheduler/scheduler_config.json

diffusers itself is not needed. Its separate weights for q, k and v become one matrix here.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from ..data.pictures import Pictures, find_mode
from ..diffusion import schedule as schedules
from ..diffusion.parametrization import EDM, Flow, Parametrization
from ..diffusion.schedule import Schedule, VariancePreserving
from ..errors import InputError
from ..io.diffusers_folder import current_names, parse_known, read_config, read_weights
from ..models import diffusers_autoencoder
from ..models.config import ModelConfig, SamplingDefaults, build, from_json
from ..nn.architecture import UNetConfig
from .base import (
    PARAMETRIZATIONS,
    ConversionOverrides,
    ConvertedModel,
    PredictionType,
    convert_state_dict,
    make_numbered_labels,
)
from .diffusers_configs import SchedulerConfig, UNet2DConfig

BLOCK_TYPES: dict[str, tuple[bool, str | None]] = {  # (has attention, resampling; None: as in the config)
    "DownBlock2D": (False, "conv"), "UpBlock2D": (False, "conv"),
    "AttnDownBlock2D": (True, None), "AttnUpBlock2D": (True, None),
    "ResnetDownsampleBlock2D": (False, "resnet"), "ResnetUpsampleBlock2D": (False, "resnet"),
}  # fmt: skip


SUPPORTED_VALUES: dict[str, tuple[object, ...]] = {  # keys with the only supported values; the first is the default
    "center_input_sample": (False,), "time_embedding_type": ("positional",), "time_embedding_dim": (None,),
    "mid_block_scale_factor": (1, 1.0), "act_fn": ("silu", "swish"),
    "class_embed_type": (None,), "mid_block_type": ("UNetMidBlock2D",),
    "resnet_time_scale_shift": ("default", "scale_shift"),
}  # fmt: skip

SAMPLER_NAMES: dict[str, tuple[str, int | None]] = {  # scheduler → (our sampler, steps; None: all timesteps)
    "DDPMScheduler": ("ddpm", None), "DDIMScheduler": ("ddim", 50), "EulerDiscreteScheduler": ("euler", 50),
    "HeunDiscreteScheduler": ("heun", 25), "DPMSolverMultistepScheduler": ("dpm++2m", 25),
    "UniPCMultistepScheduler": ("unipc-2", 25),
}  # fmt: skip
SPACINGS = {"leading": "leading", "trailing": "trailing", "linspace": "strided"}
PREDICTION_TYPES: dict[str, PredictionType] = {"epsilon": "epsilon", "sample": "x0", "v_prediction": "v"}


def is_supported(path: Path) -> bool:
    """Whether a folder holds a pipeline of diffusers, or only a UNet2DModel."""
    return (path / "model_index.json").is_file() or is_network(path)


def is_network(folder: Path) -> bool:
    """Whether a folder holds a UNet2DModel with its config.json."""
    return "UNet2DModel" in str(read_config(folder).get("_class_name"))


def has_network_names(names: Mapping[str, Any]) -> bool:
    """Whether a state dict with these names is that of a diffusers network."""
    return {"time_embedding.linear_1.weight", "conv_in.weight"} <= names.keys()


def find_networks(folder: Path) -> list[Path]:
    """The networks in a checkpoint folder of a training script of diffusers, the averaged one first."""
    return [folder / name for name in ("unet_ema", "unet") if is_network(folder / name)]


def read(path: Path, overrides: ConversionOverrides) -> ConvertedModel:
    """Convert the folder of a pipeline; or of a UNet2DModel alone, for which DDPM's defaults are assumed.

    InputError for networks, schedulers and settings that are not supported.
    """
    overrides.check_allowed(f"{path}, a diffusers folder", "size")
    if (path / CONFIG_FILE).is_file():
        return _read_exported(path)
    is_pipeline = (path / "model_index.json").is_file()
    unet = path / "unet" if is_pipeline else path
    unet_config = read_config(unet)
    if (kind := unet_config.get("_class_name", "UNet2DModel")) != "UNet2DModel":
        hint = _autoencoder_hint(path)
        raise InputError(f"{unet} holds a {kind}: of diffusers' networks only UNet2DModel is supported{hint}")
    net = make_unet_config(unet_config, f"{unet / 'config.json'}")
    process = read_config(path / "scheduler", "scheduler_config.json") if is_pipeline else {}
    if is_pipeline and not process:
        raise InputError(f"{path / 'scheduler'} has no scheduler_config.json, which states what the network predicts")
    notes = (
        () if is_pipeline else ("no scheduler config, so assumed: DDPM's linear schedule of 1000 steps, ε prediction",)
    )
    where = f"{path / 'scheduler'}"
    scheduler = parse_known(SchedulerConfig, process, f"{path / 'scheduler' / 'scheduler_config.json'}")
    schedule, parametrization = make_process(scheduler, where)
    sampling, sampling_notes = make_sampling(scheduler, schedule)
    pictures = make_pictures(unet_config, net, overrides, path)
    config = ModelConfig(net, schedule, parametrization, pictures, sampling)
    tensors, weight_notes = read_weights(unet)
    return ConvertedModel(
        "diffusers' UNet2DModel",
        config,
        convert_weights(tensors, net, str(unet)),
        notes + weight_notes + sampling_notes,
    )


def _autoencoder_hint(pipeline: Path) -> str:
    """Where the autoencoder of a pipeline is."""
    found = diffusers_autoencoder.find_folder(pipeline)
    return "" if found in (None, pipeline) else f"; its autoencoder, which may be, is {found}"


def _read_exported(path: Path) -> ConvertedModel:
    """Read a folder written by `noisette export --to diffusers`, which contains our own config too."""
    exported = read_config(path, CONFIG_FILE)
    config = from_json(ModelConfig, exported.get("model"), f"{path / CONFIG_FILE}: model")
    if not isinstance(config.net, UNetConfig):
        raise InputError(f"{path / CONFIG_FILE} describes a {type(config.net).__name__}, which diffusers does not have")
    net, pictures = replace(config.net, vector=0), replace(config.pictures, attributes=(), means=(), scales=())
    if exported.get("label") is not None:  # the label was folded into the weights
        net, pictures = replace(net, classes=0), replace(pictures, labels=())
    tensors, notes = read_weights(path / "unet")
    config = replace(config, net=net, pictures=pictures)
    return ConvertedModel(
        "a model exported by noisette", config, convert_weights(tensors, net, str(path / "unet")), notes
    )


def make_unet_config(config: Mapping[str, Any], where: str) -> UNetConfig:
    """Our config for a UNet2DModel's config. InputError for settings that are not supported; `where` is the file."""
    for key, allowed in SUPPORTED_VALUES.items():
        if config.get(key, allowed[0]) not in allowed:
            raise InputError(f"{where}: {key} is {config[key]!r}, which is not supported; supported: {allowed[0]!r}")
    cfg = parse_known(UNet2DConfig, config, where)
    down, up = list(cfg.down_block_types), list(cfg.up_block_types)
    if unknown := set(down + up) - BLOCK_TYPES.keys():
        raise InputError(f"{where}: blocks of type {min(unknown)} are not supported")
    attention = tuple(BLOCK_TYPES[name][0] for name in down)
    if attention != tuple(BLOCK_TYPES[name][0] for name in reversed(up)):
        raise InputError(f"{where}: encoder and decoder have attention at different levels, which is not supported")
    resizers = {BLOCK_TYPES[n][1] or cfg.downsample_type for n in down[:-1]}
    resizers |= {BLOCK_TYPES[n][1] or cfg.upsample_type for n in up[:-1]}
    if len(resizers) > 1:
        raise InputError(f"{where}: mixed resampling by convolutions and by residual blocks is not supported")
    shift = cfg.resnet_time_scale_shift == "default"
    groups = cfg.attn_norm_num_groups or (cfg.norm_num_groups if shift else None)
    if cfg.add_attention and groups != cfg.norm_num_groups:
        raise InputError(
            f"{where}: attn_norm_num_groups is {groups}; only norm_num_groups ({cfg.norm_num_groups}) is supported"
        )
    channels = cfg.block_out_channels
    if not channels:
        raise InputError(f"{where}: block_out_channels is empty, and needs one width a level")
    return UNetConfig(
        in_channels=cfg.in_channels,
        out_channels=cfg.out_channels,
        channels=channels,
        blocks=cfg.layers_per_block,
        attention=attention,
        head_channels=cfg.attention_head_dim,
        mid_attention=cfg.add_attention,
        dropout=cfg.dropout,
        classes=cfg.num_class_embeds or 0,
        null_class=False,
        modulation="shift" if shift else "scale_shift",
        resample="block" if resizers == {"resnet"} else "conv",
        pad="both" if cfg.downsample_padding else "end",
        groups=cfg.norm_num_groups,
        eps=cfg.norm_eps,
        time_channels=channels[0],
        time_order="cos_sin" if cfg.flip_sin_to_cos else "sin_cos",
        freq_shift=cfg.freq_shift,
    )


def convert_weights(weights: Mapping[str, Tensor], net: UNetConfig, where: str) -> dict[str, Tensor]:
    """The state dict of a UNet2DModel as ours."""
    return convert_state_dict(current_names(weights), to_diffusers_names, lambda: build(net), where)


def make_process(cfg: SchedulerConfig, where: str) -> tuple[Schedule, Parametrization]:
    """Noise schedule and parametrization for a scheduler's config."""
    kind, target = cfg.kind, cfg.prediction_type
    if not (0 < cfg.beta_start <= 1 and 0 < cfg.beta_end <= 1 and cfg.sigma_max > 0 and cfg.sigma_data > 0):
        raise InputError(f"{where}: its betas must be above 0 and at most 1, sigma_max and sigma_data above 0")
    if kind.startswith("FlowMatch"):
        if cfg.shift not in (None, 1.0) or cfg.use_dynamic_shifting:
            raise InputError(f"{where}: shifted timesteps are not supported: shift must be 1")
        return schedules.RectifiedFlow(float(cfg.num_train_timesteps)), Flow()
    if target not in PREDICTION_TYPES or (kind.startswith("EDM") and target != "epsilon"):
        raise InputError(f"{where}: prediction_type is {target!r}; supported: {', '.join(PREDICTION_TYPES)}")
    if kind.startswith("EDM"):
        return schedules.VarianceExploding(cfg.sigma_max), EDM(cfg.sigma_data)
    return make_schedule(cfg, where), PARAMETRIZATIONS[PREDICTION_TYPES[target]]


def make_schedule(cfg: SchedulerConfig, where: str) -> Schedule:
    """The noise schedule for a scheduler's config."""
    steps, start, end = cfg.num_train_timesteps, cfg.beta_start, cfg.beta_end
    kinds: dict[str, VariancePreserving] = {
        "linear": schedules.LinearBeta(steps, start, end),
        "scaled_linear": schedules.Quadratic(steps, start, end),
        "sigmoid": schedules.Sigmoid(steps, start, end),
        "squaredcos_cap_v2": schedules.Cosine(steps),
    }
    if betas := cfg.trained_betas:
        schedule: VariancePreserving = schedules.GivenBetas(len(betas), betas)
    elif (kind := cfg.beta_schedule) in kinds:
        schedule = kinds[kind]
    else:
        raise InputError(f"{where}: beta_schedule is {kind!r}; supported: {', '.join(kinds)}")
    return schedules.ZeroTerminalSNR(schedule) if cfg.rescale_betas_zero_snr else schedule


def make_sampling(cfg: SchedulerConfig, schedule: Schedule) -> tuple[SamplingDefaults, tuple[str, ...]]:
    """The closest sampling defaults for a scheduler's config, and notes about differences."""
    kind, notes = cfg.kind, list[str]()
    if kind.startswith("EDM"):
        return SamplingDefaults(), ()
    if kind.startswith("FlowMatch"):
        return SamplingDefaults("euler", "uniform", 50), ()
    if kind not in SAMPLER_NAMES:
        notes.append(
            f"{kind} is not available: the default sampler is ddim; `noisette sample --sampler` selects another"
        )
    name, steps = SAMPLER_NAMES.get(kind, ("ddim", 50))
    if name == "ddpm" and "learned" in (cfg.variance_type or ""):
        name = "ddpm-learned"
    elif name == "ddpm" and cfg.variance_type == "fixed_large":
        name = "ddpm-large"
    spacing = SPACINGS.get(cfg.timestep_spacing, "leading")
    if cfg.clip_sample and kind in ("DDPMScheduler", "DDIMScheduler"):
        notes.append(
            "x0 is clipped at every step and ε recomputed from it (as with use_clipped_model_output=True in diffusers)"
        )
    return SamplingDefaults(
        name, spacing, min(steps or schedule.num_train_timesteps, schedule.num_train_timesteps)
    ), tuple(notes)


def make_pictures(cfg: Mapping[str, Any], net: UNetConfig, overrides: ConversionOverrides, path: Path) -> Pictures:
    """The picture spec; the size is sample_size, or --size, or a guess from the number of levels."""
    size = parse_known(UNet2DConfig, cfg, f"{path}").sample_size or 8 * net.size_multiple
    height, width = overrides.size or ((size, size) if isinstance(size, int) else size)
    learned = net.out_channels == 2 * net.in_channels
    channels = net.in_channels if learned else net.out_channels
    return Pictures(find_mode(channels, path), height, width, make_numbered_labels(net.classes))


CONFIG_FILE = "noisette.json"  # our own config, needed to read an exported folder again


RENAMES: tuple[tuple[str, str], ...] = (  # our names → diffusers' names
    (r"^embed\.time\.mlp\.0\.", "time_embedding.linear_1."),
    (r"^embed\.time\.mlp\.2\.", "time_embedding.linear_2."),
    (r"^embed\.classes\.", "class_embedding."),
    (r"^norm_out\.", "conv_norm_out."),
    (r"^mid\.first\.res\.", "mid_block.resnets.0."),
    (r"^mid\.first\.attn\.", "mid_block.attentions.0."),
    (r"^mid\.last\.", "mid_block.resnets.1."),
    (r"^(down|up)\.(\d+)\.blocks\.(\d+)\.res\.", r"\1_blocks.\2.resnets.\3."),
    (r"^(down|up)\.(\d+)\.blocks\.(\d+)\.attn\.", r"\1_blocks.\2.attentions.\3."),
    (r"^(down|up)\.(\d+)\.resample\.", r"\1_blocks.\2.\1samplers.0."),
    (r"\.embed\.(weight|bias)$", r".time_emb_proj.\1"),
    (r"\.skip\.(weight|bias)$", r".conv_shortcut.\1"),
    (r"(attentions\.\d+)\.norm\.", r"\1.group_norm."),
    (r"(attentions\.\d+)\.out\.", r"\1.to_out.0."),
)


def to_diffusers_names(name: str) -> tuple[str, ...]:
    """The names in diffusers of one of our tensors; three for the joint weights of q, k and v."""
    for pattern, to in RENAMES:
        name = re.sub(pattern, to, name)
    return tuple(name.replace(".qkv.", f".to_{part}.") for part in "qkv") if ".qkv." in name else (name,)
