"""Muon: momentum made orthogonal for the matrices of a network, and Adam for all else.

Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon). A step moves a matrix as far along its weak directions
as along its strong ones; in a run of minutes that is worth twice the images and more (docs/log.md). PyTorch has a Muon
for matrices; a kernel of convolution is one, too, with a row for each channel that comes out.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .kernels.library import address, kernels, serves

SMALLEST = 16  # rows and columns of what counts as a matrix
MOMENTUM = 0.9
ITERATION = (3.4445, -4.7750, 2.0315)  # Jordan's coefficients: singular values come to lie about 1, and fast
ITERATIONS = 5
LIKE_ADAM = 0.2  # the root mean square of a step of Adam, so that both take one learning rate (Liu et al. 2025)


def matrices(model: nn.Module) -> list[Tensor]:
    """The weights of a network that Muon moves: of linear layers and of convolutions, but for narrow ones."""
    layers = (m.weight for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d))
    return [w for w in layers if min(w.shape[0], w[0].numel()) >= SMALLEST]


def orthogonal(matrix: Tensor) -> Tensor:
    """A matrix of the same singular vectors and of singular values about 1 (0.7 to 1.2), of each in a stack.

    By Newton and Schulz's iteration, X ← (a + b XXᵀ + c (XXᵀ)²) X, in the precision of what is given. `matrix` is
    ... × rows × columns, and has no more rows than columns. Where it has far more columns, what X is multiplied by is
    gathered first: all of it are polynomials of one small matrix, XXᵀ, which commute.
    """
    a, b, c = ITERATION
    x = matrix / (matrix.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    square, rows = x @ x.mT, x.shape[-2]
    if x.shape[-1] < 2 * rows:
        for _ in range(ITERATIONS - 1):
            x = a * x + (b * square + c * square @ square) @ x
            square = x @ x.mT
        return a * x + (b * square + c * square @ square) @ x
    one = torch.eye(rows, dtype=x.dtype, device=x.device)
    factor = whole = a * one + b * square + c * square @ square
    for _ in range(ITERATIONS - 1):
        square = factor @ square @ factor
        factor = a * one + b * square + c * square @ square
        whole = factor @ whole
    return whole @ x


def orthogonal_all(stack: Tensor) -> Tensor:
    """`orthogonal` of n × rows × columns, of any shape; on processors by kernels/orthogonal.c, which does the same."""
    if stack.shape[1] > stack.shape[2]:
        return orthogonal_all(stack.mT).mT
    if serves(stack) is not torch.float32:
        return orthogonal(stack)
    n, rows, columns = stack.shape
    x = F.pad(stack, (0, -columns % 16, 0, -rows % 16)).contiguous()  # zeros stay zeros
    work = torch.empty(kernels().orthogonal_work(*x.shape[1:]))
    kernels().orthogonal(address(x), address(work), n, *x.shape[1:], *ITERATION)
    return x[:, :rows, :columns]


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov's momentum for `wide`, AdamW for `others`, both with one learning rate."""

    def __init__(
        self,
        wide: Iterable[Tensor],
        others: Iterable[Tensor],
        lr: float,
        betas: tuple[float, float],
        weight_decay: float = 0.0,
    ) -> None:
        self.adam = torch.optim.AdamW(others, lr, betas=betas, weight_decay=weight_decay, fused=True)
        super().__init__([{"params": list(wide), "weight_decay": weight_decay}, *self.adam.param_groups], {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        if closure is not None:
            raise TypeError("Muon takes one gradient a step, and no closure")
        wide = [w for w in self.param_groups[0]["params"] if w.grad is not None]
        lr, decay = self.param_groups[0]["lr"], self.param_groups[0]["weight_decay"]
        self.adam.param_groups, self.adam.state = self.param_groups[1:], self.state
        self.adam.step()
        alike: defaultdict[tuple[int, int], list[Tensor]] = defaultdict(list)
        for weight in wide:
            alike[weight.shape[0], weight[0].numel()].append(weight)
        for (rows, columns), weights in alike.items():
            ahead = torch.stack([slope.flatten(1) for slope in self._ahead(weights)])
            steps = orthogonal_all(ahead)
            if decay:
                torch._foreach_mul_(weights, 1 - lr * decay)
            size = -lr * LIKE_ADAM * max(rows, columns) ** 0.5
            torch._foreach_add_(weights, [s.reshape(w.shape) for s, w in zip(steps, weights, strict=True)], alpha=size)

    def _ahead(self, weights: list[Tensor]) -> tuple[Tensor, ...]:
        """Nesterov's momentum: the mean of gradients as it will be if the next one is like this one."""
        for weight in weights:
            if not self.state[weight]:
                self.state[weight]["momentum"] = torch.zeros_like(weight)
        slopes = [w.grad for w in weights if w.grad is not None]
        means = [self.state[w]["momentum"] for w in weights]
        torch._foreach_lerp_(means, slopes, 1 - MOMENTUM)
        return torch._foreach_lerp(slopes, means, MOMENTUM)
