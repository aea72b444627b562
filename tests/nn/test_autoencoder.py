"""The autoencoder's network and its losses."""

import math

import pytest
import torch

from noisette.errors import InputError
from noisette.nn.autoencoder import (
    Autoencoder,
    AutoencoderConfig,
    count_parameters,
    gradient_difference,
    kl_divergence,
    sample_latents,
)


def make(**changes) -> Autoencoder:
    torch.manual_seed(0)
    net = Autoencoder(AutoencoderConfig(**({"widths": (16, 16), "blocks": 1} | changes)))
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return net.eval().requires_grad_(False)


@pytest.mark.parametrize(("factor", "widths"), [(2, (16,)), (4, (16, 16)), (8, (16, 16, 16))])
@pytest.mark.parametrize("channels", [1, 4])
def test_shapes(factor, widths, channels) -> None:
    net = make(factor=factor, widths=widths, channels=channels, latent_channels=3)
    mean, log_variance = net.encode(torch.rand(2, channels, 16, 24))
    assert mean.shape == log_variance.shape == (2, 3, 16 // factor, 24 // factor)
    assert net.decode(mean).shape == (2, channels, 16, 24)


def test_a_deterministic_one_has_no_variance() -> None:
    net = make(variational=False)
    mean, log_variance = net.encode(torch.rand(1, 4, 8, 8))
    assert log_variance is None and torch.equal(sample_latents(mean, None, torch.randn_like(mean)), mean)


def test_a_latent_pixel_depends_on_its_neighborhood_alone() -> None:
    """Without norms and attention a picture can be encoded and decoded in parts."""
    net = make()
    x = torch.rand(1, 4, 64, 64)
    changed = x.clone()
    changed[..., 48:] = 0.0
    (a, _), (b, _) = net.encode(x), net.encode(changed)
    assert torch.equal(a[..., :4], b[..., :4]) and not torch.equal(a[..., 12:], b[..., 12:])
    left, right = net.decode(a), net.decode(torch.cat([a[..., :12], b[..., 12:]], 3))
    assert torch.allclose(left[..., :8], right[..., :8], atol=1e-6)


def test_kl_divergence_is_that_of_torch() -> None:
    mean, log_variance = torch.randn(2, 4, 3, 3), torch.randn(2, 4, 3, 3)
    one = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    wanted = torch.distributions.kl_divergence(one, torch.distributions.Normal(0.0, 1.0)).mean()
    assert torch.allclose(kl_divergence(mean, log_variance), wanted, atol=1e-6)


def test_samples_have_the_mean_and_the_variance() -> None:
    noise = torch.randn(1, 1, 200, 200, generator=torch.Generator().manual_seed(0))
    mean, log_variance = torch.full_like(noise, 2.0), torch.full_like(noise, 2 * math.log(0.5))
    z = sample_latents(mean, log_variance, noise)
    assert z.mean().item() == pytest.approx(2, abs=0.02) and z.std().item() == pytest.approx(0.5, abs=0.01)


def test_gradient_difference_is_about_edges() -> None:
    x = torch.zeros(1, 1, 16, 16)
    edge = x.clone()
    edge[..., 8:] = 1.0
    assert gradient_difference(x, x + 0.5).item() == 0, "equal but for brightness"
    assert gradient_difference(x, edge, scales=1).item() == pytest.approx(1 / 15), "one of 15 differences in a row is 1"
    assert gradient_difference(edge, edge.roll(1, -1)) > gradient_difference(edge, edge)


def test_configs_that_cannot_be_are_refused() -> None:
    for changes, name in (
        ({"factor": 3}, "factor"),
        ({"factor": 0}, "factor"),
        ({"widths": (32,)}, "widths"),
        ({"channels": 5}, "channels"),
        ({"latent_channels": 0}, "latent_channels"),
        ({"blocks": 99}, "blocks"),
    ):
        with pytest.raises(InputError, match=name):
            AutoencoderConfig(**changes)
    with pytest.raises(InputError, match="whole blocks of 4"):
        make().encode(torch.rand(1, 4, 10, 8))


def test_parameters_are_counted_without_memory() -> None:
    cfg = AutoencoderConfig()
    assert count_parameters(cfg) == sum(p.numel() for p in Autoencoder(cfg).parameters()) < 400_000
