"""Networks with text: cross-attention as in the formula, null texts, padding, and networks that refuse text."""

import pytest
import torch

from noisette.diffusion.condition import Condition
from noisette.errors import InputError
from noisette.nn import UNet, UNetConfig
from noisette.nn.context_unet import ContextUNetConfig
from noisette.nn.cross_attention import CrossAttention, TokenEmbedding
from noisette.nn.dit import DiTConfig
from noisette.nn.linear_attention import LinearAttentionUNetConfig

CFG = UNetConfig(
    channels=(16, 16), blocks=1, attention=(False, True), groups=4, time_channels=8, tokens=12, heads=2, classes=3
)


@pytest.fixture
def net() -> UNet:
    torch.manual_seed(0)
    net = UNet(CFG).eval().requires_grad_(False)
    for parameter in net.parameters():  # what starts at 0 would hide what is behind it
        torch.nn.init.normal_(parameter, std=0.2)
    return net


def tokens(*lengths: int, rows: int = 5) -> torch.Tensor:
    """Texts of so many rows."""
    found = torch.randn(len(lengths), rows, 12)
    for text, length in zip(found, lengths, strict=True):
        text[length:] = torch.nan
    return found


def evaluate(net: UNet, caption: torch.Tensor | None, x: torch.Tensor) -> torch.Tensor:
    return net(x, torch.full((len(x),), 0.3), None if caption is None else Condition(tokens=caption))


def test_cross_attention_is_the_formula() -> None:
    torch.manual_seed(0)
    layer, words = CrossAttention(CFG, 16).double(), TokenEmbedding(CFG).double()
    x, caption = torch.randn(2, 16, 3, 4).double(), words(tokens(5, 3).double(), 2)
    with torch.no_grad():
        found = layer(x, caption)
        pixels = torch.nn.functional.group_norm(x, 4, layer.norm.weight, layer.norm.bias, CFG.eps)
        q, (k, v) = layer.q(pixels.flatten(2).mT), layer.kv(caption.features).chunk(2, dim=2)
        right = torch.zeros(2, 12, 16).double()
        for i, length in enumerate((5, 3)):
            for head in (slice(0, 8), slice(8, 16)):
                weights = (q[i, :, head] @ k[i, :length, head].T / 8**0.5).softmax(1)
                right[i, :, head] = weights @ v[i, :length, head]
        right = x + layer.out(right).mT.reshape(2, 16, 3, 4)
    torch.testing.assert_close(found, right)


def test_every_word_counts_and_padding_does_not(net: UNet) -> None:
    x = torch.randn(1, 3, 8, 8)
    caption = tokens(3)
    torch.testing.assert_close(evaluate(net, caption, x), evaluate(net, caption[:, :3], x), rtol=1e-5, atol=1e-6)
    for row in range(3):
        other = caption.clone()
        other[0, row] = torch.randn(12)
        assert not torch.allclose(evaluate(net, caption, x), evaluate(net, other, x), atol=1e-4), row


def test_all_forms_of_the_null_text_are_equal(net: UNet) -> None:
    x, caption = torch.randn(2, 3, 8, 8), tokens(5, 2)
    null = evaluate(net, None, x)
    torch.testing.assert_close(evaluate(net, tokens(0, 0), x), null)
    dropped = Condition(tokens=caption).drop(torch.tensor([True, False])).tokens
    mixed = evaluate(net, dropped, x)
    torch.testing.assert_close(mixed[:1], null[:1])
    torch.testing.assert_close(mixed[1:], evaluate(net, caption[1:], x[1:]))
    assert not torch.allclose(mixed[1:], null[1:], atol=1e-3)


def test_the_null_embedding_is_trained() -> None:
    net = UNet(CFG)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    evaluate(net, tokens(0, 3), torch.randn(2, 3, 8, 8)).square().mean().backward()
    assert net.words is not None and net.embed.text is not None
    for parameter in (*net.words.parameters(), *net.embed.text.parameters()):
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.abs().sum() > 0


def test_fields_of_a_condition_are_dropped_separately() -> None:
    cond = Condition(label=torch.tensor([1, 2]), tokens=tokens(2, 2), image=torch.zeros(2, 1, 8, 8))
    assert cond.droppable_fields == ("label", "tokens")
    some = cond.drop(torch.tensor([True, False]), "tokens")
    assert some.label is not None and some.tokens is not None and some.image is cond.image
    assert some.label.tolist() == [1, 2] and some.tokens[0].isnan().all() and not some.tokens[1].isnan().all()
    every = cond.drop(torch.tensor([True, False]))
    assert every.label is not None and every.label.tolist() == [-1, 2] and every.image is cond.image


def test_networks_without_text_refuse_it() -> None:
    for kind in (DiTConfig, ContextUNetConfig, LinearAttentionUNetConfig):
        with pytest.raises(InputError, match="this kind of network reads no text"):
            kind(tokens=12)
    with pytest.raises(InputError, match="a tokens was given, but this network was built to take none"):
        UNet(UNetConfig(channels=(8,), attention=(False,), groups=4))(
            torch.zeros(1, 3, 8, 8), torch.zeros(1), Condition(tokens=tokens(2))
        )
