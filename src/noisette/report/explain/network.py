"""Chapter: the U-Net to scale, and its feature maps for one noisy picture."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ...diffusion.noise import Seeded
from ...nn.architecture import UNetConfig
from ...nn.unet import UNet
from ...shapes import UInt8Images
from ..viz.page import paragraph
from ..viz.tiles import TileRow, render_tiles
from ..viz.unet import UNetStage, unet_diagram
from .subject import Subject

NOISE_RATIO = 0.7  # σ/α of the noisy picture
NUM_CHANNELS = 8  # channels shown of each feature map


def list_stages(cfg: UNetConfig, height: int, width: int) -> list[UNetStage]:
    """All feature maps of a U-Net for pictures of height × width, in the order of computation."""
    rows, columns = (-(-side // cfg.size_multiple) * cfg.size_multiple // cfg.patch for side in (height, width))
    last = len(cfg.channels) - 1

    def stage(name: str, part: str, level: int, channels: int, attends: bool = False) -> UNetStage:
        return UNetStage(name, part, level, channels, rows >> level, columns >> level, attends)

    stages = [stage("conv_in", "down", 0, cfg.channels[0])]
    skips = [0]  # indices of the stages with a skip connection to the decoder
    for i, channels in enumerate(cfg.channels):
        for b in range(cfg.blocks):
            skips.append(len(stages))
            stages.append(stage(f"down.{i}.blocks.{b}", "down", i, channels, cfg.attention[i]))
        if i != last:
            skips.append(len(stages))
            stages.append(stage(f"down.{i}.resample", "down", i + 1, channels))
    stages.append(stage("mid", "mid", last, cfg.channels[-1], cfg.mid_attention))
    for j, (i, channels) in enumerate(reversed(list(enumerate(cfg.channels)))):
        for b in range(cfg.blocks + 1):
            source = skips.pop()
            stages[source] = replace(stages[source], skip_target=len(stages))
            stages.append(stage(f"up.{j}.blocks.{b}", "up", i, channels, cfg.attention[i]))
        if i != 0:
            stages.append(stage(f"up.{j}.resample", "up", i - 1, channels))
    return stages


@contextmanager
def record_outputs(net: nn.Module, names: list[str]) -> Iterator[dict[str, Tensor]]:
    """A context in which the outputs of the named modules are recorded, by name; the network is not changed."""
    outputs: dict[str, Tensor] = {}

    def add_hook(name: str) -> torch.utils.hooks.RemovableHandle:
        return net.get_submodule(name).register_forward_hook(lambda _m, _i, out: outputs.update({name: out.detach()}))

    handles = [add_hook(name) for name in names]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


@dataclass(frozen=True, eq=False)
class FeatureMaps:
    """The input of the network, and its feature maps by stage, (1, C, H, W) each."""

    x_t: Tensor
    t: Tensor
    maps: dict[str, Tensor]


@torch.no_grad()
def compute_feature_maps(subject: Subject, names: list[str], ratio: float = NOISE_RATIO) -> FeatureMaps:
    """One forward pass on the example picture at noise level σ/α = `ratio`; `names` are modules of the network."""
    t = subject.time_at(ratio)
    x_t = subject.schedule.diffuse(subject.x0, t, Seeded([subject.seed]))
    with record_outputs(subject.model.net, names) as maps:
        subject.model.given(subject.condition(1))(x_t, t)
    return FeatureMaps(x_t, t, maps)


def top_channels(features: Tensor, number: int = NUM_CHANNELS) -> tuple[list[int], UInt8Images]:
    """The `number` channels of (1, C, H, W) with the largest standard deviation: indices, and gray pictures.

    In each picture mid gray is the mean of the channel.
    """
    flat = features[0].float()
    spread = flat.flatten(1).std(1)
    picked = spread.topk(min(number, len(flat))).indices
    centered = flat[picked] - flat[picked].mean((1, 2), keepdim=True)
    limit = centered.flatten(1).abs().max(1).values.clamp(min=1e-12)
    gray = 127.5 + 127.5 * centered / limit[:, None, None]
    return picked.tolist(), gray.round().clamp(0, 255).to(torch.uint8)[:, None]


def render_chapter(subject: Subject) -> str:
    """The chapter as HTML."""
    net, pictures = subject.model.net, subject.model.pictures
    if not isinstance(net, UNet):
        return paragraph(f"This chapter supports only the U-Net; the network of this model is a {type(net).__name__}.")
    cfg = net.cfg
    stages = list_stages(cfg, pictures.height, pictures.width)
    features = compute_feature_maps(subject, [s.name for s in stages])
    ends = [
        UNetStage("x_t", "in", 0, cfg.in_channels, pictures.height, pictures.width),
        UNetStage("F", "out", 0, cfg.out_channels, pictures.height, pictures.width),
    ]
    shifted = [s if s.skip_target is None else replace(s, skip_target=s.skip_target + 1) for s in stages]
    shown = [s for s in stages if s.section == "mid" or s.name == "conv_in" or s.name.endswith(f".{cfg.blocks - 1}")]
    shapes = " → ".join(
        f"{w} channels at {pictures.width >> i}×{pictures.height >> i}" for i, w in enumerate(cfg.channels)
    )
    rows = [_stage_row(stage, features.maps[stage.name], pictures.height) for stage in shown]
    return "\n".join(
        (
            paragraph(
                "One network is used at all times t. It is a U-Net. Its encoder reduces the resolution and increases "
                f"the number of channels ({shapes}): at the lowest resolution, each number can depend on the whole "
                "picture. Its decoder restores the resolution. Skip connections (dashed) copy the encoder's feature "
                "maps to the decoder at the same resolution, so that details are not lost."
            ),
            unet_diagram(
                [ends[0], *shifted, ends[1]],
                f"A U-Net of {len(cfg.channels)} levels and {len(stages)} feature maps, from x_t down to the "
                "bottleneck and up to the prediction",
                "The network $F(x_t, t, y)$ to scale, where y is the label. The height of a box is the resolution of "
                f"a feature map, its width the number of channels. {len(stages)} feature maps, "
                f"{sum(s.skip_target is not None for s in stages)} skip connections, "
                f"{sum(p.numel() for p in net.parameters()):,} weights. Orange: with self-attention, which lets every "
                "position use all others. Green: the bottleneck, the lowest resolution. Time and label are turned "
                "into a vector, the embedding, which enters every block. (Ronneberger et al. 2015; Ho et al. 2020, "
                "appendix B.)",
            ),
            render_tiles(
                rows, [],
                f"Feature maps for $x_t$ at $σ/α$ = {NOISE_RATIO}: the {NUM_CHANNELS} channels of each map with the "
                "largest standard deviation. Mid gray is the mean of a channel; each channel has its own scale. Maps "
                "of high resolution show edges and colors. The bottleneck has few pixels: it holds what is in the "
                "picture more than where it is. The input of a level of the decoder is $[u, s]$: the enlarged map u "
                "of the level below, and the map s of the skip connection as further channels (Ronneberger et al. "
                "2015).",
            ),
        )
    )  # fmt: skip


def _stage_row(stage: UNetStage, features: Tensor, height: int) -> TileRow:
    _, gray = top_channels(features)
    times = max(1, height // stage.height)
    enlarged = gray.repeat_interleave(times, 2).repeat_interleave(times, 3)
    section = {"down": "encoder", "mid": "bottleneck", "up": "decoder"}[stage.section]
    skip = ", skip" if stage.skip_target is not None else ""
    return TileRow(f"{section}, {stage.width}×{stage.height}{skip}", enlarged)
