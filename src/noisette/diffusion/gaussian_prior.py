"""The closed form at high noise: the data as a Gaussian, or as a mixture of one Gaussian per label.

Where noise hides almost everything, E[x0 | x_t] depends on the mean and the covariance of the data alone, and a network
knows it only roughly: few training times are that high, and the loss there is nearly all variance of the data. So above
`min_ratio` a model uses the closed form instead of its network, which is more exact and takes no network call (Wang &
Vastola 2024, arXiv:2412.09726; figures in docs/log.md, 2026-11-30).
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..errors import InputError
from ..shapes import Images
from .denoiser import Prediction

MAX_COMPONENTS, MAX_GROUPS = 1024, 1_000_000
NUM_COMPONENTS = 32  # principal components that are kept
NUM_PICTURES = 1024  # pictures from which the components are computed, at most
DEGREES_OF_FREEDOM = 5.0  # of the data above the noise at `min_ratio`; more: less is left to the network
SHRINKAGE = 4.0  # pictures with the mean of all that are added to those of a label

GroupLabels = Int[Tensor, "b"] | Float[Tensor, "b classes"]


@dataclass(frozen=True)
class PriorConfig:
    """The shapes of a `GaussianPrior`, and where it is used."""

    groups: int  # one per class, and one more for pictures without a label
    components: int
    min_ratio: float  # lowest σ/α

    def __post_init__(self) -> None:
        for name, value, most in (
            ("groups", self.groups, MAX_GROUPS),
            ("components", self.components, MAX_COMPONENTS),
            ("min_ratio", self.min_ratio, math.inf),
        ):
            if not 0 < value <= most or value == math.inf:  # also for NaN
                raise InputError(f"prior.{name} must be above 0 and at most {most:,}, got {value}")


class GaussianPrior(nn.Module):
    """x0 of group g ~ N(means[g], Σ): Σ has some principal components, and the same variance in all other directions.

    A null label is a mixture of all groups with `weights`; a mixture of labels has the mean of their means.
    """

    means: Float[Tensor, "groups c h w"]
    weights: Float[Tensor, "groups"]  # share of the data, with sum 1
    components: Float[Tensor, "k c h w"]  # orthonormal
    variances: Float[Tensor, "k"]
    rest: Float[Tensor, ""]  # variance in each other direction

    def __init__(self, config: PriorConfig, shape: tuple[int, int, int]) -> None:
        """Of pictures (C, H, W) of this shape, with all numbers 0: for `load_state_dict`."""
        super().__init__()
        self.config = config
        for name, size in (
            ("means", (config.groups, *shape)),
            ("weights", (config.groups,)),
            ("components", (config.components, *shape)),
            ("variances", (config.components,)),
            ("rest", ()),
        ):
            self.register_buffer(name, torch.zeros(size, dtype=torch.float32))

    @classmethod
    @torch.no_grad()
    def fit(
        cls,
        pictures: Images,
        labels: Int[Tensor, "b"] | None = None,
        num_classes: int = 0,
        degrees_of_freedom: float = DEGREES_OF_FREEDOM,
    ) -> "GaussianPrior":
        """The mean of each group and the principal components within groups, of pictures in model space.

        labels: class numbers from 0, -1 for no label. It is used where at most `degrees_of_freedom` of the data, the
        sum of λ / (λ + (σ/α)²) over the variances λ, rise above the noise.
        """
        x = pictures.flatten(1).double()
        groups = num_classes + 1
        row = torch.full((len(x),), num_classes) if labels is None else labels.long().cpu() % groups  # -1: the last
        counts = row.bincount(minlength=groups).double()
        mean = x.mean(0)
        sums = torch.zeros(groups, x.shape[1], dtype=x.dtype).index_add_(0, row, x)
        means = (sums + SHRINKAGE * mean) / (counts + SHRINKAGE)[:, None]
        centered = (x - means[row])[:: -(-len(x) // NUM_PICTURES)]
        total = centered.square().sum().item() / len(centered)
        gram = centered @ centered.T / len(centered)
        number = max(1, min(NUM_COMPONENTS, len(centered) - 1, x.shape[1] - 1))
        values, vectors = torch.linalg.eigh(gram)
        values, vectors = values[-number:].flip(0).clamp(min=0), vectors[:, -number:].flip(1)
        components = torch.linalg.qr(centered.T @ vectors)[0].T
        rest = max(total - values.sum().item(), 0.0) / max(x.shape[1] - number, 1)
        spectrum = torch.cat([values, torch.full((x.shape[1] - number,), rest, dtype=x.dtype)])
        config = PriorConfig(groups, number, _find_ratio(spectrum, degrees_of_freedom))
        prior = cls(config, (pictures.shape[1], pictures.shape[2], pictures.shape[3]))
        shape = pictures.shape[1:]
        for name, value in (
            ("means", means.reshape(-1, *shape)),
            ("weights", counts / counts.sum()),
            ("components", components.reshape(-1, *shape)),
            ("variances", values),
            ("rest", torch.tensor(rest)),
        ):
            getattr(prior, name).copy_(value)
        return prior.to(pictures.device)

    def predict(self, x: Images, alpha: Tensor, sigma: Tensor, label: GroupLabels | None = None) -> Prediction:
        """E[x0 | x_t] and the ε that follows from it, for α and σ of shape () or (B, 1, 1, 1)."""
        flat, directions = x.flatten(1), self.components.flatten(1)
        a, s = (c.to(x).reshape(-1, 1) for c in (alpha, sigma))
        mean = self._group_weights(flat, a, s, label) @ self.means.flatten(1)
        centered = flat - a * mean
        along = centered @ directions.T
        gains, rest = (a * v / (a**2 * v + s**2) for v in (self.variances, self.rest))
        x0 = (mean + rest * centered + ((gains - rest) * along) @ directions).reshape(x.shape)
        return Prediction(x0, (x - alpha.to(x) * x0) / sigma.to(x))

    def _group_weights(
        self, flat: Float[Tensor, "b d"], a: Tensor, s: Tensor, label: GroupLabels | None
    ) -> Float[Tensor, "b groups"]:
        """How much each group's mean counts: those of the label; for a null label the posterior of the groups."""
        if len(self.weights) == 1:
            return flat.new_ones(len(flat), 1)
        posterior = self._log_posterior(flat, a, s).softmax(1)
        if label is None:
            return posterior
        if not label.is_floating_point():
            given = nn.functional.one_hot(label.clamp(min=0), len(self.weights)).to(flat)
            return torch.where(label[:, None] < 0, posterior, given)
        given = nn.functional.pad(label, (0, len(self.weights) - label.shape[1])).to(flat)
        return torch.where(given.isnan().any(1, keepdim=True), posterior, given.nan_to_num())

    def _log_posterior(self, flat: Float[Tensor, "b d"], a: Tensor, s: Tensor) -> Float[Tensor, "b groups"]:
        """ln(weights_g q(x_t | group g)), up to what all groups share."""
        means, directions = self.means.flatten(1), self.components.flatten(1)
        rest, variances = (a**2 * v + s**2 for v in (self.rest, self.variances))
        # |x − α m|² without |x|², over the variance of the other directions
        squares = (a**2 * means.square().sum(1) - 2 * a * (flat @ means.T)) / rest
        along = (flat @ directions.T)[:, None] - a[:, :, None] * (means @ directions.T)
        squares = squares + (along.square() * (1 / variances - 1 / rest)[:, None]).sum(2)
        return self.weights.log() - squares / 2


def _find_ratio(variances: Float[Tensor, "d"], degrees_of_freedom: float) -> float:
    """The σ/α at which the sum of λ / (λ + (σ/α)²) over these variances λ is `degrees_of_freedom`, by bisection."""
    low, high = -10.0, 20.0  # of ln σ/α
    for _ in range(60):
        middle = (low + high) / 2
        found = (variances / (variances + math.exp(2 * middle))).sum().item()
        low, high = (middle, high) if found > degrees_of_freedom else (low, middle)
    return math.exp(high)
