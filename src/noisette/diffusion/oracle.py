"""Optimal denoisers E[x0 | x_t] in closed form: for a Gaussian, a mixture of Gaussians, and a finite set of pictures.

They are used to test samplers and likelihoods, and as a reference for trained models: a model that predicts, at medium
noise, the same as `EmpiricalDenoiser` of its training pictures has memorized them.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..shapes import Images, PerImage, Time
from .denoiser import Prediction
from .schedule import Schedule, broadcast_like


@dataclass(frozen=True, eq=False)
class GaussianDenoiser:
    """x0 ~ N(mean, std²), with independent pixels. mean, and std above 0, broadcast against (C, H, W)."""

    schedule: Schedule
    mean: Tensor
    std: Tensor

    def __call__(self, x: Images, t: Time) -> Prediction:
        alpha, sigma = self.schedule.at(t, x)
        mean, var0 = self.mean.to(x), self.std.to(x) ** 2
        off = (x - alpha * mean) / (alpha**2 * var0 + sigma**2)
        return Prediction(mean + alpha * var0 * off, sigma * off)

    def solve_ode(self, x: Images, t: Tensor, s: Tensor) -> Images:
        """The exact solution at time s of the probability-flow ODE that starts from x at time t."""
        (a_t, s_t), (a_s, s_s) = self.schedule.at(t, x), self.schedule.at(s, x)
        mean, var0 = self.mean.to(x), self.std.to(x) ** 2
        return a_s * mean + (x - a_t * mean) * ((a_s**2 * var0 + s_s**2) / (a_t**2 * var0 + s_t**2)).sqrt()

    def log_prob(self, x: Images, t: Time) -> PerImage:
        """ln q(x_t) of each image, in nats: (B,)."""
        alpha, sigma = self.schedule.at(t, x)
        var = alpha**2 * self.std.to(x) ** 2 + sigma**2
        return -0.5 * ((x - alpha * self.mean.to(x)) ** 2 / var + (2 * math.pi * var).log()).flatten(1).sum(1)


@dataclass(frozen=True, eq=False)
class GaussianMixtureDenoiser:
    """x0 ~ Σ_k weights_k N(means_k, stds_k² I). stds: above 0."""

    schedule: Schedule
    means: Float[Tensor, "k c h w"]
    stds: Float[Tensor, "k"]
    weights: Float[Tensor, "k"]  # positive, with sum 1

    def __call__(self, x: Images, t: Time) -> Prediction:
        alpha, sigma = self._alpha_sigma(x, t)
        posterior = self._joint_log_prob(x, alpha, sigma).softmax(1)  # (B, K), of each component
        var0 = self.stds.to(x) ** 2
        alpha, sigma = (c.reshape(-1, 1) for c in (alpha, sigma))
        off = posterior / (alpha**2 * var0 + sigma**2)  # (B, K)
        means = self.means.to(x)
        # mean_k + α var_k / (…) (x − α mean_k), summed over k with the posterior weights
        of_mean = posterior - off * alpha**2 * var0
        of_x = (off * alpha * var0).sum(1)
        x0 = torch.einsum("bk,kchw->bchw", of_mean, means) + broadcast_like(of_x, x) * x
        eps = broadcast_like(off.sum(1), x) * x - torch.einsum("bk,kchw->bchw", alpha * off, means)
        return Prediction(x0, broadcast_like(sigma.reshape(-1), x) * eps)

    def log_prob(self, x: Images, t: Time) -> PerImage:
        """ln q(x_t) of each image, in nats: (B,)."""
        return self._joint_log_prob(x, *self._alpha_sigma(x, t)).logsumexp(1)

    def _alpha_sigma(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """α and σ in the dtype of x, () or (B, 1, 1, 1)."""
        alpha, sigma = self.schedule.at(t, x)
        return alpha.to(x), sigma.to(x)

    def _joint_log_prob(self, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """ln(weights_k q(x_t | component k)): (B, K)."""
        off = (x[:, None] - alpha[..., None] * self.means.to(x)).flatten(2).square().sum(2)
        var = (alpha**2).reshape(-1, 1) * self.stds.to(x) ** 2 + (sigma**2).reshape(-1, 1)
        log_norm = 0.5 * x[0].numel() * (2 * math.pi * var).log()
        return self.weights.to(x).log() - off / (2 * var) - log_norm


@dataclass(frozen=True, eq=False)
class EmpiricalDenoiser:
    """x0 is one of `pictures`, each with equal probability: the prediction of a network that fits them perfectly.

    Distances are computed in float64, for chunk_size pictures at a time to limit memory.
    """

    schedule: Schedule
    pictures: Float[Tensor, "n c h w"]
    chunk_size: int = 1024

    def __call__(self, x: Images, t: Time) -> Prediction:
        alpha, sigma = self.schedule.at(t, x)
        flat = self.posterior_weights(x, t).split(self.chunk_size, 1)
        parts = self.pictures.split(self.chunk_size)
        x0 = sum((s @ p.to(x.device).double().flatten(1) for s, p in zip(flat, parts, strict=True)), x.new_zeros(()))
        x0 = x0.reshape(x.shape)
        return Prediction(x0.to(x), ((x - alpha * x0) / sigma).to(x))

    def posterior_weights(self, x: Images, t: Time) -> Float[Tensor, "b n"]:
        """The posterior probability of each picture given x_t: (B, N) float64."""
        alpha, sigma = (c.double().reshape(-1, 1) for c in self.schedule.at(t, x))
        flat = x.double().flatten(1)
        logits = []
        for part in self.pictures.split(self.chunk_size):
            p = part.to(x.device).double().flatten(1)
            # |x − α p|² / 2σ² without |x|², which is the same for all
            logits.append((alpha * flat @ p.T - alpha**2 * p.square().sum(1) / 2) / sigma.to(p) ** 2)
        return torch.cat(logits, 1).softmax(1)
