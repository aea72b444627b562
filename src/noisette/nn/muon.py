"""Muon: orthogonalised momentum for the matrices of a network, Adam for all other parameters.

Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon). A step moves a matrix as far along its weak singular
directions as along its strong ones; in a run of minutes it reaches Adam's loss with less than half the images
(docs/log.md). PyTorch's own Muon takes matrices only; here a convolution's kernel is a matrix as well, with one row
for each output channel.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .kernels.library import data_pointer, empty, get_kernels, kernel_dtype

MIN_MATRIX_SIZE = 16  # rows and columns that a matrix must have; narrower ones are left to Adam
MOMENTUM = 0.9
NS_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # Jordan's: singular values come close to 1 in few iterations
NS_STEPS = 5
ADAM_UPDATE_RMS = 0.2  # RMS of an Adam step, so that one learning rate suits both (Liu et al. 2025)


def find_matrices(model: nn.Module) -> list[Tensor]:
    """The weights that Muon updates: those of linear layers and convolutions with at least 16 rows and columns."""
    layers = (m.weight for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d))
    return [w for w in layers if min(w.shape[0], w[0].numel()) >= MIN_MATRIX_SIZE]


def orthogonalize(matrix: Tensor) -> Tensor:
    """The matrix with the same singular vectors and singular values of about 1 (0.7 to 1.2), for each in a stack.

    Newton–Schulz iteration, X ← (a + b XXᵀ + c (XXᵀ)²) X, in the dtype of `matrix`, which is
    (..., rows, columns) with rows ≤ columns. With far more columns than rows, the factors of X are multiplied with
    each other first: they are polynomials of the small matrix XXᵀ, and commute.
    """
    a, b, c = NS_COEFFICIENTS
    x = matrix / (matrix.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    square, rows = x @ x.mT, x.shape[-2]
    if x.shape[-1] < 2 * rows:
        for _ in range(NS_STEPS - 1):
            x = a * x + (b * square + c * square @ square) @ x
            square = x @ x.mT
        return a * x + (b * square + c * square @ square) @ x
    identity = torch.eye(rows, dtype=x.dtype, device=x.device)
    factor = product = a * identity + b * square + c * square @ square
    for _ in range(NS_STEPS - 1):
        square = factor @ square @ factor
        factor = a * identity + b * square + c * square @ square
        product = factor @ product
    return product @ x


def orthogonalize_batch(stack: Tensor) -> Tensor:
    """`orthogonalize` of (n, rows, columns) of any shape; on the CPU by kernels/orthogonal.c, the same iteration."""
    if stack.shape[1] > stack.shape[2]:
        return orthogonalize_batch(stack.mT).mT
    if kernel_dtype(stack) is not torch.float32:
        return orthogonalize(stack)
    n, rows, columns = stack.shape
    x = F.pad(stack, (0, -columns % 16, 0, -rows % 16)).contiguous()  # zeros stay zeros
    work = empty(get_kernels().orthogonal_work(*x.shape[1:]))
    get_kernels().orthogonal(data_pointer(x), data_pointer(work), n, *x.shape[1:], *NS_COEFFICIENTS)
    return x[:, :rows, :columns]


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum for matrix_parameters, AdamW for other_parameters, both with one learning rate."""

    def __init__(
        self,
        matrix_parameters: Iterable[Tensor],
        other_parameters: Iterable[Tensor],
        lr: float,
        betas: tuple[float, float],
        weight_decay: float = 0.0,
    ) -> None:
        self.adam = torch.optim.AdamW(other_parameters, lr, betas=betas, weight_decay=weight_decay, fused=True)
        super().__init__(
            [{"params": list(matrix_parameters), "weight_decay": weight_decay}, *self.adam.param_groups], {"lr": lr}
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        if closure is not None:
            raise TypeError("Muon.step takes no closure: call backward() before it")
        matrices = [w for w in self.param_groups[0]["params"] if w.grad is not None]
        lr, decay = self.param_groups[0]["lr"], self.param_groups[0]["weight_decay"]
        self.adam.param_groups, self.adam.state = self.param_groups[1:], self.state
        self.adam.step()
        by_shape: defaultdict[tuple[int, int], list[Tensor]] = defaultdict(list)
        for weight in matrices:
            by_shape[weight.shape[0], weight[0].numel()].append(weight)
        for (rows, columns), weights in by_shape.items():
            steps = orthogonalize_batch(torch.stack([update.flatten(1) for update in self._nesterov_updates(weights)]))
            if decay:
                torch._foreach_mul_(weights, 1 - lr * decay)
            step_size = -lr * ADAM_UPDATE_RMS * max(rows, columns) ** 0.5
            torch._foreach_add_(
                weights, [s.reshape(w.shape) for s, w in zip(steps, weights, strict=True)], alpha=step_size
            )

    def _nesterov_updates(self, weights: list[Tensor]) -> tuple[Tensor, ...]:
        """Nesterov momentum: the running mean of the gradients, moved once more towards the present gradients."""
        for weight in weights:
            if not self.state[weight]:
                self.state[weight]["momentum"] = torch.zeros_like(weight)
        gradients = [w.grad for w in weights if w.grad is not None]
        means = [self.state[w]["momentum"] for w in weights]
        torch._foreach_lerp_(means, gradients, 1 - MOMENTUM)
        return torch._foreach_lerp(gradients, means, MOMENTUM)
