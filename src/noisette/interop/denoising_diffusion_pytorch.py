"""Checkpoints of denoising-diffusion-pytorch: {"step", "model", "ema", …}; the EMA weights are used.

The project stores its schedule as tensors beside the weights, so noise schedule and prediction type can be read: the
loss weight is 1 for ε, ᾱ for v and ᾱ / (1 − ᾱ) for x0, where min-SNR does not clip it.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from ..data.pictures import Pictures, find_mode
from ..diffusion.schedule import Cosine, GammaSigmoid, GivenBetas, LinearBeta, VariancePreserving
from ..errors import InputError
from ..io.checkpoint_file import require_tensors, to_float32
from ..models.config import ModelConfig, SamplingDefaults, build
from ..nn.linear_attention import LinearAttentionUNetConfig
from .base import (
    PARAMETRIZATIONS,
    ConversionOverrides,
    ConvertedModel,
    PredictionType,
    convert_state_dict,
    count_numbered,
    tensor_size,
)

RENAMES: tuple[tuple[str, str], ...] = (  # our names → source names
    (r"^time\.mlp\.0\.", "time_mlp.1."),
    (r"^time\.mlp\.2\.", "time_mlp.3."),
    (r"^conv_in\.", "init_conv."),
    (r"^conv_out\.", "final_conv."),
    (r"^final\.", "final_res_block."),
    (r"^mid\.first\.", "mid_block1."),
    (r"^mid\.last\.", "mid_block2."),
    (r"^mid\.attn\.", "mid_attn."),
    (r"^(down|up)\.(\d+)\.first\.", r"\1s.\2.0."),
    (r"^(down|up)\.(\d+)\.last\.", r"\1s.\2.1."),
    (r"^(down|up)\.(\d+)\.attn\.", r"\1s.\2.2."),
    (r"^(down|up)\.(\d+)\.resample\.", r"\1s.\2.3."),
    (r"\.conv([12])\.", r".block\1.proj."),
    (r"\.norm([12])\.", r".block\1.norm."),
    (r"\.embed\.", ".mlp.1."),
    (r"\.skip\.", ".res_conv."),
    (r"\.gain$", ".g"),
    (r"\.memory$", ".mem_kv"),
    (r"\.qkv\.", ".to_qkv."),
    (r"\.out\.", ".to_out."),
)


def is_supported(data: Mapping[str, Any]) -> bool:
    """Whether this is a checkpoint of its trainer, or the state dict of its GaussianDiffusion."""
    inner = data.get("model")
    names = inner.keys() if isinstance(inner, Mapping) else data.keys()
    return {"betas", "model.init_conv.weight"} <= set(names)


def read(data: Mapping[str, Any], path: Path, overrides: ConversionOverrides) -> ConvertedModel:
    """Convert a trainer's checkpoint, or the state dict of a GaussianDiffusion. InputError if it is not supported."""
    overrides.check_allowed(f"{path}, a checkpoint of denoising-diffusion-pytorch", "size")
    state, notes = _select_ema(data)
    floats, changed = to_float32(state, path)
    tensors = require_tensors(floats, path)
    weights = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
    net = infer_config(weights, path)
    if net.in_channels == 2 * net.out_channels:  # the self-conditioning input is zero, as in the first sampling step
        weights["init_conv.weight"] = weights["init_conv.weight"][:, net.out_channels :]
        net = replace(net, in_channels=net.out_channels)
        notes += ("self-conditioning is removed: the network does not get its earlier prediction",)
    height, width = overrides.size or (16 * net.size_multiple, 16 * net.size_multiple)
    if overrides.size is None:
        notes += (f"not determined by the weights, so assumed: pictures of {width}×{height} (--size)",)
    converted = convert_state_dict(weights, to_source_name, lambda: build(net), "denoising-diffusion-pytorch's U-Net")
    shapes = {tuple(tensors[name].shape) for name in find_tables(tensors)}
    if len(shapes) != 1 or len(shapes.pop()) != 1:
        raise InputError(f"{path} has tables of its schedule that are no lists of the same length: it is damaged")
    schedule = infer_schedule(tensors["betas"])
    config = ModelConfig(
        net=net,
        schedule=schedule,
        parametrization=PARAMETRIZATIONS[infer_prediction_type(tensors, path)],
        pictures=Pictures(find_mode(net.out_channels, path), height, width),
        sampling=SamplingDefaults("ddim", "trailing", min(50, schedule.steps)),
    )
    return ConvertedModel("denoising-diffusion-pytorch's U-Net", config, converted, changed + notes)


def _select_ema(data: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The EMA weights if there are any, else the last weights; and a note which."""
    ema, inner = data.get("ema"), data.get("model")
    if isinstance(ema, Mapping) and any(str(k).startswith("ema_model.") for k in ema):
        averaged = {str(k).removeprefix("ema_model."): v for k, v in ema.items() if str(k).startswith("ema_model.")}
        return averaged, ("the EMA weights are used",)
    return dict(inner if isinstance(inner, Mapping) else data), (
        "the last weights are used: the file has no EMA weights",
    )


def to_source_name(name: str) -> tuple[str]:
    """The project's name of one of our tensors."""
    for pattern, to in RENAMES:
        name = re.sub(pattern, to, name)
    return (name,)


def infer_config(weights: Mapping[str, Tensor], path: Path) -> LinearAttentionUNetConfig:
    """The network's config, from the shapes of its tensors."""
    if "time_mlp.0.weights" in weights:
        raise InputError(f"{path} uses learned or random frequencies in its time embedding, which is not supported")

    def size(name: str, axis: int = 0) -> int:
        return tensor_size(weights, name, axis, path)

    levels = count_numbered(weights, r"downs\.(\d+)\.", path)
    if not levels:
        raise InputError(f"{path} has no tensor downs.0: save it with denoising-diffusion-pytorch 2.0 or newer")
    full = tuple(f"downs.{i}.2.to_out.weight" in weights for i in range(levels))
    memory = [f"downs.{i}.2.mem_kv" for i in range(levels)]  # (2, heads, …): channels and positions in either order
    ends = [f"downs.{i}.3{'' if i == levels - 1 else '.1'}.weight" for i in range(levels)]
    return LinearAttentionUNetConfig(
        in_channels=size("init_conv.weight", 1),
        out_channels=size("final_conv.weight"),
        stem=size("init_conv.weight"),
        channels=tuple(map(size, ends)),
        full=full,
        heads=tuple(size(name, 1) for name in memory),
        head_channels=tuple(size(name, 3 if f else 2) for name, f in zip(memory, full, strict=True)),
        memory=size(memory[0], 2 if full[0] else 3),
        time_channels=size("time_mlp.1.weight", 1),
        time_order="sin_cos",
        freq_shift=1,
    )


def find_tables(tensors: Mapping[str, Tensor]) -> list[str]:
    """The names of the schedule's tables that are read."""
    return [name for name in ("betas", "alphas_cumprod", "loss_weight") if name in tensors]


def infer_schedule(betas: Tensor) -> VariancePreserving:
    """The schedule with these betas: by formula if a known one fits, else `GivenBetas`."""
    steps, given = len(betas), betas.double()
    scale = 1000 / steps
    linear = LinearBeta(steps, min(scale * 1e-4, 1.0), min(scale * 0.02, 1.0))  # of fewer than 20 steps: no β above 1
    for schedule in (linear, Cosine(steps), GammaSigmoid(steps, max_beta=0.999)):
        if (1 - schedule.betas()).cumprod(0).allclose((1 - given).cumprod(0), rtol=1e-3, atol=1e-8):
            return schedule
    return GivenBetas(steps, tuple(given.clamp(min=1e-12).tolist()))


def infer_prediction_type(tables: Mapping[str, Tensor], path: Path) -> PredictionType:
    """The prediction type, from the loss weight at the step whose SNR is closest to 0.5."""
    for name in ("loss_weight", "alphas_cumprod"):
        if name not in tables:
            raise InputError(f"{path} has no tensor {name}, which determines what the network predicts")
    signal = tables["alphas_cumprod"].double()
    snr = signal / (1 - signal)
    k = int((snr - 0.5).abs().argmin())
    weight, expected = tables["loss_weight"][k].item(), {"epsilon": 1.0, "v": signal[k].item(), "x0": snr[k].item()}
    prediction: PredictionType = min(PARAMETRIZATIONS, key=lambda name: abs(weight - expected[name]))
    if abs(weight - expected[prediction]) > 0.02:
        raise InputError(f"{path}: loss_weight fits no prediction type of epsilon, x0 and v")
    return prediction
