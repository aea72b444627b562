"""Oracles: denoisers that are right.

For a Gaussian, a mixture of Gaussians and a finite set of pictures the optimal denoiser E[x0 | x_t] is known in closed
form. They prove samplers and likelihoods, and they stand beside a trained model: where noise is in the middle, a model
that follows `FiniteSet` of its own training pictures is memorising them.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from .denoiser import Prediction
from .schedule import Schedule, like
from .shapes import Images, PerImage, Time


@dataclass(frozen=True, eq=False)
class Gaussian:
    """x0 ~ N(mean, std²), every pixel by itself. Mean and std broadcast against (C, H, W)."""

    schedule: Schedule
    mean: Tensor
    std: Tensor

    def __call__(self, x: Images, t: Time) -> Prediction:
        alpha, sigma = self.schedule.at(t, x)
        mean, var0 = self.mean.to(x), self.std.to(x) ** 2
        off = (x - alpha * mean) / (alpha**2 * var0 + sigma**2)
        return Prediction(mean + alpha * var0 * off, sigma * off)

    def flow(self, x: Images, t: Tensor, s: Tensor) -> Images:
        """Where the probability-flow ODE takes x from time t to time s: the quantiles are kept."""
        (a_t, s_t), (a_s, s_s) = self.schedule.at(t, x), self.schedule.at(s, x)
        mean, var0 = self.mean.to(x), self.std.to(x) ** 2
        return a_s * mean + (x - a_t * mean) * ((a_s**2 * var0 + s_s**2) / (a_t**2 * var0 + s_t**2)).sqrt()

    def log_prob(self, x: Images, t: Time) -> PerImage:
        """ln q(x_t), in nats."""
        alpha, sigma = self.schedule.at(t, x)
        var = alpha**2 * self.std.to(x) ** 2 + sigma**2
        return -0.5 * ((x - alpha * self.mean.to(x)) ** 2 / var + (2 * math.pi * var).log()).flatten(1).sum(1)


@dataclass(frozen=True, eq=False)
class Mixture:
    """x0 ~ Σ_k weight_k N(mean_k, std_k² 1)."""

    schedule: Schedule
    means: Float[Tensor, "k c h w"]
    stds: Float[Tensor, "k"]
    weights: Float[Tensor, "k"]  # they sum to one

    def __call__(self, x: Images, t: Time) -> Prediction:
        alpha, sigma = self._at(x, t)
        share = self._joint(x, alpha, sigma).softmax(1)  # (B, K): which one it came from
        var0 = self.stds.to(x) ** 2
        alpha, sigma = (c.reshape(-1, 1) for c in (alpha, sigma))
        off = share / (alpha**2 * var0 + sigma**2)  # (B, K)
        means = self.means.to(x)
        # mean_k + α var_k / (…) (x − α mean_k), summed over k with these shares
        of_mean = share - off * alpha**2 * var0
        of_x = (off * alpha * var0).sum(1)
        x0 = torch.einsum("bk,kchw->bchw", of_mean, means) + like(of_x, x) * x
        eps = like(off.sum(1), x) * x - torch.einsum("bk,kchw->bchw", alpha * off, means)
        return Prediction(x0, like(sigma.reshape(-1), x) * eps)

    def log_prob(self, x: Images, t: Time) -> PerImage:
        """ln q(x_t), in nats."""
        return self._joint(x, *self._at(x, t)).logsumexp(1)

    def _at(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """α and σ as tensors of x's precision, since they are reshaped here."""
        alpha, sigma = self.schedule.at(t, x)
        return alpha.to(x), sigma.to(x)

    def _joint(self, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """ln of weight_k q(x_t | component k): (B, K)."""
        off = (x[:, None] - alpha[..., None] * self.means.to(x)).flatten(2).square().sum(2)
        var = (alpha**2).reshape(-1, 1) * self.stds.to(x) ** 2 + (sigma**2).reshape(-1, 1)
        log_norm = 0.5 * x[0].numel() * (2 * math.pi * var).log()
        return self.weights.to(x).log() - off / (2 * var) - log_norm


@dataclass(frozen=True, eq=False)
class FiniteSet:
    """x0 is one of these pictures, each as likely: what a network that fits its training set perfectly would answer.

    Distances are summed in float64, `chunk` pictures at a time, so thousands of pictures fit.
    """

    schedule: Schedule
    pictures: Float[Tensor, "n c h w"]
    chunk: int = 1024

    def __call__(self, x: Images, t: Time) -> Prediction:
        alpha, sigma = self.schedule.at(t, x)
        flat = self.share(x, t).split(self.chunk, 1)
        parts = self.pictures.split(self.chunk)
        x0 = sum((s @ p.to(x.device).double().flatten(1) for s, p in zip(flat, parts, strict=True)), torch.zeros(()))
        x0 = x0.reshape(x.shape)
        return Prediction(x0.to(x), ((x - alpha * x0) / sigma).to(x))

    def share(self, x: Images, t: Time) -> Float[Tensor, "b n"]:
        """How likely each picture is to be the one under the noise; float64."""
        alpha, sigma = (c.double().reshape(-1, 1) for c in self.schedule.at(t, x))
        flat = x.double().flatten(1)
        logits = []
        for part in self.pictures.split(self.chunk):
            p = part.to(x.device).double().flatten(1)
            # |x − α p|² / 2σ² without |x|², which is the same for all
            logits.append((alpha * flat @ p.T - alpha**2 * p.square().sum(1) / 2) / sigma.to(p) ** 2)
        return torch.cat(logits, 1).softmax(1)
