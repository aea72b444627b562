"""openai/improved-diffusion's and openai/guided-diffusion's weights: networks that draw, upsamplers, noisy classifiers.

Names and shapes tell widths, blocks, levels of attention, how the embedding enters a block and how levels change
resolution, classes, a learned variance, a stacked low-resolution picture. They do not tell the attention's heads, the
order of the rows of its matrix, the noise schedule, or the pictures' size: those are their projects' unless said.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from ..classifier import ClassifierModelConfig
from ..config import ModelConfig, Sampling
from ..errors import InputError
from ..nn.architecture import UNetConfig
from ..nn.classifier import Classifier, ClassifierConfig
from ..pictures import Pictures
from ..schedule import Cosine, LinearBeta, VariancePreserving
from .foreign import PREDICTIONS, Converted, Said, mode_of, names_of, weights_of
from .guided_names import DRAWS, POOLS, POSITIONS, decoder, encoder, names, turned
from .tables import fitted

# What the READMEs of both projects say of published models whose shape alone would mislead: the widths of the levels,
# the blocks of a level, the levels of attention counted from 0, and how levels change resolution.
Shape = tuple[tuple[int, ...], int, tuple[int, ...], str]
PUBLISHED: dict[Shape, Said] = {
    ((192, 384, 576, 768), 3, (1, 2, 3), "block"): Said(attention_order="new"),  # 64x64_diffusion
    ((256, 256, 512, 768, 1024), 2, (2, 3, 4), "block"): Said(heads=4),  # 128x128_diffusion
    ((192, 192, 384, 384, 768, 768), 2, (3, 4, 5), "block"): Said(heads=4),  # 64_256_upsampler
    ((192, 384, 576, 768), 3, (2, 3), "conv"): Said(rescale=False),  # imagenet64_cond_270M
    ((192, 192, 384, 384, 768, 768), 2, (4, 5), "conv"): Said(
        schedule="linear", chain=4000, rescale=False
    ),  # upsample_cond
    ((128, 128, 256, 256, 512, 512), 2, (4,), "conv"): Said(heads=1, chain=1000),  # lsun_uncond
}


def knows(names: Mapping[str, object]) -> bool:
    """Whether these are names of one of the two projects."""
    return {"time_embed.0.weight", "input_blocks.0.0.weight", "middle_block.0.in_layers.0.weight"} <= names.keys()


def read(data: Mapping[str, object], path: Path, said: Said) -> Converted:
    """A checkpoint that both projects call model, ema or classifier."""
    theirs = weights_of(data, path)
    seen = Seen(theirs, path)
    if any(name.startswith("output_blocks.") for name in theirs):
        return _drawing(seen, said)
    return _classifying(seen, said)


# ── what names and shapes tell ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Seen:
    """The tensors, asked for what they tell."""

    theirs: Mapping[str, Tensor]
    path: Path

    def has(self, name: str) -> bool:
        return name in self.theirs

    def shape(self, name: str) -> tuple[int, ...]:
        if name not in self.theirs:
            raise InputError(f"{self.path} lacks the tensor {name}, which a guided-diffusion network has")
        return tuple(self.theirs[name].shape)

    def count(self, part: str) -> int:
        """How many numbered blocks a part has."""
        found = [re.match(rf"{part}\.(\d+)\.", name) for name in self.theirs]
        return 1 + max((int(m[1]) for m in found if m), default=-1)

    def width(self, k: int) -> int:
        """The channels that block k of the way down answers."""
        return self.shape(f"input_blocks.{k}.0.out_layers.3.weight")[0]

    def attends(self, k: int) -> bool:
        return self.has(f"input_blocks.{k}.1.qkv.weight")

    def resizes_by(self) -> str:
        return "conv" if any(name.endswith(".0.op.weight") for name in self.theirs) else "block"

    def levels_and_blocks(self) -> tuple[int, int]:
        """Of the numbered blocks every level has its own and one more: the first convolution, or what shrinks to it."""
        count = self.count("input_blocks")
        ways = [(n, count // n - 1) for n in range(1, count // 2 + 1) if count % n == 0]
        fitting = [way for way in ways if self._fits(*way)]
        if not fitting:
            raise InputError(f"{self.path}: its {count} input_blocks are of no network of guided-diffusion's")
        return min(fitting, key=lambda way: abs(way[1] - 2))  # two blocks a level are usual

    def _fits(self, levels: int, blocks: int) -> bool:
        """Whether each shrinking block is where it would be, and each level of one width and kind."""
        shrinking = [i * (blocks + 1) for i in range(1, levels)]
        plain = [k for k in range(1, levels * (blocks + 1)) if k not in shrinking]
        if any(self.has(f"input_blocks.{k}.0.op.weight") for k in plain) or any(map(self.attends, shrinking)):
            return False
        if self.count("output_blocks") not in (0, levels * (blocks + 1)):
            return False
        if self.resizes_by() == "conv" and levels > 1:
            return all(self.has(f"input_blocks.{k}.0.op.weight") for k in shrinking)
        groups = [plain[i * blocks : (i + 1) * blocks] for i in range(levels)]
        same = all(len({(self.width(k), self.attends(k)) for k in group}) == 1 for group in groups)
        kept = all(self.width(k) == self.width(k - 1) for k in shrinking)
        grown = [self.has(f"output_blocks.{k}.{1 + self.has(f'output_blocks.{k}.1.qkv.weight')}.in_layers.2.weight")
                 for k in range(self.count("output_blocks"))]  # fmt: skip
        return same and kept and all(g == ((k + 1) % (blocks + 1) == 0 and k + 1 < len(grown))
                                     for k, g in enumerate(grown))  # fmt: skip


def network(seen: Seen) -> UNetConfig:
    """All of the network but its heads."""
    levels, blocks = seen.levels_and_blocks()
    firsts = [i * (blocks + 1) + 1 for i in range(levels)]
    width = seen.width(1)
    return UNetConfig(
        in_channels=seen.shape("input_blocks.0.0.weight")[1],
        out_channels=seen.shape("out.2.weight")[0] if seen.count("output_blocks") else 3,
        channels=tuple(seen.width(k) for k in firsts),
        blocks=blocks,
        attention=tuple(seen.attends(k) for k in firsts),
        classes=seen.shape("label_emb.weight")[0] if seen.has("label_emb.weight") else 0,
        null_class=False,
        modulation="scale_shift" if seen.shape("input_blocks.1.0.emb_layers.1.weight")[0] == 2 * width else "shift",
        resample=seen.resizes_by() if levels > 1 else "conv",  # type: ignore[arg-type]
        time_channels=seen.shape("time_embed.0.weight")[1],
    )


# ── what they don't tell ──────────────────────────────────────────────────────────────────────────────────────────


def with_heads(net: UNetConfig, said: Said) -> tuple[UNetConfig, tuple[str, ...]]:
    """The heads that were said; else 64 channels each, as guided-diffusion has them, or 4, as improved-diffusion."""
    if said.heads is not None or said.head_channels is not None:
        return replace(net, heads=said.heads, head_channels=said.head_channels), ()
    widths = {c for c, a in zip(net.channels, net.attention, strict=True) if a} | {net.channels[-1]}
    if net.resample == "block" and all(width % 64 == 0 for width in widths):
        return replace(net, head_channels=64), ("attention heads of 64 channels (--heads, --head-channels)",)
    heads = 4 if all(width % 4 == 0 for width in widths) else 1
    return replace(net, heads=heads), (f"{heads} attention heads (--heads, --head-channels)",)


def chain_of(net: UNetConfig, said: Said, learned: bool) -> tuple[VariancePreserving, tuple[str, ...]]:
    """Cosine where a variance was learned on 64 pixels or fewer, in 4000 steps by improved-diffusion; else linear."""
    guided = net.resample == "block"
    kind = said.schedule or ("cosine" if learned and len(net.channels) <= 4 else "linear")
    steps = said.chain or (4000 if kind == "cosine" and not guided else 1000)
    assumed = [("--schedule", said.schedule, f"a {kind} schedule"), ("--chain", said.chain, f"{steps} steps")]
    notes = tuple(f"{what} ({flag})" for flag, value, what in assumed if value is None)
    rescaled = said.rescale if said.rescale is not None else not guided
    shown = 1000 if rescaled and steps != 1000 else None
    if kind == "cosine":
        return Cosine(steps, shown=shown), notes
    scale = 1000 / steps  # so that a chain of any length ends in the same noise
    return LinearBeta(steps, 1e-4 * scale, 0.02 * scale, shown=shown), notes


def side_of(net: UNetConfig) -> int:
    """The pictures' size for which their projects use so many levels."""
    side = 8 * net.multiple
    return side // 2 if len(set(net.channels[1:])) == 1 and len(net.channels) == 4 else side  # CIFAR's (1, 2, 2, 2)


def published(net: UNetConfig) -> Said:
    """What is known of a published network of this shape; nothing of any other."""
    levels = tuple(i for i, attends in enumerate(net.attention) if attends)
    return PUBLISHED.get((net.channels, net.blocks, levels, net.resample), Said())


def _said(assumed: tuple[str, ...]) -> tuple[str, ...]:
    return (f"the weights don't say, so assumed: {', '.join(assumed)}",) if assumed else ()


# ── the models ────────────────────────────────────────────────────────────────────────────────────────────────────


def _legacy(said: Said) -> tuple[bool, tuple[str, ...]]:
    order = said.attention_order or "legacy"
    return order == "legacy", () if said.attention_order else ("the legacy attention order (--attention-order)",)


def _drawing(seen: Seen, said: Said) -> Converted:
    """A network that predicts; with twice the picture's channels coming in, an upsampler."""
    bare = network(seen)
    ins, outs = bare.in_channels, bare.out_channels
    upsampler = outs * 2 == ins or (outs == ins and ins == 6)
    channels = ins // 2 if upsampler else ins
    if outs not in (channels, 2 * channels):
        raise InputError(
            f"{seen.path} takes {ins} channels and answers {outs}: neither a picture nor one with variance"
        )
    learned = outs == 2 * channels
    said = said.over(published(bare))
    net, heads = with_heads(bare, said)
    chain, noise = chain_of(net, said, learned)
    legacy, order = _legacy(said)
    height, width = said.size or (side_of(net), side_of(net))
    size = () if said.size else (f"pictures of {width}×{height} (--size)",)
    predicts = () if said.predicts else ("it predicts ε (--predicts)",)
    family = "guided-diffusion" if net.resample == "block" else "improved-diffusion"
    where = f"a network of {family} with {_told(net)}"
    table = names([*encoder(net), *decoder(net)], DRAWS)
    tensors = fitted(seen.theirs, table.__getitem__, net.build, where, lambda n, t: turned(net, legacy, n, t))
    pictures = Pictures(mode_of(channels, seen.path), height, width, names_of(net.classes))
    sampling = Sampling("ddpm-learned" if learned else "ddpm", "strided", 250)
    config = ModelConfig(net, chain, PREDICTIONS[said.predicts or "epsilon"], pictures, sampling)
    notes = _said(heads + order + noise + predicts + size)
    if upsampler:
        notes += (f"an upsampler: it takes the small picture, resized to {width}×{height}, as the condition's image",)
    return Converted(f"{family}'s {'upsampler' if upsampler else 'U-Net'}", config, tensors, notes)


def _classifying(seen: Seen, said: Said) -> Converted:
    """A noisy classifier."""
    said.only(
        f"{seen.path}, a noisy classifier", "heads", "head_channels", "attention_order", "schedule", "chain", "size"
    )
    if not seen.has(POSITIONS) and not seen.has("out.3.weight"):
        raise InputError(f"{seen.path} pools in a way that has no like here: attention and adaptive are known")
    net, heads = with_heads(network(seen), said)
    legacy, order = _legacy(said)
    chain, noise = chain_of(net, said, learned=True)
    pooling = "attention" if seen.has(POSITIONS) else "average"
    classes = seen.shape("out.2.c_proj.weight" if pooling == "attention" else "out.3.weight")[0]
    if pooling == "attention":  # a position for each pixel of the last level, and one for their mean
        side = round((seen.shape(POSITIONS)[1] - 1) ** 0.5) * net.multiple
    else:
        side = said.size[0] if said.size else side_of(net)
    cfg = ClassifierConfig(encoder=net, classes=classes, pool=pooling, side=side)  # type: ignore[arg-type]
    where = f"a noisy classifier with {_told(net)}"
    table = names(encoder(net), POOLS[pooling]) | {"pool.positions": (POSITIONS,)}
    tensors = fitted(
        seen.theirs, table.__getitem__, lambda: Classifier(cfg), where, lambda n, t: turned(net, legacy, n, t)
    )
    pictures = Pictures(mode_of(net.in_channels, seen.path), side, side, names_of(classes))
    config = ClassifierModelConfig(cfg, chain, pictures)
    return Converted("guided-diffusion's noisy classifier", config, tensors, _said(heads + order + noise))


def _told(net: UNetConfig) -> str:
    attends = [str(2**i) for i, a in enumerate(net.attention) if a]
    return f"channels {net.channels}, {net.blocks} blocks a level and attention at 1/{', 1/'.join(attends) or '-'}"
