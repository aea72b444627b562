"""Checkpoints of openai/improved-diffusion and openai/guided-diffusion: U-Nets, upsamplers, noisy classifiers.

Names and shapes determine widths, blocks, levels with attention, modulation, resampling, classes, learned variance and
a low-resolution input. Not determined are the number of heads, the order of the rows in the attention matrix, the noise
schedule and the picture size: they are the projects' defaults unless `ConversionOverrides` sets them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from ..data.pictures import Pictures, find_mode
from ..diffusion.schedule import Cosine, LinearBeta, VariancePreserving
from ..errors import InputError
from ..io.checkpoint_file import require_tensors
from ..models.classifier import ClassifierModelConfig
from ..models.config import ModelConfig, SamplingDefaults, build
from ..nn.architecture import UNetConfig
from ..nn.classifier import Classifier, ClassifierConfig
from .base import (
    PARAMETRIZATIONS,
    ConversionOverrides,
    ConvertedModel,
    convert_state_dict,
    count_numbered,
    make_numbered_labels,
    tensor_size,
)
from .guided_diffusion_names import (
    CLASSIFIER_NAMES,
    POSITION_EMBEDDING,
    UNET_NAMES,
    convert_layout,
    iter_decoder_names,
    iter_encoder_names,
    make_name_table,
)

# Published models for which the defaults would be wrong, from the READMEs of both projects.
# Key: (channels of the levels, blocks per level, levels with attention counted from 0, resampling).
NetworkShape = tuple[tuple[int, ...], int, tuple[int, ...], str]
PUBLISHED_MODELS: dict[NetworkShape, ConversionOverrides] = {
    ((192, 384, 576, 768), 3, (1, 2, 3), "block"): ConversionOverrides(attention_order="new"),  # 64x64_diffusion
    ((256, 256, 512, 768, 1024), 2, (2, 3, 4), "block"): ConversionOverrides(heads=4),  # 128x128_diffusion
    ((192, 192, 384, 384, 768, 768), 2, (3, 4, 5), "block"): ConversionOverrides(heads=4),  # 64_256_upsampler
    ((192, 384, 576, 768), 3, (2, 3), "conv"): ConversionOverrides(rescale_timesteps=False),  # imagenet64_cond_270M
    ((192, 192, 384, 384, 768, 768), 2, (4, 5), "conv"): ConversionOverrides(
        schedule="linear", train_timesteps=4000, rescale_timesteps=False
    ),  # upsample_cond
    ((128, 128, 256, 256, 512, 512), 2, (4,), "conv"): ConversionOverrides(
        heads=1, train_timesteps=1000
    ),  # lsun_uncond
}


def is_supported(names: Mapping[str, object]) -> bool:
    """Whether a state dict with these names is of one of the two projects."""
    return {"time_embed.0.weight", "input_blocks.0.0.weight", "middle_block.0.in_layers.0.weight"} <= names.keys()


def read(data: Mapping[str, object], path: Path, overrides: ConversionOverrides) -> ConvertedModel:
    """Convert a state dict of a U-Net or of a noisy classifier. InputError if it is damaged or not supported."""
    tensors = require_tensors(data, path)
    checkpoint = CheckpointTensors(tensors, path)
    if any(name.startswith("output_blocks.") for name in tensors):
        return _convert_unet(checkpoint, overrides)
    return _convert_classifier(checkpoint, overrides)


# ── determined by names and shapes ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class CheckpointTensors:
    """The tensors of a checkpoint, with methods that read properties of the network from them."""

    tensors: Mapping[str, Tensor]
    path: Path

    def has_tensor(self, name: str) -> bool:
        """Whether there is a tensor of that name."""
        return name in self.tensors

    def size(self, name: str, axis: int = 0) -> int:
        """The size of a tensor along an axis; InputError if it is missing."""
        return tensor_size(self.tensors, name, axis, self.path)

    def count_blocks(self, part: str) -> int:
        """Number of numbered blocks in a part, such as "input_blocks"."""
        return count_numbered(self.tensors, rf"{part}\.(\d+)\.", self.path)

    def width(self, k: int) -> int:
        """Output channels of input block k."""
        return self.size(f"input_blocks.{k}.0.out_layers.3.weight")

    def has_attention(self, k: int) -> bool:
        """Whether input block k has attention."""
        return self.has_tensor(f"input_blocks.{k}.1.qkv.weight")

    def find_resample_kind(self) -> str:
        """How levels change resolution: "conv", or "block" for residual blocks."""
        return "conv" if any(name.endswith(".0.op.weight") for name in self.tensors) else "block"

    def infer_levels_and_blocks(self) -> tuple[int, int]:
        """(levels, blocks per level). Each level has one block more: the first convolution or a downsampler."""
        count = self.count_blocks("input_blocks")
        splits = [(n, count // n - 1) for n in range(1, count // 2 + 1) if count % n == 0]
        fitting = [split for split in splits if self._is_consistent(*split)]
        if not fitting:
            raise InputError(f"{self.path}: {count} input_blocks of these shapes fit no guided-diffusion network")
        return min(fitting, key=lambda split: abs(split[1] - 2))  # two blocks per level are usual

    def _is_consistent(self, levels: int, blocks: int) -> bool:
        """Whether all downsamplers are in place, and each level has one width and either attention or not."""
        downsamplers = [i * (blocks + 1) for i in range(1, levels)]
        plain = [k for k in range(1, levels * (blocks + 1)) if k not in downsamplers]
        if any(self.has_tensor(f"input_blocks.{k}.0.op.weight") for k in plain) or any(
            map(self.has_attention, downsamplers)
        ):
            return False
        if self.count_blocks("output_blocks") not in (0, levels * (blocks + 1)):
            return False
        if self.find_resample_kind() == "conv" and levels > 1:
            return all(self.has_tensor(f"input_blocks.{k}.0.op.weight") for k in downsamplers)
        groups = [plain[i * blocks : (i + 1) * blocks] for i in range(levels)]
        is_uniform = all(len({(self.width(k), self.has_attention(k)) for k in group}) == 1 for group in groups)
        keeps_width = all(self.width(k) == self.width(k - 1) for k in downsamplers)
        upsamples = [self._has_upsampler(k) for k in range(self.count_blocks("output_blocks"))]
        return is_uniform and keeps_width and all(g == ((k + 1) % (blocks + 1) == 0 and k + 1 < len(upsamples))
                                     for k, g in enumerate(upsamples))  # fmt: skip

    def _has_upsampler(self, k: int) -> bool:
        """Whether output block k ends in a residual block that doubles the resolution."""
        index = 1 + self.has_tensor(f"output_blocks.{k}.1.qkv.weight")
        return self.has_tensor(f"output_blocks.{k}.{index}.in_layers.2.weight")


def infer_config(checkpoint: CheckpointTensors) -> UNetConfig:
    """The config of the network, without the attention heads."""
    levels, blocks = checkpoint.infer_levels_and_blocks()
    firsts = [i * (blocks + 1) + 1 for i in range(levels)]
    width = checkpoint.width(1)
    return UNetConfig(
        in_channels=checkpoint.size("input_blocks.0.0.weight", 1),
        out_channels=checkpoint.size("out.2.weight") if checkpoint.count_blocks("output_blocks") else 3,
        channels=tuple(checkpoint.width(k) for k in firsts),
        blocks=blocks,
        attention=tuple(checkpoint.has_attention(k) for k in firsts),
        classes=checkpoint.size("label_emb.weight") if checkpoint.has_tensor("label_emb.weight") else 0,
        null_class=False,
        modulation="scale_shift" if checkpoint.size("input_blocks.1.0.emb_layers.1.weight") == 2 * width else "shift",
        resample=checkpoint.find_resample_kind() if levels > 1 else "conv",  # type: ignore[arg-type]
        time_channels=checkpoint.size("time_embed.0.weight", 1),
    )


# ── not determined ────────────────────────────────────────────────────────────────────────────────────────────────


def with_heads(net: UNetConfig, overrides: ConversionOverrides) -> tuple[UNetConfig, tuple[str, ...]]:
    """The config with attention heads, and notes.

    Without overrides: heads of 64 channels for guided-diffusion, else 4 heads, as in improved-diffusion.
    """
    if overrides.heads is not None or overrides.head_channels is not None:
        return replace(net, heads=overrides.heads, head_channels=overrides.head_channels), ()
    widths = {c for c, a in zip(net.channels, net.attention, strict=True) if a} | {net.channels[-1]}
    if net.resample == "block" and all(width % 64 == 0 for width in widths):
        return replace(net, head_channels=64), ("attention heads of 64 channels (--heads, --head-channels)",)
    heads = 4 if all(width % 4 == 0 for width in widths) else 1
    return replace(net, heads=heads), (f"{heads} attention heads (--heads, --head-channels)",)


def make_schedule(
    net: UNetConfig, overrides: ConversionOverrides, learned_variance: bool
) -> tuple[VariancePreserving, tuple[str, ...]]:
    """The noise schedule, and notes.

    Without overrides: cosine for a learned variance and at most 4 levels (64 pixels), with 4000 steps in
    improved-diffusion; else linear with 1000 steps.
    """
    guided = net.resample == "block"
    kind = overrides.schedule or ("cosine" if learned_variance and len(net.channels) <= 4 else "linear")
    steps = overrides.train_timesteps or (4000 if kind == "cosine" and not guided else 1000)
    assumed = [
        ("--schedule", overrides.schedule, f"a {kind} schedule"),
        ("--train-timesteps", overrides.train_timesteps, f"{steps} steps"),
    ]
    notes = tuple(f"{what} ({flag})" for flag, value, what in assumed if value is None)
    rescaled = overrides.rescale_timesteps if overrides.rescale_timesteps is not None else not guided
    label_steps = 1000 if rescaled and steps != 1000 else None
    if kind == "cosine":
        return Cosine(steps, label_steps=label_steps), notes
    scale = 1000 / steps  # so that any number of steps ends at the same noise level
    return LinearBeta(steps, 1e-4 * scale, 0.02 * scale, label_steps=label_steps), notes


def guess_side(net: UNetConfig) -> int:
    """The picture size for which the projects use so many levels."""
    side = 8 * net.size_multiple
    return side // 2 if len(set(net.channels[1:])) == 1 and len(net.channels) == 4 else side  # CIFAR's (1, 2, 2, 2)


def find_published(net: UNetConfig) -> ConversionOverrides:
    """The known settings of a published network with this shape; empty overrides for others."""
    levels = tuple(i for i, attends in enumerate(net.attention) if attends)
    return PUBLISHED_MODELS.get((net.channels, net.blocks, levels, net.resample), ConversionOverrides())


def _assumption_note(assumed: tuple[str, ...]) -> tuple[str, ...]:
    return (f"not determined by the weights, so assumed: {', '.join(assumed)}",) if assumed else ()


# ── conversion ────────────────────────────────────────────────────────────────────────────────────────────────────


def _attention_order(overrides: ConversionOverrides) -> tuple[bool, tuple[str, ...]]:
    order = overrides.attention_order or "legacy"
    return order == "legacy", () if overrides.attention_order else ("the legacy attention order (--attention-order)",)


def _convert_unet(checkpoint: CheckpointTensors, overrides: ConversionOverrides) -> ConvertedModel:
    """Convert a U-Net; with twice the picture channels as input it is an upsampler."""
    unet = infer_config(checkpoint)
    ins, outs = unet.in_channels, unet.out_channels
    upsampler = outs * 2 == ins or (outs == ins and ins == 6)
    channels = ins // 2 if upsampler else ins
    if outs not in (channels, 2 * channels):
        raise InputError(
            f"{checkpoint.path}: {ins} input and {outs} output channels fit no network of these projects: the output "
            f"should have {channels} channels, or {2 * channels} with a learned variance"
        )
    learned = outs == 2 * channels
    overrides = overrides.with_defaults(find_published(unet))
    net, head_notes = with_heads(unet, overrides)
    schedule, schedule_notes = make_schedule(net, overrides, learned)
    legacy, order_notes = _attention_order(overrides)
    height, width = overrides.size or (guess_side(net), guess_side(net))
    size_notes = () if overrides.size else (f"pictures of {width}×{height} (--size)",)
    prediction_notes = () if overrides.prediction_type else ("ε prediction (--prediction-type)",)
    family = "guided-diffusion" if net.resample == "block" else "improved-diffusion"
    where = f"a network of {family} with {_describe(net)}"
    table = make_name_table([*iter_encoder_names(net), *iter_decoder_names(net)], UNET_NAMES)
    tensors = convert_state_dict(
        checkpoint.tensors, table.__getitem__, lambda: build(net), where, lambda n, t: convert_layout(net, legacy, n, t)
    )
    pictures = Pictures(find_mode(channels, checkpoint.path), height, width, make_numbered_labels(net.classes))
    sampling = SamplingDefaults("ddpm-learned" if learned else "ddpm", "strided", 250)
    config = ModelConfig(net, schedule, PARAMETRIZATIONS[overrides.prediction_type or "epsilon"], pictures, sampling)
    notes = _assumption_note(head_notes + order_notes + schedule_notes + prediction_notes + size_notes)
    if upsampler:
        notes += (f"an upsampler: Condition.image must be the small picture, resized to {width}×{height}",)
    return ConvertedModel(f"{family}'s {'upsampler' if upsampler else 'U-Net'}", config, tensors, notes)


def _convert_classifier(checkpoint: CheckpointTensors, overrides: ConversionOverrides) -> ConvertedModel:
    """Convert a noisy classifier."""
    overrides.check_allowed(
        f"{checkpoint.path}, a noisy classifier",
        "heads",
        "head_channels",
        "attention_order",
        "schedule",
        "train_timesteps",
        "size",
    )
    if not checkpoint.has_tensor(POSITION_EMBEDDING) and not checkpoint.has_tensor("out.3.weight"):
        raise InputError(f"{checkpoint.path}: its pooling is not supported; supported are attention and adaptive")
    net, head_notes = with_heads(infer_config(checkpoint), overrides)
    legacy, order_notes = _attention_order(overrides)
    schedule, schedule_notes = make_schedule(net, overrides, learned_variance=True)
    pooling = "attention" if checkpoint.has_tensor(POSITION_EMBEDDING) else "average"
    classes = checkpoint.size("out.2.c_proj.weight" if pooling == "attention" else "out.3.weight")
    if pooling == "attention":  # one position per pixel of the last level, and one for their mean
        side = round((checkpoint.size(POSITION_EMBEDDING, 1) - 1) ** 0.5) * net.size_multiple
    else:
        side = overrides.size[0] if overrides.size else guess_side(net)
    cfg = ClassifierConfig(encoder=net, classes=classes, pool=pooling, side=side)  # type: ignore[arg-type]
    where = f"a noisy classifier with {_describe(net)}"
    table = make_name_table(iter_encoder_names(net), CLASSIFIER_NAMES[pooling]) | {
        "pool.positions": (POSITION_EMBEDDING,)
    }
    tensors = convert_state_dict(
        checkpoint.tensors,
        table.__getitem__,
        lambda: Classifier(cfg),
        where,
        lambda n, t: convert_layout(net, legacy, n, t),
    )
    pictures = Pictures(find_mode(net.in_channels, checkpoint.path), side, side, make_numbered_labels(classes))
    config = ClassifierModelConfig(cfg, schedule, pictures)
    return ConvertedModel(
        "guided-diffusion's noisy classifier",
        config,
        tensors,
        _assumption_note(head_notes + order_notes + schedule_notes),
    )


def _describe(net: UNetConfig) -> str:
    resolutions = [str(2**i) for i, a in enumerate(net.attention) if a]
    return (
        f"channels {net.channels}, {net.blocks} blocks per level and attention at 1/{', 1/'.join(resolutions) or '-'}"
    )
