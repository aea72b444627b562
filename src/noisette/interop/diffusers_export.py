"""Export a model as a diffusers folder: a UNet2DModel, a scheduler, and a pipeline.

Nothing here imports diffusers: the folder is JSON and safetensors. The mapping:

    schedule, parametrization            scheduler                        pipeline
    discrete steps, Epsilon / X0 / V            DDPMScheduler                    DDPMPipeline, DDIMPipeline
    RectifiedFlow, Flow                  FlowMatchEulerDiscreteScheduler  DDPMPipeline
    VarianceExploding, EDM               EDMDPMSolverMultistepScheduler   ConsistencyModelPipeline

ConsistencyModelPipeline is the only pipeline for UNet2DModel that calls scale_model_input and takes labels; with this
scheduler its steps are DPM-Solver++ (2M). What the folder cannot express is listed in the notes, or raises InputError.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from ..data.pictures import DEFAULT_ALPHA_SNAP, Pictures
from ..diffusion.parametrization import EDM, X0, Epsilon, Flow, Parametrization, V
from ..diffusion.schedule import Cosine, LinearBeta, Quadratic, RectifiedFlow, VarianceExploding, VariancePreserving
from ..errors import InputError
from ..io.files import atomic_folder
from ..io.json_files import json_bytes
from ..io.tensors import prepare_tensors
from ..models.config import ModelConfig, to_json
from ..models.picture_model import NO_PRIOR_NOTE, PictureModel
from ..nn.unet import UNetConfig
from .diffusers import CONFIG_FILE, to_diffusers_names

DIFFUSERS_VERSION = "0.42.1"  # whose layout is written

SUPPORTED_FIELDS = {  # fields of UNetConfig that can be exported; all others must have their default values
    "in_channels", "out_channels", "channels", "blocks", "attention", "head_channels", "heads", "mid_attention",
    "dropout", "classes", "null_class", "vector", "modulation", "resample", "pad", "groups", "eps", "time_channels",
    "time_order", "freq_shift",
}  # fmt: skip
PREDICTION_TYPES: dict[type[Parametrization], str] = {Epsilon: "epsilon", X0: "sample", V: "v_prediction"}
SPACINGS = {"leading": "leading", "strided": "linspace"}  # our grid → timestep_spacing; all others → "trailing"
VARIANCES = {"ddpm-large": "fixed_large"}  # our sampler → variance_type; all others → "fixed_small", or learned


@dataclass(frozen=True)
class DiffusersFolder:
    """The contents of the files to write."""

    index: dict[str, Any]  # model_index.json
    scheduler: dict[str, Any]  # scheduler/scheduler_config.json
    unet: dict[str, Any]  # unet/config.json
    weights: dict[str, Tensor]  # by diffusers' names
    noisette_config: dict[str, Any]  # noisette.json
    notes: tuple[str, ...]  # what diffusers cannot express, a sentence each


def to_diffusers(model: PictureModel, label: str | None = None) -> DiffusersFolder:
    """The model in diffusers' terms. With `label`, a network without labels that always generates that label.

    InputError if diffusers has no such network or noise schedule, and for unknown labels.
    """
    model.codec.require_pixels("diffusers' pipeline for UNet2DModel")
    config, net = model.config, model.config.net
    if not isinstance(net, UNetConfig):
        raise InputError(f"diffusers has no equivalent of this model's {type(net).__name__}: use --to onnx")
    weights = fold_into_bias(model, label)
    scheduler = make_scheduler_config(model)
    has_labels = bool(net.classes) and label is None
    pipeline = "ConsistencyModelPipeline" if has_labels or isinstance(config.parametrization, EDM) else "DDPMPipeline"
    index = {
        "_class_name": pipeline,
        "_diffusers_version": DIFFUSERS_VERSION,
        "scheduler": ["diffusers", scheduler["_class_name"]],
        "unet": ["diffusers", "UNet2DModel"],
    }
    noisette_config = {"model": to_json(config), "label": label}
    unet = make_unet_config(net, config.pictures, has_labels)
    notes = (*collect_notes(config, net, has_labels), *((NO_PRIOR_NOTE,) if model.prior is not None else ()))
    return DiffusersFolder(index, scheduler, unet, rename_weights(weights), noisette_config, notes)


def write_diffusers(folder: DiffusersFolder, path: Path) -> None:
    """Write the folder atomically. InputError if `path` is not new or empty."""
    data = safetensors.torch.save(prepare_tensors(folder.weights, str(path)), {"format": "pt"})
    with atomic_folder(path, required_bytes=len(data)) as part:
        (part / "unet").mkdir()
        (part / "scheduler").mkdir()
        (part / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(data)
        for name, value in (
            ("unet/config.json", folder.unet),
            ("scheduler/scheduler_config.json", folder.scheduler),
            ("model_index.json", folder.index),
            (CONFIG_FILE, folder.noisette_config),
        ):
            (part / name).write_bytes(json_bytes(value, path / name, checksum=name == CONFIG_FILE))


# ── the network ───────────────────────────────────────────────────────────────────────────────────────────────────


def fold_into_bias(model: PictureModel, label: str | None) -> dict[str, Tensor]:
    """Our weights, with constant conditions added to the last bias of the time embedding.

    The constants are the vector of `label`, if given, and that of "no attributes", since a UNet2DModel takes none.
    """
    weights = dict(model.net.state_dict())
    bias = weights["embed.time.mlp.2.bias"]
    if model.config.net.vector:
        bias = bias + weights["embed.vector.null"]
        weights = {k: v for k, v in weights.items() if not k.startswith("embed.vector.")}
    if label is not None:
        model.condition(label)  # raises for an unknown label
        bias = bias + weights.pop("embed.classes.weight")[model.label_index(label)]
    return weights | {"embed.time.mlp.2.bias": bias}


def rename_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights by diffusers' names, with separate tensors for queries, keys and values."""
    result: dict[str, Tensor] = {}
    for key, tensor in weights.items():
        names = to_diffusers_names(key)
        result |= zip(names, tensor.chunk(len(names)), strict=True)
    return result


def make_unet_config(net: UNetConfig, pictures: Pictures, has_labels: bool) -> dict[str, Any]:
    """unet/config.json."""
    check_supported(net, pictures)
    plain = ("DownBlock2D", "UpBlock2D")
    if net.resample == "block":
        plain = ("ResnetDownsampleBlock2D", "ResnetUpsampleBlock2D")
    kind = "resnet" if net.resample == "block" else "conv"
    h, w = pictures.height, pictures.width
    return {
        "_class_name": "UNet2DModel",
        "_diffusers_version": DIFFUSERS_VERSION,
        "sample_size": h if h == w else [h, w],
        "in_channels": net.in_channels,
        "out_channels": net.out_channels,
        "time_embedding_type": "positional",
        "freq_shift": net.freq_shift,
        "flip_sin_to_cos": net.time_order == "cos_sin",
        "down_block_types": ["AttnDownBlock2D" if a else plain[0] for a in net.attention],
        "up_block_types": ["AttnUpBlock2D" if a else plain[1] for a in reversed(net.attention)],
        "block_out_channels": list(net.channels),
        "layers_per_block": net.blocks,
        "downsample_padding": 1 if net.pad == "both" else 0,
        "downsample_type": kind,
        "upsample_type": kind,
        "dropout": net.dropout,
        "act_fn": "silu",
        "attention_head_dim": infer_head_channels(net),
        "norm_num_groups": net.groups,
        "attn_norm_num_groups": net.groups,
        "norm_eps": net.eps,
        "resnet_time_scale_shift": "default" if net.modulation == "shift" else "scale_shift",
        "add_attention": net.mid_attention,
        "num_class_embeds": net.classes + net.null_class if has_labels else None,
    }


def check_supported(net: UNetConfig, pictures: Pictures) -> None:
    """Raise InputError for networks that a UNet2DModel cannot express.

    It does not pad, has no input picture, and its time embedding has as many channels as the first level.
    """
    other = next(
        (f.name for f in fields(net) if f.name not in SUPPORTED_FIELDS and getattr(net, f.name) != f.default), None
    )
    if other is not None:
        value = getattr(net, other)
        instead = "--to hub" if other == "tokens" else "--to onnx"
        raise InputError(
            f"diffusers' UNet2DModel has no equivalent of this network's {other} ({value!r}): use {instead} instead"
        )
    if net.time_channels != net.channels[0]:
        raise InputError(
            f"in diffusers' UNet2DModel the time embedding has as many channels as the first level, {net.channels[0]}; "
            f"in this network it has {net.time_channels}: use --to onnx"
        )
    if pictures.height % net.size_multiple or pictures.width % net.size_multiple:
        raise InputError(
            f"diffusers' UNet2DModel needs width and height that are multiples of {net.size_multiple}, and these "
            "pictures "
            f"are {pictures.width}×{pictures.height}: use --to onnx, which pads them"
        )
    if net.in_channels != pictures.channels:
        raise InputError(
            "diffusers has no pipeline that gives a UNet2DModel an input picture, which this network needs: "
            "use --to hub"
        )


def infer_head_channels(net: UNetConfig) -> int | None:
    """Channels of an attention head, the same at all levels; None for a single head."""
    if net.heads is None:
        return net.head_channels
    widths = {c for c, a in zip(net.channels, net.attention, strict=True) if a}
    widths |= {net.channels[-1]} if net.mid_attention else set()
    if len(widths) > 1:
        raise InputError(
            "in diffusers' UNet2DModel attention heads have the same width at all levels; this network has "
            f"{net.heads} "
            f"heads at levels of {', '.join(map(str, sorted(widths)))} channels: use --to onnx"
        )
    return widths.pop() // net.heads if widths else None


# ── the process ───────────────────────────────────────────────────────────────────────────────────────────────────


def make_scheduler_config(model: PictureModel) -> dict[str, Any]:
    """scheduler/scheduler_config.json."""
    config = model.config
    learned = model.has_learned_variance
    if isinstance(config.schedule, VariancePreserving) and config.schedule.label_steps not in (
        None,
        config.schedule.steps,
    ):
        raise InputError(
            f"diffusers does not rescale timesteps, and this model, with {config.schedule.steps} steps, has them "
            "rescaled "
            f"to {config.schedule.label_steps}: use --to onnx"
        )
    match config.schedule, config.parametrization:
        case VariancePreserving() as discrete, (Epsilon() | X0() | V()) as target:
            body = {
                "_class_name": "DDPMScheduler",
                "num_train_timesteps": discrete.steps,
                **make_beta_config(discrete),
                "prediction_type": PREDICTION_TYPES[type(target)],
                "variance_type": "learned_range" if learned else VARIANCES.get(config.sampling.sampler, "fixed_small"),
                "clip_sample": True,
                "clip_sample_range": 1.0,
                "timestep_spacing": SPACINGS.get(config.sampling.grid, "trailing"),
                "steps_offset": 0,
            }
        case RectifiedFlow(label_scale=scale), Flow() if scale == 1000 and not learned:
            body = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 1.0}
        case VarianceExploding() as exploding, EDM() as edm if not learned:
            body = {
                "_class_name": "EDMDPMSolverMultistepScheduler",
                "sigma_min": 0.002,
                "sigma_max": exploding.sigma_max,
                "sigma_data": edm.sigma_data,
                "sigma_schedule": "karras",
                "rho": 7.0,
                "prediction_type": "epsilon",
                "solver_order": 2,
            }
        case schedule, target:
            with_variance = " and learns its variance" if learned else ""
            raise InputError(
                f"diffusers has no scheduler for a network that predicts {type(target).__name__} on "
                f"{type(schedule).__name__}{with_variance}: use --to onnx"
            )
    return {"_diffusers_version": DIFFUSERS_VERSION} | body


def make_beta_config(schedule: VariancePreserving) -> dict[str, Any]:
    """The betas by name if diffusers has the schedule, else as a list."""
    match schedule:
        case LinearBeta():
            name = "linear"
        case Quadratic():
            name = "scaled_linear"
        case Cosine(offset=0.008, max_beta=0.999):
            return {"beta_schedule": "squaredcos_cap_v2"}
        case _:
            return {"trained_betas": schedule.betas().to(torch.float64).tolist()}
    return {"beta_schedule": name, "beta_start": schedule.beta_start, "beta_end": schedule.beta_end}


# ── notes ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def collect_notes(config: ModelConfig, net: UNetConfig, has_labels: bool) -> list[str]:
    """What users of the folder need to know, a sentence each."""
    notes, pictures = [], config.pictures
    edm, flow = isinstance(config.parametrization, EDM), isinstance(config.parametrization, Flow)
    if edm:
        notes.append(
            "DDPMPipeline and DDIMPipeline cannot scale the network input, which EDM needs: load the folder with "
            "DiffusionPipeline.from_pretrained, which samples with DPM-Solver++ (2M) without clipping"
        )
    if flow:
        notes.append("use DDPMPipeline: DDIMPipeline does not support flow matching")
    if has_labels:
        no_label = f", {net.classes} for no label" if net.null_class else ""
        notes.append(
            f"labels are numbers, 0 to {net.classes - 1} in the order of {CONFIG_FILE}{no_label}; there is no "
            "guidance. "
            "Pass class_labels to DiffusionPipeline, or export one label with --label for pipelines without labels"
        )
    if (edm or has_labels) and (pictures.height != pictures.width or (flow and has_labels)):
        notes.append("no pipeline of diffusers fits this model: write the sampling loop as shown in docs/export.md")
    if net.out_channels != net.in_channels:
        notes.append("DDIMPipeline does not support learned variance: use DDPMPipeline")
    if net.vector:
        notes.append("a UNet2DModel takes no attributes: its samples have no specified attributes")
    if pictures.has_alpha:
        low, high = (127, 128) if pictures.binary_alpha else pictures.alpha_snap or DEFAULT_ALPHA_SNAP
        notes.append(
            "the colors are premultiplied by alpha: divide by alpha as shown in docs/export.md, and set alpha up to "
            f"{low} of 255 to 0 and from {high} on to 255"
        )
    if (temperature := config.sampling.temperature) != 1:
        notes.append(
            f"pipelines do not scale the initial noise; this model's default is a temperature of {temperature:g}"
        )
    return notes
