"""The sprites course's network, written down anew from its names and shapes: the converted one answers the same."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from noisette.diffusion.condition import Condition
from noisette.diffusion.sampler import DDPM, sample
from noisette.errors import InputError
from noisette.interop.base import ConversionOverrides
from noisette.interop.context_unet import LABELS, make_schedule
from noisette.interop.convert import build_model, convert_source
from noisette.models.picture_model import PictureModel

State = dict[str, Tensor]
N = 8  # features


def course(classes: int = 5, side: int = 16, channels: int = 3) -> State:
    """A checkpoint with random weights and running statistics."""
    g, state = torch.Generator().manual_seed(3), State()

    def add(name: str, *shape: int) -> None:
        state[name] = torch.randn(shape, generator=g) * 0.2

    def conv(name: str, ins: int, outs: int, size: int = 3) -> None:
        add(f"{name}.weight", outs, ins, size, size)
        add(f"{name}.bias", outs)

    def block(name: str, ins: int, outs: int) -> None:
        for i, width in ((1, ins), (2, outs)):
            conv(f"{name}.conv{i}.0", width, outs)
            for leaf in ("weight", "bias", "running_mean"):
                add(f"{name}.conv{i}.1.{leaf}", outs)
            state[f"{name}.conv{i}.1.running_var"] = torch.rand(outs, generator=g) + 0.5
            state[f"{name}.conv{i}.1.num_batches_tracked"] = torch.tensor(7)

    def up(name: str, ins: int, outs: int, size: int) -> None:
        add(f"{name}.weight", ins, outs, size, size)
        add(f"{name}.bias", outs)

    block("init_conv", channels, N)
    for name, ins, outs in (("down1", N, N), ("down2", N, 2 * N)):
        block(f"{name}.model.0", ins, outs)
        block(f"{name}.model.1", outs, outs)
    for name, ins in (("timeembed", 1), ("contextembed", classes)):
        for i, outs in ((1, 2 * N), (2, N)):
            for j, width in ((0, ins), (2, outs)):
                add(f"{name}{i}.model.{j}.weight", outs, width)
                add(f"{name}{i}.model.{j}.bias", outs)
    up("up0.0", 2 * N, 2 * N, side // 4)
    for name, ins in (("up1", 4 * N), ("up2", 2 * N)):
        up(f"{name}.model.0", ins, N, 2)
        block(f"{name}.model.1", N, N)
        block(f"{name}.model.2", N, N)
    conv("out.0", 2 * N, N)
    conv("out.3", N, channels)
    for name, width in (("up0.1", 2 * N), ("out.1", N)):
        add(f"{name}.weight", width)
        add(f"{name}.bias", width)
    return state


def answer(p: State, x: Tensor, time: Tensor, context: Tensor) -> Tensor:
    """The course's forward pass in evaluation, its random way around at its mean."""

    def conv(name: str, x: Tensor) -> Tensor:
        return F.conv2d(x, p[f"{name}.weight"], p[f"{name}.bias"], padding=1)

    def block(name: str, x: Tensor) -> Tensor:
        for i in (1, 2):
            n = f"{name}.conv{i}.1"
            x = conv(f"{name}.conv{i}.0", x)
            x = F.batch_norm(x, p[f"{n}.running_mean"], p[f"{n}.running_var"], p[f"{n}.weight"], p[f"{n}.bias"])
            x = F.gelu(x)
        return x

    def embed(name: str, v: Tensor) -> Tensor:
        h = F.gelu(F.linear(v, p[f"{name}.model.0.weight"], p[f"{name}.model.0.bias"]))
        return F.linear(h, p[f"{name}.model.2.weight"], p[f"{name}.model.2.bias"])[:, :, None, None]

    def up(name: str, x: Tensor, beside: Tensor) -> Tensor:
        h = F.conv_transpose2d(torch.cat((x, beside), 1), p[f"{name}.model.0.weight"], p[f"{name}.model.0.bias"], 2)
        return block(f"{name}.model.2", block(f"{name}.model.1", h))

    def group(name: str, x: Tensor) -> Tensor:
        return F.relu(F.group_norm(x, 8, p[f"{name}.weight"], p[f"{name}.bias"]))

    x = block("init_conv", x) / 1.414
    down1 = F.max_pool2d(block("down1.model.1", block("down1.model.0", x)), 2)
    down2 = F.max_pool2d(block("down2.model.1", block("down2.model.0", down1)), 2)
    vector = F.gelu(F.avg_pool2d(down2, down2.shape[2]))
    h = group("up0.1", F.conv_transpose2d(vector, p["up0.0.weight"], p["up0.0.bias"], down2.shape[2]))
    h = up("up1", embed("contextembed1", context) * h + embed("timeembed1", time), down2)
    h = up("up2", embed("contextembed2", context) * h + embed("timeembed2", time), down1)
    return conv("out.3", group("out.1", conv("out.0", torch.cat((h, x), 1))))


def ours_of(state: State, folder: Path, **overrides: Any) -> tuple[PictureModel, tuple[str, ...]]:
    path = folder / "context_model_31.pth"
    torch.save(state, path)
    found = convert_source(path, ConversionOverrides(**overrides))
    model = build_model(found)
    assert isinstance(model, PictureModel)
    return model, found.notes


@pytest.mark.parametrize("kw", [{}, {"classes": 3, "channels": 1}, {"side": 24}], ids=str)
def test_the_same_answer(kw: dict[str, Any], tmp_path: Path) -> None:
    state = course(**kw)
    ours, notes = ours_of(state, tmp_path)
    x, label = torch.randn(2, *ours.pictures.shape), torch.tensor([2, -1])
    context = F.one_hot(label + 1, 1 + ours.config.net.classes)[:, 1:].float()
    expected = answer(state, x, torch.tensor([[0.1], [0.9]]), context)
    with torch.no_grad():
        seen = ours(x, torch.tensor([0.1, 0.9], dtype=torch.float64), Condition(label=label))
    torch.testing.assert_close(seen, expected, rtol=1e-4, atol=1e-4)
    assert ours.pictures.labels == (LABELS if not kw.get("classes") else ("0", "1", "2"))
    assert "500 diffusion steps (--train-timesteps)" in notes[0] and "random in every forward pass" in notes[1]


def test_a_shortcut_that_is_a_trained_layer(tmp_path: Path) -> None:
    """As in notebooks whose owners have mended it."""
    state = course()
    state |= {"init_conv.shortcut.weight": torch.randn(N, 3, 1, 1), "init_conv.shortcut.bias": torch.randn(N)}
    ours, notes = ours_of(state, tmp_path, train_timesteps=500)
    assert notes == () and ours.net.state_dict()["conv_in.skip.weight"].equal(state["init_conv.shortcut.weight"])


def test_its_chain_and_its_ddpm_steps(tmp_path: Path) -> None:
    """The table that its notebooks build, and steps 11 to 2 of its DDPM."""
    state = course()
    ours, _ = ours_of(state, tmp_path)
    b = torch.linspace(0, 1, 501, dtype=torch.float64) * (0.02 - 1e-4) + 1e-4
    a, ab = 1 - b, (1 - b).log().cumsum(0).exp()
    ab[0] = 1
    torch.testing.assert_close(make_schedule(500).angles.cos().square(), ab)

    g = torch.Generator().manual_seed(5)
    x = start = torch.randn(2, 3, 16, 16, generator=g)
    noises = [torch.randn(2, 3, 16, 16, generator=g) for _ in range(10)]
    context = F.one_hot(torch.tensor([1, 4]), 5).float()
    for i, k in enumerate(range(11, 1, -1)):
        eps = answer(state, x.float(), torch.full((2, 1), k / 500), context)
        mean = (x - eps * ((1 - a[k]) / (1 - ab[k]).sqrt())) / a[k].sqrt()
        x = mean + b[k].sqrt() * noises[i]
    later = iter(noises)
    seen = sample(
        ours.given(Condition(label=torch.tensor([1, 4]))), DDPM(AsTheirs(b)),
        torch.arange(11, 0, -1, dtype=torch.float64) / 500, start, lambda like: next(later),
    )  # fmt: skip
    torch.testing.assert_close(seen, x.float(), rtol=1e-4, atol=1e-4)


class AsTheirs:
    """Their σ_t: √β_t."""

    def __init__(self, betas: Tensor) -> None:
        self.betas = betas

    def __call__(self, schedule: Any, pred: Any, x: Tensor, t: Tensor, s: Tensor) -> Tensor:
        return self.betas[round(t.item() * 500)].sqrt()


def test_what_differs_is_named(tmp_path: Path) -> None:
    state = course()
    del state["up1.model.2.conv2.1.running_var"]
    with pytest.raises(InputError, match=r"up1\.model\.2\.conv2\.1\.running_var"):
        ours_of(state, tmp_path)
    with pytest.raises(InputError, match=r"has no tensor down3\.weight"):
        ours_of(course() | {"down3.weight": torch.zeros(1)}, tmp_path)
    with pytest.raises(InputError, match="--heads has no effect"):
        ours_of(course(), tmp_path, heads=2)
