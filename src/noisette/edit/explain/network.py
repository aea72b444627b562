"""Chapter: the network, to scale, with what it sees of one picture on the way."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ...nn.architecture import UNetConfig
from ...nn.unet import UNet
from ...noise import Seeded
from ...shapes import Bytes
from ...viz.page import paragraph
from ...viz.tiles import Cells, tiles
from ...viz.unet import Stage, diagram
from .subject import Subject

AT = 0.7  # σ/α at which its feature maps are looked at
SHOWN = 8  # channels of each


def stages(cfg: UNetConfig, height: int, width: int) -> list[Stage]:
    """Every feature map of a U-Net for pictures of that size, in the order in which they come to be."""
    tall, wide = (-(-side // cfg.multiple) * cfg.multiple // cfg.patch for side in (height, width))
    last = len(cfg.channels) - 1

    def stage(name: str, part: str, level: int, channels: int, attends: bool = False) -> Stage:
        return Stage(name, part, level, channels, tall >> level, wide >> level, attends)

    found = [stage("conv_in", "down", 0, cfg.channels[0])]
    skips = [0]  # numbers of the stages that the way up is waiting for
    for i, channels in enumerate(cfg.channels):
        for b in range(cfg.blocks):
            skips.append(len(found))
            found.append(stage(f"down.{i}.blocks.{b}", "down", i, channels, cfg.attention[i]))
        if i != last:
            skips.append(len(found))
            found.append(stage(f"down.{i}.resample", "down", i + 1, channels))
    found.append(stage("mid", "mid", last, cfg.channels[-1], cfg.mid_attention))
    for j, (i, channels) in enumerate(reversed(list(enumerate(cfg.channels)))):
        for b in range(cfg.blocks + 1):
            source = skips.pop()
            found[source] = replace(found[source], skips_to=len(found))
            found.append(stage(f"up.{j}.blocks.{b}", "up", i, channels, cfg.attention[i]))
        if i != 0:
            found.append(stage(f"up.{j}.resample", "up", i - 1, channels))
    return found


@contextmanager
def listening(net: nn.Module, names: list[str]) -> Iterator[dict[str, Tensor]]:
    """What the named modules return, for as long as the block lasts; nothing of the network is changed."""
    heard: dict[str, Tensor] = {}

    def listen(name: str) -> torch.utils.hooks.RemovableHandle:
        return net.get_submodule(name).register_forward_hook(lambda _m, _i, out: heard.update({name: out.detach()}))

    handles = [listen(name) for name in names]
    try:
        yield heard
    finally:
        for handle in handles:
            handle.remove()


@dataclass(frozen=True, eq=False)
class Seen:
    """The question, and the feature map of each stage, (1, C, H, W)."""

    x_t: Tensor
    t: Tensor
    maps: dict[str, Tensor]


@torch.no_grad()
def seen(subject: Subject, names: list[str], ratio: float = AT) -> Seen:
    """Ask the model once, and listen."""
    t = subject.at(ratio)
    x_t = subject.schedule.diffuse(subject.x0, t, Seeded([subject.seed]))
    with listening(subject.model.net, names) as heard:
        subject.model.given(subject.condition(1))(x_t, t)
    return Seen(x_t, t, heard)


def strongest(features: Tensor, number: int = SHOWN) -> tuple[list[int], Bytes]:
    """The channels of (1, C, H, W) that vary most over the picture, as grey pictures, mid grey for their mean."""
    flat = features[0].float()
    spread = flat.flatten(1).std(1)
    picked = spread.topk(min(number, len(flat))).indices
    off = flat[picked] - flat[picked].mean((1, 2), keepdim=True)
    size = off.flatten(1).abs().max(1).values.clamp(min=1e-12)
    grey = 127.5 + 127.5 * off / size[:, None, None]
    return picked.tolist(), grey.round().clamp(0, 255).to(torch.uint8)[:, None]


def chapter(subject: Subject) -> str:
    net, pictures = subject.model.net, subject.model.pictures
    if not isinstance(net, UNet):
        return paragraph(
            f"This model's network is a {type(net).__name__}, which this chapter does not know how to draw."
        )
    cfg = net.cfg
    every = stages(cfg, pictures.height, pictures.width)
    found = seen(subject, [s.name for s in every])
    ends = [
        Stage("x_t", "in", 0, cfg.in_channels, pictures.height, pictures.width),
        Stage("F", "out", 0, cfg.out_channels, pictures.height, pictures.width),
    ]
    shifted = [s if s.skips_to is None else replace(s, skips_to=s.skips_to + 1) for s in every]
    looked = [s for s in every if s.part == "mid" or s.name == "conv_in" or s.name.endswith(f".{cfg.blocks - 1}")]
    shapes = " → ".join(
        f"{w} channels at {pictures.width >> i}×{pictures.height >> i}" for i, w in enumerate(cfg.channels)
    )
    rows = [_row(stage, found.maps[stage.name], pictures.height) for stage in looked]
    return "\n".join(
        (
            paragraph(
                f"One network answers at all times. It is a U-Net: on the way down the picture gets coarser and its "
                f"channels more ({shapes}), so that it sees what the whole is; on the way up it gets fine again, and "
                "dashed bridges carry over what was seen at each size on the way down, so that nothing is lost."
            ),
            diagram(
                [ends[0], *shifted, ends[1]],
                f"A U-Net of {len(cfg.channels)} levels and {len(every)} feature maps, from x_t down to the bottleneck "
                "and up to its answer",
                f"$F(x_t, t, y)$ to scale: as high as pixels, as wide as channels (the numbers). "
                f"{len(every)} feature maps, "
                f"{sum(s.skips_to is not None for s in every)} bridges, {sum(p.numel() for p in net.parameters()):,} "
                "weights. Orange maps come out of self-attention; green is the bottleneck. "
                "The time and the label enter every block. (Ronneberger et al. 2015; Ho et al. 2020, appendix B.)",
            ),
            tiles(
                rows, [],
                f"What it sees of $x_t$ at $σ/α$ = {AT}: of each of these maps the {SHOWN} channels that vary most "
                "over the picture. Mid grey is a channel's mean; every channel has its own scale. Fine maps follow "
                "edges and colours; the bottleneck has only a few pixels, and says what is there rather than "
                "where. A map on the way up is made of $[u, s]$: what came up, and what a bridge carried over "
                "(Ronneberger et al. 2015).",
            ),
        )
    )  # fmt: skip


def _row(stage: Stage, features: Tensor, height: int) -> Cells:
    _, grey = strongest(features)
    times = max(1, height // stage.height)
    enlarged = grey.repeat_interleave(times, 2).repeat_interleave(times, 3)
    way = {"down": "down", "mid": "bottleneck", "up": "up"}[stage.part]
    bridge = ", bridged" if stage.skips_to is not None else ""
    return Cells(f"{way}, {stage.width}×{stage.height}{bridge}", enlarged)
