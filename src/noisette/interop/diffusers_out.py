"""A model as a folder that diffusers opens: its UNet2DModel, a scheduler, and the pipeline that walks.

Nothing here imports diffusers: the folder is JSON and safetensors. What a model is, there:

    schedule, parametrization            scheduler                        pipeline that fits
    a chain, Epsilon / X0 / V            DDPMScheduler                    DDPMPipeline, DDIMPipeline
    RectifiedFlow, Flow                  FlowMatchEulerDiscreteScheduler  DDPMPipeline
    VarianceExploding, EDM               EDMDPMSolverMultistepScheduler   ConsistencyModelPipeline

The last is the one pipeline for UNet2DModel whose loop scales what the network sees, and which has labels; its loop is
anybody's, and the scheduler's steps are DPM-Solver++ (2M). What diffusers has no place for is said in `Folder.notes`,
or refused in one sentence.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from ..config import ModelConfig, to_json
from ..errors import InputError
from ..files import atomic_folder, json_bytes
from ..model import PictureModel
from ..nn.unet import UNetConfig
from ..parametrization import EDM, X0, Epsilon, Flow, Parametrization, V
from ..pictures import Pictures
from ..schedule import Cosine, LinearBeta, Quadratic, RectifiedFlow, VarianceExploding, VariancePreserving
from ..tensors import packable
from .diffusers_names import name_of

VERSION = "0.42.1"  # of diffusers, whose layout this is
OURS = "noisette.json"  # the model's own config, for who reads the folder back

CARRIED = {  # fields of UNetConfig that a UNet2DModel has, or that are dealt with here; the others must be as they come
    "in_channels", "out_channels", "channels", "blocks", "attention", "head_channels", "heads", "mid_attention",
    "dropout", "classes", "null_class", "vector", "modulation", "resample", "pad", "groups", "eps", "time_channels",
    "time_order", "freq_shift",
}  # fmt: skip
TARGETS: dict[type[Parametrization], str] = {Epsilon: "epsilon", X0: "sample", V: "v_prediction"}
SPACINGS = {"leading": "leading", "strided": "linspace"}  # of our grids; any other is nearest to "trailing"
VARIANCES = {"ddpm-large": "fixed_large"}  # of our samplers; that of any other is "fixed_small", or learned


@dataclass(frozen=True)
class Folder:
    """What the files will hold."""

    index: dict[str, Any]  # model_index.json
    scheduler: dict[str, Any]
    unet: dict[str, Any]
    weights: dict[str, Tensor]
    ours: dict[str, Any]  # noisette.json
    notes: tuple[str, ...]  # what diffusers has no place for, a sentence each


def exported(model: PictureModel, label: str | None = None) -> Folder:
    """The model in diffusers' terms. With `label`, a network that draws that label alone and needs not be told.

    Raises InputError where diffusers has no such network, or no such process.
    """
    config, net = model.config, model.config.net
    if not isinstance(net, UNetConfig):
        raise InputError(f"diffusers has no network like this model's {type(net).__name__}: export to ONNX instead")
    weights = told(model, label)
    scheduler = process(model)
    labelled = bool(net.classes) and label is None
    loop = "ConsistencyModelPipeline" if labelled or isinstance(config.parametrization, EDM) else "DDPMPipeline"
    index = {
        "_class_name": loop,
        "_diffusers_version": VERSION,
        "scheduler": ["diffusers", scheduler["_class_name"]],
        "unet": ["diffusers", "UNet2DModel"],
    }
    ours = {"model": to_json(config), "label": label}
    unet = network(net, config.pictures, labelled)
    return Folder(index, scheduler, unet, theirs(weights), ours, tuple(notes(config, net, labelled)))


def write(folder: Folder, path: Path) -> None:
    """Write it as a new folder, wholly or not at all."""
    data = safetensors.torch.save(packable(folder.weights, str(path)), {"format": "pt"})
    with atomic_folder(path, need=len(data)) as part:
        (part / "unet").mkdir()
        (part / "scheduler").mkdir()
        (part / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(data)
        for name, value in (
            ("unet/config.json", folder.unet),
            ("scheduler/scheduler_config.json", folder.scheduler),
            ("model_index.json", folder.index),
            (OURS, folder.ours),
        ):
            (part / name).write_bytes(json_bytes(value, path / name))


# ── the network ───────────────────────────────────────────────────────────────────────────────────────────────────


def told(model: PictureModel, label: str | None) -> dict[str, Tensor]:
    """Our weights, with what is the same for every picture put into the bias that time's embedding ends in: the label
    where one is given, and, since a UNet2DModel takes none, no attributes."""
    weights = dict(model.net.state_dict())
    bias = weights["embed.time.mlp.2.bias"]
    if model.config.net.vector:
        bias = bias + weights["embed.vector.null"]
        weights = {k: v for k, v in weights.items() if not k.startswith("embed.vector.")}
    if label is not None:
        model.condition(label)  # refuses what it does not know
        bias = bias + weights.pop("embed.classes.weight")[model.label(label)]
    return weights | {"embed.time.mlp.2.bias": bias}


def theirs(ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names changed; queries, keys and values taken apart."""
    result: dict[str, Tensor] = {}
    for key, tensor in ours.items():
        names = name_of(key)
        result |= zip(names, tensor.chunk(len(names)), strict=True)
    return result


def network(net: UNetConfig, pictures: Pictures, labelled: bool) -> dict[str, Any]:
    """unet/config.json."""
    refuse_what_it_lacks(net, pictures)
    plain = ("DownBlock2D", "UpBlock2D")
    if net.resample == "block":
        plain = ("ResnetDownsampleBlock2D", "ResnetUpsampleBlock2D")
    kind = "resnet" if net.resample == "block" else "conv"
    h, w = pictures.height, pictures.width
    return {
        "_class_name": "UNet2DModel",
        "_diffusers_version": VERSION,
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
        "attention_head_dim": head_channels(net),
        "norm_num_groups": net.groups,
        "attn_norm_num_groups": net.groups,
        "norm_eps": net.eps,
        "resnet_time_scale_shift": "default" if net.modulation == "shift" else "scale_shift",
        "add_attention": net.mid_attention,
        "num_class_embeds": net.classes + net.null_class if labelled else None,
    }


def refuse_what_it_lacks(net: UNetConfig, pictures: Pictures) -> None:
    """A UNet2DModel pads nothing, takes no picture beside x, and embeds time in as many channels as its first level."""
    other = next((f.name for f in fields(net) if f.name not in CARRIED and getattr(net, f.name) != f.default), None)
    if other is not None:
        value = getattr(net, other)
        way = "keep it as it is, or --to hub" if other == "tokens" else "export to ONNX"
        raise InputError(f"diffusers' UNet2DModel has nothing like this network's {other}, {value!r}: {way}")
    if net.time_channels != net.channels[0]:
        raise InputError(
            f"diffusers' UNet2DModel embeds time in as many channels as its first level has, {net.channels[0]}, and "
            f"this network in {net.time_channels}: export to ONNX"
        )
    if pictures.height % net.multiple or pictures.width % net.multiple:
        raise InputError(
            f"diffusers' UNet2DModel takes sides that are multiples of {net.multiple}, and these pictures are of "
            f"{pictures.width}×{pictures.height}: export to ONNX, which pads them"
        )
    if net.in_channels != pictures.channels:
        raise InputError(
            "diffusers has no pipeline that gives its UNet2DModel a picture to start from, as this network needs: keep "
            "it as it is, or --to hub"
        )


def head_channels(net: UNetConfig) -> int | None:
    """Of each attention head; None for one head. UNet2DModel knows one width for all levels."""
    if net.heads is None:
        return net.head_channels
    widths = {c for c, a in zip(net.channels, net.attention, strict=True) if a}
    widths |= {net.channels[-1]} if net.mid_attention else set()
    if len(widths) > 1:
        raise InputError(
            f"diffusers' UNet2DModel has heads of one width at all levels, and this network {net.heads} heads at "
            f"levels of {', '.join(map(str, sorted(widths)))} channels: export to ONNX"
        )
    return widths.pop() // net.heads if widths else None


# ── the process ───────────────────────────────────────────────────────────────────────────────────────────────────


def process(model: PictureModel) -> dict[str, Any]:
    """scheduler/scheduler_config.json."""
    config = model.config
    twice = model.learned_variance
    if isinstance(config.schedule, VariancePreserving) and config.schedule.shown not in (None, config.schedule.steps):
        raise InputError(
            f"diffusers shows its networks a chain as it is, and this model's, of {config.schedule.steps} steps, is "
            f"shown as one of {config.schedule.shown}: export to ONNX"
        )
    match config.schedule, config.parametrization:
        case VariancePreserving() as chain, (Epsilon() | X0() | V()) as target:
            body = {
                "_class_name": "DDPMScheduler",
                "num_train_timesteps": chain.steps,
                **betas(chain),
                "prediction_type": TARGETS[type(target)],
                "variance_type": "learned_range" if twice else VARIANCES.get(config.sampling.sampler, "fixed_small"),
                "clip_sample": True,
                "clip_sample_range": 1.0,
                "timestep_spacing": SPACINGS.get(config.sampling.grid, "trailing"),
                "steps_offset": 0,
            }
        case RectifiedFlow(label_scale=scale), Flow() if scale == 1000 and not twice:
            body = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 1.0}
        case VarianceExploding() as exploding, EDM() as edm if not twice:
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
            with_variance = " and learns its variance" if twice else ""
            raise InputError(
                f"diffusers has no scheduler for a network that predicts {type(target).__name__} on "
                f"{type(schedule).__name__}{with_variance}: export to ONNX"
            )
    return {"_diffusers_version": VERSION} | body


def betas(chain: VariancePreserving) -> dict[str, Any]:
    """By name where diffusers knows the name; else one by one, which it keeps in float32 as it does its own."""
    match chain:
        case LinearBeta():
            name = "linear"
        case Quadratic():
            name = "scaled_linear"
        case Cosine(offset=0.008, max_beta=0.999):
            return {"beta_schedule": "squaredcos_cap_v2"}
        case _:
            return {"trained_betas": chain.betas().to(torch.float64).tolist()}
    return {"beta_schedule": name, "beta_start": chain.beta_start, "beta_end": chain.beta_end}


# ── what is lost ──────────────────────────────────────────────────────────────────────────────────────────────────


def notes(config: ModelConfig, net: UNetConfig, labelled: bool) -> list[str]:
    """What whoever opens the folder has to know, a sentence each."""
    said, pictures = [], config.pictures
    edm, flow = isinstance(config.parametrization, EDM), isinstance(config.parametrization, Flow)
    if edm:
        said.append(
            "DDPMPipeline and DDIMPipeline cannot scale what the network sees, as EDM does: open the folder with "
            "DiffusionPipeline.from_pretrained, whose loop does, by DPM-Solver++ (2M) and without clipping"
        )
    if flow:
        said.append("only DDPMPipeline walks a flow: DDIMPipeline takes another scheduler")
    if labelled:
        none = f", {net.classes} for none" if net.null_class else ""
        said.append(
            f"labels are numbers, 0 to {net.classes - 1} in the order of {OURS}{none}, and guidance is not there: "
            "DiffusionPipeline.from_pretrained takes class_labels; --label exports one alone, for loops that take none"
        )
    if (edm or labelled) and (pictures.height != pictures.width or (flow and labelled)):
        said.append("no pipeline fits as it is: write the loop, which docs/export.md shows")
    if net.out_channels != net.in_channels:
        said.append("DDIMPipeline knows no learned variance: use DDPMPipeline")
    if net.vector:
        said.append("a UNet2DModel takes no attributes: it draws as if none were asked for")
    if pictures.has_alpha:
        said.append("colours come out premultiplied by alpha: divide by it, which docs/export.md shows")
    if (warmth := config.sampling.temperature) != 1:
        said.append(f"pipelines begin with noise as it is: this model draws best from {warmth:g} times that")
    return said
