"""The transformer: against diffusers' on the same weights, what it starts from, what it takes."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers import DiTTransformer2DModel
from torch import Tensor, nn

from noisette.diffusion.condition import Condition
from noisette.errors import InputError
from noisette.nn.dit import DiT, DiTConfig

TINY = DiTConfig(width=16, depth=2, heads=2, time_channels=8)
T = torch.tensor([3.0, 700.0])


def net(**changes: Any) -> DiT:
    """A network whose answer depends on everything."""
    model = DiT(replace(TINY, **changes)).eval()
    for p in model.parameters():
        nn.init.normal_(p, std=0.2)
    return model


def converted(theirs: DiTTransformer2DModel, cfg: DiTConfig) -> dict[str, Tensor]:
    """Their weights as ours. They embed time and label in every block; here once, so theirs are made equal."""
    state = theirs.state_dict()

    def turned(name: str, parts: int) -> Tensor:
        """Shift before scale there, scale before shift here."""
        chunks = list(state[name].chunk(parts))
        for i in range(0, parts - 1, 3):
            chunks[i], chunks[i + 1] = chunks[i + 1], chunks[i]
        return torch.cat(chunks)

    ours = {"patches.weight": state["pos_embed.proj.weight"], "patches.bias": state["pos_embed.proj.bias"]}
    first = "transformer_blocks.0.norm1.emb"
    ours["embed.classes.weight"] = state[f"{first}.class_embedder.embedding_table.weight"]
    for leaf in ("weight", "bias"):
        for i, j in ((1, 0), (2, 2)):
            ours[f"embed.time.mlp.{j}.{leaf}"] = state[f"{first}.timestep_embedder.linear_{i}.{leaf}"]
        for i in range(cfg.depth):
            a, b = f"transformer_blocks.{i}", f"blocks.{i}"
            ours[f"{b}.modulation.{leaf}"] = turned(f"{a}.norm1.linear.{leaf}", 6)
            ours[f"{b}.qkv.{leaf}"] = torch.cat([state[f"{a}.attn1.to_{x}.{leaf}"] for x in "qkv"])
            ours[f"{b}.out.{leaf}"] = state[f"{a}.attn1.to_out.0.{leaf}"]
            ours[f"{b}.mlp.0.{leaf}"] = state[f"{a}.ff.net.0.proj.{leaf}"]
            ours[f"{b}.mlp.3.{leaf}"] = state[f"{a}.ff.net.2.{leaf}"]
        ours[f"modulation.{leaf}"] = turned(f"proj_out_1.{leaf}", 2)
        last = state[f"proj_out_2.{leaf}"].unflatten(0, (cfg.patch**2, cfg.out_channels))
        ours[f"out.{leaf}"] = last.transpose(0, 1).flatten(0, 1)  # (p, q, c) there, (c, p, q) here
    return ours


def test_diffusers() -> None:
    """They embed time in 256 channels, and its width is theirs: ours is of the width at which the two agree."""
    theirs = DiTTransformer2DModel(
        num_attention_heads=16, attention_head_dim=64, in_channels=3, out_channels=3, num_layers=2, sample_size=8,
        num_embeds_ada_norm=5, norm_elementwise_affine=False,
    ).eval()  # fmt: skip
    for p in theirs.parameters():
        nn.init.normal_(p, std=0.02)
    blocks = theirs.transformer_blocks
    blocks[1].norm1.emb.load_state_dict(blocks[0].norm1.emb.state_dict())
    cfg = DiTConfig(width=1024, depth=2, heads=16, time_channels=256, freq_shift=1, classes=5)
    ours = DiT(cfg).eval()
    ours.load_state_dict(converted(theirs, cfg))
    x, label = torch.randn(2, 3, 8, 8), torch.tensor([1, 4])
    with torch.no_grad():
        expected = theirs(x, T.long(), label).sample
        torch.testing.assert_close(ours(x, T, Condition(label=label)), expected, rtol=1e-4, atol=1e-4)


def test_an_untrained_one_answers_zero_and_its_blocks_change_nothing() -> None:
    model = DiT(TINY)
    assert model(torch.randn(2, 3, 8, 8), T).abs().max() == 0
    tokens = torch.randn(2, 4, 16)
    for block in model.blocks:
        assert block(tokens, torch.randn(2, 32)).equal(tokens)


@pytest.mark.parametrize("size", [(8, 8), (9, 14)])
def test_any_size_and_every_pixel_counts(size: tuple[int, int]) -> None:
    model, x = net(), torch.randn(2, 3, *size, requires_grad=True)
    y = model(x, T)
    assert y.shape == x.shape and y.is_contiguous()
    y[:, :, 0, 0].sum().backward()
    assert x.grad is not None and (x.grad != 0).all()


def test_conditions_and_their_nulls() -> None:
    model, x = net(classes=3, vector=2), torch.randn(2, 3, 8, 8)
    cond = Condition(label=torch.tensor([0, 1]), vector=torch.randn(2, 2))
    y = model(x, T, cond)
    assert not y.allclose(model(x, T, replace(cond, label=torch.tensor([1, 1]))))
    torch.testing.assert_close(model(x, T, cond.null()), model(x, T))
    half = model(x, T, cond.drop(torch.tensor([True, False])))
    torch.testing.assert_close(half, torch.stack([model(x, T)[0], y[1]]), rtol=1e-4, atol=1e-4)
    with pytest.raises(InputError, match="tokens"):
        model(x, T, Condition(tokens=torch.zeros(2, 1, 1)))


def test_dropout_is_for_training_alone() -> None:
    model, x = net(dropout=0.5), torch.randn(2, 3, 8, 8)
    assert model(x, T).equal(model(x, T))
    model.train()
    assert not model(x, T).equal(model(x, T))


@pytest.mark.parametrize(("change", "words"), [
    ({"heads": 3}, "heads is 3"), ({"width": 18}, "width is 18"), ({"depth": 0}, "depth is 0"),
    ({"patch": 0}, "patch is 0"),
])  # fmt: skip
def test_wrong_configurations(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        replace(TINY, **change)
