"""denoising-diffusion-pytorch's checkpoints: its trainer's {"step", "model", "ema", …}, of which the average is taken.

Its diffusion keeps its tables as tensors beside the weights, so the noise schedule and what the network predicts can be
read off: the weight of its loss is 1 for ε, ᾱ for v and ᾱ / (1 − ᾱ) for x0, wherever min-SNR does not clip it.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from ..config import ModelConfig, Sampling
from ..errors import InputError
from ..nn.linear_attention import LinearAttentionUNetConfig
from ..pictures import Pictures
from ..schedule import Cosine, GammaSigmoid, GivenBetas, LinearBeta, VariancePreserving
from .foreign import PREDICTIONS, Converted, Prediction, Said, in_float32, mode_of, weights_of
from .tables import fitted

RENAMES: tuple[tuple[str, str], ...] = (  # ours → theirs
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


def knows(data: Mapping[str, Any]) -> bool:
    """Whether this is what its trainer saves, or the state dict of its diffusion."""
    inner = data.get("model")
    names = inner.keys() if isinstance(inner, Mapping) else data.keys()
    return {"betas", "model.init_conv.weight"} <= set(names)


def read(data: Mapping[str, Any], path: Path, said: Said) -> Converted:
    """A trainer's checkpoint, or the state dict of a GaussianDiffusion."""
    said.only(f"{path}, a checkpoint of denoising-diffusion-pytorch", "size")
    state, notes = _average(data)
    floats, changed = in_float32(state)
    theirs = weights_of(floats, path)
    weights = {k.removeprefix("model."): v for k, v in theirs.items() if k.startswith("model.")}
    net = architecture(weights, path)
    if net.in_channels == 2 * net.out_channels:  # stacked under nothing, as in the first step of every walk
        weights["init_conv.weight"] = weights["init_conv.weight"][:, net.out_channels :]
        net = replace(net, in_channels=net.out_channels)
        notes += ("self-conditioning is left out: the network sees no earlier estimate of the picture",)
    height, width = said.size or (16 * net.multiple, 16 * net.multiple)
    if said.size is None:
        notes += (f"the weights don't say, so assumed: pictures of {width}×{height} (--size)",)
    tensors = fitted(weights, name_of, net.build, "denoising-diffusion-pytorch's U-Net")
    chain = chain_of(theirs["betas"])
    config = ModelConfig(
        net=net,
        schedule=chain,
        parametrization=PREDICTIONS[prediction_of(theirs, path)],
        pictures=Pictures(mode_of(net.out_channels, path), height, width),
        sampling=Sampling("ddim", "trailing", min(50, chain.steps)),
    )
    return Converted("denoising-diffusion-pytorch's U-Net", config, tensors, changed + notes)


def _average(data: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The averaged weights where there are any."""
    ema, inner = data.get("ema"), data.get("model")
    if isinstance(ema, Mapping) and any(str(k).startswith("ema_model.") for k in ema):
        mine = {str(k).removeprefix("ema_model."): v for k, v in ema.items() if str(k).startswith("ema_model.")}
        return mine, ("the averaged weights (ema) are taken",)
    return dict(inner if isinstance(inner, Mapping) else data), ("the last weights are taken: there is no average",)


def name_of(ours: str) -> tuple[str]:
    """Their name of one of our tensors."""
    for pattern, to in RENAMES:
        ours = re.sub(pattern, to, ours)
    return (ours,)


def architecture(theirs: Mapping[str, Tensor], path: Path) -> LinearAttentionUNetConfig:
    """The network, from the shapes of its tensors."""
    if "time_mlp.0.weights" in theirs:
        raise InputError(f"{path} embeds time in learned or random frequencies, which no network here does")

    def shape(name: str) -> tuple[int, ...]:
        if name not in theirs:
            raise InputError(f"{path} lacks the tensor {name}, which its network has today: save it with 2.0 or newer")
        return tuple(theirs[name].shape)

    levels = 1 + max((int(m[1]) for k in theirs if (m := re.match(r"downs\.(\d+)\.", k))), default=-1)
    full = tuple(f"downs.{i}.2.to_out.weight" in theirs for i in range(levels))
    memory = [shape(f"downs.{i}.2.mem_kv") for i in range(levels)]  # heads, then channels and places in either order
    ends = [f"downs.{i}.3{'' if i == levels - 1 else '.1'}.weight" for i in range(levels)]
    return LinearAttentionUNetConfig(
        in_channels=shape("init_conv.weight")[1],
        out_channels=shape("final_conv.weight")[0],
        stem=shape("init_conv.weight")[0],
        channels=tuple(shape(end)[0] for end in ends),
        full=full,
        heads=tuple(m[1] for m in memory),
        head_channels=tuple(m[3] if f else m[2] for m, f in zip(memory, full, strict=True)),
        memory=memory[0][2] if full[0] else memory[0][3],
        time_channels=shape("time_mlp.1.weight")[1],
        time_order="sin_cos",
        freq_shift=1,
    )


def chain_of(betas: Tensor) -> VariancePreserving:
    """The formula that gives these numbers, or the numbers."""
    steps, given = len(betas), betas.double()
    scale = 1000 / steps
    for chain in (LinearBeta(steps, scale * 1e-4, scale * 0.02), Cosine(steps), GammaSigmoid(steps, max_beta=0.999)):
        if (1 - chain.betas()).cumprod(0).allclose((1 - given).cumprod(0), rtol=1e-3, atol=1e-8):
            return chain
    return GivenBetas(steps, tuple(given.clamp(min=1e-12).tolist()))


def prediction_of(tables: Mapping[str, Tensor], path: Path) -> Prediction:
    """What the network answers, by the weight of its loss where the SNR is near a half."""
    if "loss_weight" not in tables:
        raise InputError(f"{path} lacks the tensor loss_weight, which tells what the network predicts")
    signal = tables["alphas_cumprod"].double()
    snr = signal / (1 - signal)
    k = int((snr - 0.5).abs().argmin())
    weight, expected = tables["loss_weight"][k].item(), {"epsilon": 1.0, "v": signal[k].item(), "x0": snr[k].item()}
    found: Prediction = min(PREDICTIONS, key=lambda name: abs(weight - expected[name]))
    if abs(weight - expected[found]) > 0.02:
        raise InputError(f"{path}: loss_weight is that of no prediction known here")
    return found
